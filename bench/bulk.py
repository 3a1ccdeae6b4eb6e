"""The benchmark of bulk writes: throughput in every format, readability, and the peers.

All formats and programs take turns in every round, so that noise affects all of them.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from bench import bulk_bodies, data, load, peers
from bench.load import Load
from bench.peers import INFLUX, PACKAGES, Peer
from bench.report import Row, Section
from bench.scenarios import PeerScenario, Scenario, ServiceScenario
from bench.service import SERVICE, Service, run_program
from bench.workspace import Workspace, stored_total, suspend_all

CONNECTIONS = 4

SHAPES = {1_000: ((100, 10), (10, 100), (1_000, 1)), 10_000: ((100, 100),)}
"""Points per request, and the (series, points per series) pairs of the series format."""

_BATCH = "/metrics/batch"
_SERIES = "/metrics/series"


def measure(space: Workspace) -> Section:
    """Measure acknowledged points per second, with 1,000 and 10,000 points per request."""
    section = Section("Bulk writes, 4 connections", "service", "other")
    with (
        run_program(SERVICE, space.new_folder("bulk")) as service,
        peers.run_peers(space) as installed_peers,
    ):
        idle = service.resident_mib()
        for size in SHAPES:
            _Size(space, section, service, installed_peers, size).measure()
        section.add("memory before the load", "MiB RSS", idle)
        section.add("memory after the load", "MiB RSS", service.resident_mib())
        section.add("points in the store", "points", stored_total(service))
    if not all(peer.service for peer in installed_peers):
        packages = " ".join(PACKAGES[peer.program] for peer in installed_peers if not peer.service)
        section.notes.append(f"to measure the missing peers: apt-get install {packages}")
    section.notes += [
        "a request cut off at the end of a round is stored, but not acknowledged",
        "every second body has timestamps; for InfluxDB, every body has timestamps",
        "(without timestamps InfluxDB keeps one point of each series)",
        "the service syncs to disk before each response, and so does InfluxDB by default",
        "VictoriaMetrics does not sync: it holds new points in memory for a second or more",
    ]
    return section


@dataclass(slots=True)
class _Size:
    """The measurements with one number of points per request."""

    space: Workspace
    section: Section
    service: Service
    peers: list[Peer]
    size: int

    def measure(self) -> None:
        """Run the rounds, then add the figures to the section."""
        plain = self._service_scenario("NDJSON", bulk_bodies.ndjson(self.size))
        with_ids = self._service_scenario(
            "NDJSON with ids", bulk_bodies.ndjson(self.size, ids=True)
        )
        by_series = self._series_scenarios()
        peer_scenarios = [
            scenario for peer in self.peers for scenario in self._peer_scenarios(peer)
        ]
        scenarios: list[Scenario] = [plain, with_ids, *by_series, *peer_scenarios]
        self._run_each(scenarios, lambda scenario: scenario.warm_up())
        for _ in range(self.space.rounds):
            self._run_each(scenarios, lambda scenario: scenario.run_round(self.space.seconds))
        self._run_each(
            scenarios,
            lambda scenario: self.section.notes.append(
                f"{self.size:,} per request, {scenario.check_rows()}"
            ),
        )
        self._report(plain, with_ids, by_series, peer_scenarios)

    def _run_each(self, scenarios: list[Scenario], action: Callable[[Scenario], None]) -> None:
        """Run the action for each scenario while the other programs are suspended."""
        programs = [self.service, *(peer.service for peer in self.peers if peer.service)]
        for scenario in scenarios:
            with suspend_all([program for program in programs if program is not scenario.service]):
                action(scenario)

    def _service_scenario(
        self,
        name: str,
        request_bodies: list[bytes],
        path: str = _BATCH,
        interleaved_rows: int = data.HOSTS,
    ) -> ServiceScenario:
        prepared_load = self._load(path, data.NDJSON, request_bodies, interleaved_rows)
        return ServiceScenario(name, self.service, prepared_load, self.size)

    def _series_scenarios(self) -> list[ServiceScenario]:
        """Return a scenario of the series format for each shape."""
        return [
            self._service_scenario(
                f"{count:,} series of {points}", bulk_bodies.series(count, points), _SERIES, 1
            )
            for count, points in SHAPES[self.size]
        ]

    def _peer_scenarios(self, peer: Peer) -> list[PeerScenario]:
        if peer.service is None:
            return []
        if peer.program == INFLUX:
            lines = bulk_bodies.line_protocol(self.size, always_timestamped=True)
            return [
                self._peer_scenario(
                    peer, "cpu_load", self._load(peers.WRITE_PATH, data.TEXT, lines)
                )
            ]
        lines = bulk_bodies.line_protocol(self.size, always_timestamped=False)
        by_series = bulk_bodies.victoria_series(*SHAPES[self.size][0])
        return [
            self._peer_scenario(
                peer, "cpu_load_value", self._load(peers.WRITE_PATH, data.TEXT, lines)
            ),
            self._peer_scenario(
                peer, "cpu_load", self._load(peers.IMPORT_PATH, data.TEXT, by_series, 1)
            ),
        ]

    def _peer_scenario(self, peer: Peer, metric: str, peer_load: Load) -> PeerScenario:
        assert peer.service
        form = "line protocol" if peer_load.path == peers.WRITE_PATH else "JSON lines"
        name = f"{peer.name}, {form}"
        return PeerScenario(name, peer.service, peer_load, self.size, peer=peer, metric=metric)

    def _load(
        self,
        path: str,
        content_type: str,
        request_bodies: list[bytes],
        interleaved_rows: int = data.HOSTS,
    ) -> Load:
        prepared_load = load.prepare(
            self.space.folder, path, content_type, request_bodies, CONNECTIONS
        )
        return replace(prepared_load, interleaved_rows=interleaved_rows)

    def _report(
        self,
        plain: ServiceScenario,
        with_ids: ServiceScenario,
        by_series: list[ServiceScenario],
        peer_scenarios: list[PeerScenario],
    ) -> None:
        section, size = self.section, f"{self.size:,} points per request"
        section.compare(f"{size}: acknowledged", "points/s", plain.rates)
        section.compare("  until all points are readable", "points/s", plain.readable_rates)
        section.compare("  latency p50", "ms", [totals.p50_ms for totals in plain.totals])
        section.compare("  latency p99", "ms", [totals.p99_ms for totals in plain.totals])
        waits = [seconds * 1000 for seconds in plain.waits]
        section.compare("  first read after the burst", "ms", waits)
        section.compare("  with client ids / without", "points/s", with_ids.rates, plain.rates)
        for scenario in by_series:
            section.compare(f"  {scenario.name} / NDJSON", "points/s", scenario.rates, plain.rates)
        for peer_scenario in peer_scenarios:
            name = f"  NDJSON / {peer_scenario.name}"
            section.compare(name, "points/s", plain.rates, peer_scenario.rates)
        for peer_scenario in peer_scenarios if by_series else []:
            name = f"  {by_series[0].name} / {peer_scenario.name}"
            section.compare(name, "points/s", by_series[0].rates, peer_scenario.rates)
        for peer in self.peers:
            if peer.service is None:
                name = f"  NDJSON / {peer.name}"
                section.rows.append(Row(name, "points/s", None, None, "not installed"))
