"""The benchmark of bulk writes: throughput of every spelling, until readable, beside the peers.

All spellings and programs take turns in every round, so that noise affects all of them.
"""

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from bench import large_batches, peers
from bench.peers import PACKAGES, Peer
from bench.report import Section, Table, median_ratio, number, ratio
from bench.scenarios import CONNECTIONS, SENDERS, Scenario, Sender
from bench.service import SERVICE, Service, run_program
from bench.spellings import (
    COMPACT_MS,
    GOAL_SENDER,
    GOAL_SIZE,
    SPELLINGS,
    VICTORIA_LINES,
    Goal,
)
from bench.workspace import Workspace, suspend_all

_HEADINGS: Final = (
    "spelling",
    "title",
    "B/row",
    "acknowledged",
    f"/ {COMPACT_MS}",
    f"/ {VICTORIA_LINES}",
    "p50 ms",
    "p99 ms",
    "readable",
    f"/ {COMPACT_MS}",
    f"/ {VICTORIA_LINES}",
    "goals",
)
_NOTES: Final = (
    "acknowledged, readable: rows/s; readable: until a query that needs all rows is answered",
    "ratios: median and range of the rounds; goals are for the acknowledged rows",
    "peers: VictoriaMetrics is asked to flush before the query; each round has its own metric",
    "the service syncs to disk before each response, and so does InfluxDB by default",
    "VictoriaMetrics does not sync: it holds new points in memory for a second or more",
)
_CUT_OFF: Final = "wrk cuts off requests at the end of a round: stored, but not acknowledged"


def measure(space: Workspace) -> Iterator[Table | Section]:
    """Measure every spelling with each sender and size; then large batches through GraphQL."""
    for size in space.bulk.sizes:
        for sender in SENDERS:
            if sender.name in space.bulk.senders:
                yield _measure_group(space, sender, size)
    if space.bulk.has_any("graphql-metrics", "graphql-events"):
        yield large_batches.measure(space)


def _measure_group(space: Workspace, sender: Sender, size: int) -> Table:
    """Measure all spellings with one sender and one size, on new programs."""
    table = Table(
        f"Bulk writes, {sender.title}, {size:,} rows per request, {CONNECTIONS} connections",
        _HEADINGS,
    )
    with (
        run_program(SERVICE, space.new_folder("bulk")) as service,
        peers.run_peers(space) as installed_peers,
    ):
        group = _Group(space, service, installed_peers)
        idle = service.resident_mib()
        scenarios = group.scenarios(sender, size)
        group.run_each(scenarios, lambda scenario: scenario.warm_up())
        for _ in range(space.rounds):
            group.run_each(scenarios, lambda scenario: scenario.run_round(space.bulk.seconds))
        memory = f"{number(idle)} MiB before the load, {number(service.resident_mib())} after it"
        by_name = {scenario.spelling.name: scenario for scenario in scenarios}
        for scenario in scenarios:
            _add_row(table, scenario, by_name)
    table.notes += [*_NOTES, *([_CUT_OFF] if sender.cuts_off else ())]
    table.notes.append(f"memory of the service: {memory}")
    missing = [PACKAGES[peer.program] for peer in installed_peers if not peer.service]
    if missing:
        table.notes.append(f"to measure the missing peers: apt-get install {' '.join(missing)}")
    table.notes += [scenario.counts() for scenario in scenarios]
    return table


@dataclass(frozen=True, slots=True)
class _Group:
    """The programs that one table compares: one runs at a time, the others are suspended."""

    space: Workspace
    service: Service
    peers: list[Peer]

    def scenarios(self, sender: Sender, size: int) -> list[Scenario]:
        """Return the scenarios of the chosen spellings whose programs are installed."""
        programs: dict[str, tuple[Service, Peer | None]] = {SERVICE.name: (self.service, None)}
        programs |= {peer.program: (peer.service, peer) for peer in self.peers if peer.service}
        return [
            Scenario(spelling, size, sender, service, self.space.folder, peer)
            for spelling in SPELLINGS
            if spelling.program in programs
            and size in spelling.sizes
            and self.space.bulk.has_any(spelling.name)
            for service, peer in [programs[spelling.program]]
        ]

    def run_each(self, scenarios: list[Scenario], action: Callable[[Scenario], None]) -> None:
        """Run the action for each scenario while the other programs are suspended."""
        programs = [self.service, *(peer.service for peer in self.peers if peer.service)]
        for scenario in scenarios:
            with suspend_all([program for program in programs if program is not scenario.service]):
                action(scenario)


def _add_row(table: Table, scenario: Scenario, by_name: dict[str, Scenario]) -> None:
    """Add the medians of a scenario, and its ratios to the two baselines."""
    rates = [result.rate for result in scenario.rounds]
    readable_rates = [result.readable_rate for result in scenario.rounds]
    ratios, readable_ratios = [], []
    for baseline in (COMPACT_MS, VICTORIA_LINES):
        rounds = by_name[baseline].rounds if baseline in by_name else []
        is_same = baseline == scenario.spelling.name or not rounds
        ratios.append("" if is_same else ratio(rates, [r.rate for r in rounds]))
        readable_ratios.append(
            "" if is_same else ratio(readable_rates, [r.readable_rate for r in rounds])
        )
    totals = [result.totals for result in scenario.rounds]
    title = scenario.spelling.title
    goals = _goals(scenario, by_name)
    figures: dict[str, Any] = {
        "spelling": scenario.spelling.name,
        "title": f"{scenario.peer.name}, {title}" if scenario.peer else title,
        "bytes_per_row": round(scenario.row_bytes),
        "acknowledged": rates,
        "p50_ms": statistics.median(total.p50_ms for total in totals),
        "p99_ms": statistics.median(total.p99_ms for total in totals),
        "readable": readable_rates,
        "goals": goals,
    }
    table.figures.append(figures)
    table.rows.append(
        (
            figures["spelling"],
            figures["title"],
            number(figures["bytes_per_row"]),
            number(statistics.median(rates)),
            *ratios,
            number(figures["p50_ms"]),
            number(figures["p99_ms"]),
            number(statistics.median(readable_rates)),
            *readable_ratios,
            "; ".join(goals),
        )
    )


def _goals(scenario: Scenario, by_name: dict[str, Scenario]) -> list[str]:
    """Return the goals of a spelling, each with met or missed."""
    if scenario.sender.name != GOAL_SENDER or scenario.size != GOAL_SIZE:
        return []
    return [
        f"{goal.ratio} of {goal.baseline} {_verdict(goal, scenario, by_name[goal.baseline])}"
        for goal in scenario.spelling.goals
        if goal.baseline in by_name
    ]


def _verdict(goal: Goal, scenario: Scenario, baseline: Scenario) -> str:
    rates, baseline_rates = (
        [result.rate for result in entry.rounds] for entry in (scenario, baseline)
    )
    return "met" if median_ratio(rates, baseline_rates) >= goal.ratio else "MISSED"
