"""GraphQL queries of the benchmarks, and the bodies of their requests."""

import json

from bench.large_dataset import NAMES

AGGREGATES = "count sum avg min max"
METRIC_TOTAL = """query ($n: String!) {
  metric(name: $n) {query(range: {last: "24h"}) {series {total {count sum avg min max}}}}
}"""

_DAY = 'range: {last: "24h"}'
_MONTH = 'range: {last: "30d"}'
_WEEK = "range: {preset: LAST_7_DAYS}"
_NINE_MINUTES = 'range: {last: "PT9M"}, granularity: MINUTE, maxPoints: 10000'
_9999_MINUTES = 'range: {last: "PT9999M"}, granularity: MINUTE, maxPoints: 10000'


def body(query: str, **variables: object) -> str:
    """Return the JSON body of a request."""
    return json.dumps({"query": query, "variables": variables})


def _metric(arguments: str, selection: str) -> str:
    return f'{{metric(name: "{NAMES[7]}") {{query({arguments}) {{{selection}}}}}}}'


def _events(arguments: str, selection: str) -> str:
    return f"{{eventTrend({arguments}) {{{selection}}}}}"


ENGINE_QUERIES = {
    "totals of a metric, 24 h": _metric(_DAY, f"series {{total {{{AGGREGATES}}}}}"),
    "300 buckets, 30 d, columns": _metric(_MONTH, f"times series {{columns {{{AGGREGATES}}}}}"),
    "20 hosts, limit 10 + other, 24 h": _metric(
        f'{_DAY}, groupBy: ["host"], limit: 10', "series {label isOther total {count avg}}"
    ),
    "quantiles of a metric, 24 h": _metric(
        _DAY, "series {total {p50: quantile(q: 0.5) p99: quantile(q: 0.99)}}"
    ),
    "events: top 10 paths, 24 h": _events(
        f'{_DAY}, groupBy: [{{property: "path"}}], limit: 10, otherGroup: false',
        "series {label total {count}}",
    ),
    "events: top 10 paths of 2 M": _events(
        f'{_MONTH}, groupBy: [{{property: "path"}}], limit: 10, otherGroup: false',
        "series {label total {count}}",
    ),
    "events: unique users, 24 h": _events(_DAY, "series {total {uniqueUsers}}"),
    "events: unique users of 2 M": _events(_MONTH, "series {total {uniqueUsers}}"),
    "events: sum of a property, 24 h": _events(
        _DAY, 'series {total {sum(property: "cart.total")}}'
    ),
    "events: the newest 100": "{events {nodes {id name time userId properties}}}",
}
"""Queries whose responses over HTTP are compared with the engine alone."""

LARGE_RESPONSES = {
    name: (_metric(_9999_MINUTES, selection), _metric(_NINE_MINUTES, selection))
    for name, selection in {
        "10,000 points as columns {avg count} + times": "times series {columns {avg count}}",
        "10,000 points as points {time values {avg count}}": (
            "series {points {time values {avg count}}}"
        ),
    }.items()
} | {
    "1,000 events {id name time userId properties}": (
        "{events(first: 1000) {nodes {id name time userId properties}}}",
        "{events(first: 1) {nodes {id name time userId properties}}}",
    ),
}
"""Pairs of queries: one with a large response, and the same query for few rows."""

_PREVIOUS_PERIOD = "compare: {mode: PREVIOUS_PERIOD}"
_TOP_TEN = "otherGroup: false, limit: 10) {series {label total {count}}}"

DASHBOARD = f"""{{
  cpu: metric(name: "m01") {{query({_WEEK}, {_PREVIOUS_PERIOD}) {{
    series {{total {{avg}} previousTotal {{avg}} change {{ratio}}}}}}}}
  p95: metric(name: "m02") {{query({_WEEK}, {_PREVIOUS_PERIOD}) {{
    series {{total {{quantile(q: 0.95)}} previousTotal {{quantile(q: 0.95)}}}}}}}}
  events: eventTrend({_WEEK}, {_PREVIOUS_PERIOD}) {{
    series {{total {{count}} previousTotal {{count}} change {{ratio}}}}}}
  users: eventTrend({_WEEK}, {_PREVIOUS_PERIOD}) {{
    series {{total {{uniqueUsers}} previousTotal {{uniqueUsers}}}}}}
  revenue: eventTrend({_WEEK}, {_PREVIOUS_PERIOD}) {{
    series {{total {{sum(property: "amount")}} previousTotal {{sum(property: "amount")}}}}}}
  load: metric(name: "m03") {{query({_WEEK}, granularity: HOUR) {{
    times series {{columns {{avg max}}}}}}}}
  traffic: eventTrend({_WEEK}, granularity: HOUR) {{times series {{columns {{count}}}}}}
  paths: eventTrend({_WEEK}, groupBy: [{{property: "path"}}], {_TOP_TEN}
  plans: eventTrend({_WEEK}, groupBy: [{{property: "plan"}}], {_TOP_TEN}
  names: eventTrend({_WEEK}, groupBy: [{{field: NAME}}], {_TOP_TEN}
}}"""
"""A screen of five numbers with the change from the week before, two charts, three tables."""

METRIC_LIST = f"""{{
  metrics(first: 50) {{nodes {{name query({_DAY}) {{series {{total {{count avg max}}}}}}}}}}
}}"""
