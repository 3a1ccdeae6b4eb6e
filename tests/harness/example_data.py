"""Two weeks of a small shop: the rows for the examples of `docs/graphql.md`."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from schema.scalars import Instant

Row = dict[str, Any]

NOW: Final = Instant(1_781_709_599_999)
"""The last millisecond before 15:20 (UTC) on Wednesday, June 17, 2026."""

DESCRIPTIONS: Final = [
    {"name": "response_time", "kind": "GAUGE", "unit": "ms", "description": "Time to answer."},
    {"name": "requests", "kind": "COUNTER"},
    {"name": "errors", "kind": "COUNTER"},
]

_BEGIN: Final = datetime(2026, 6, 3, tzinfo=UTC)
_END: Final = datetime(2026, 6, 17, 15, 20, tzinfo=UTC)
_OUTAGE: Final = (datetime(2026, 6, 14, 2, tzinfo=UTC), datetime(2026, 6, 14, 5, tzinfo=UTC))
_HOSTS: Final = (("web-1", "eu"), ("web-2", "eu"), ("web-3", "us"))
_COUNTRIES: Final = ("DE", "DE", "FR", "US", "DE", "JP", "FR", "BR", "DE", "US")
_PATHS: Final = ("/", "/pricing", "/docs")


def metrics() -> Iterator[Row]:
    """Yield a point per hour, metric and host: a level, and two counters that restart once.

    There are no points on June 14 from 02:00 to 05:00 (UTC).
    """
    for hour in range(int((_END - _BEGIN) / timedelta(hours=1)) + 1):
        moment = _BEGIN + timedelta(hours=hour)
        if _OUTAGE[0] <= moment < _OUTAGE[1]:
            continue
        for n, (host, region) in enumerate(_HOSTS):
            restart_hour = 200 if hour >= 200 and n == 1 else 0
            for name, value in (
                ("response_time", 40 + 12 * n + hour % 24 * (n + 1) // 2 + hour // 168 * 5),
                ("requests", (hour - restart_hour) * 60 * (n + 1)),
                ("errors", (hour - restart_hour) // 4 * (n + 1)),
            ):
                tags = {"host": host, "region": region}
                yield {
                    "metric_name": name,
                    "value": value,
                    "tags": tags,
                    "timestamp": rest_timestamp(moment),
                }


def events() -> Iterator[Row]:
    """Yield page views, signups and orders per day.

    Most views have a user. A user's first view brings a signup, and some views bring an order.
    """
    users: set[int] = set()
    for day in range(15):
        for k in range(6 + day % 3):
            moment = _BEGIN + timedelta(days=day, hours=8, minutes=70 * k)
            if moment >= _END:
                continue
            user = (day * 5 + k * 3) % 20
            visitor = {"user_id": f"u{user}", "session_id": f"s{day}-{user}"} if k != 5 else {}
            device = "mobile" if user % 3 == 0 else "desktop"
            view = {"path": _PATHS[k % 3], "device": device}
            yield {
                "event_name": "page_view",
                **visitor,
                "properties": view,
                "timestamp": rest_timestamp(moment),
            }
            if visitor and user not in users:
                users.add(user)
                plan = "team" if user % 4 == 0 else "free"
                moment += timedelta(minutes=2)
                yield {
                    "event_name": "signup",
                    **visitor,
                    "properties": {"plan": plan, "country": _country(user)},
                    "timestamp": rest_timestamp(moment),
                }
            if visitor and k % 2 == 0:
                cart = {"total": 20 + user * 7 % 5 * 15 + day, "items": 1 + user % 3}
                order = {"cart": cart, "country": _country(user), "coupon": user % 2 == 0}
                moment += timedelta(minutes=5)
                yield {
                    "event_name": "order",
                    **visitor,
                    "properties": order,
                    "timestamp": rest_timestamp(moment),
                }


def _country(user: int) -> str:
    return _COUNTRIES[user % len(_COUNTRIES)]


def rest_timestamp(moment: datetime) -> str:
    """Return an instant as text for the REST API."""
    return moment.isoformat().replace("+00:00", "Z")
