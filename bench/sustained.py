"""The benchmark of a sustained load: bulk writes at 70 % of the peak, with queries."""

from bench import data, load, monitoring
from bench.load import Run
from bench.query_client import QueryClient
from bench.report import Section, print_sample, quantile
from bench.service import SERVICE, run_program
from bench.spellings import COMPACT_MS, bodies
from bench.workspace import RowCheck, Workspace, load_dataset, settled_total, stored_total

CONNECTIONS = 4
ROWS = 1_000
SHARE = 0.7

_PEAK_SECONDS = 5
_SAMPLES = 10


def measure(space: Workspace) -> Section:
    """Measure memory, parts, waiting rows and query latency over the time of the load."""
    section = Section("Sustained bulk writes, NDJSON, 4 connections", "service", "other")
    folder = space.new_folder("sustained")
    with run_program(SERVICE, folder) as service:
        load_dataset(service)
        request_load = load.prepare(
            space.folder, "/metrics/batch", data.NDJSON, bodies(COMPACT_MS, ROWS), CONNECTIONS
        )
        load.check_response(service, request_load)
        query_client = QueryClient(service.port)
        query_client.idle_p95()  # a warm-up, and time for merges
        idle = query_client.idle_p95()
        peak = load.run(service, request_load, _PEAK_SECONDS).rate
        before = settled_total(service)
        seconds = max(_SAMPLES, round(space.minutes * 60))
        run = Run(
            service,
            request_load.at_rate(peak * SHARE),
            seconds + load.QUIET_SECONDS,
            progress_interval=0.25,
        )
        try:
            for sample_number in range(1, _SAMPLES + 1):
                latencies = query_client.query_until(
                    run.start_time + seconds * sample_number / _SAMPLES
                )
                sample = {
                    "% of the run": sample_number * 100 / _SAMPLES,
                    "acknowledged": run.response_count * ROWS,
                    **monitoring.sample(service, folder),
                    "query p95 ms": quantile(latencies, 0.95) if latencies else None,
                }
                section.samples.append(sample)
                print_sample("sustained", sample)
            totals = run.totals()
        finally:
            run.kill()
        first_read = stored_total(service) - before
        row_check = RowCheck(
            totals.responses * ROWS, first_read, settled_total(service) - before, 0
        )
        row_check.check("sustained")
        after = query_client.idle_p95()
    rate = row_check.acknowledged_rows / seconds
    section.add("rate / peak in the first seconds", "rows/s", rate, peak * ROWS)
    section.add(
        "query p95 / idle before the load", "ms", quantile(query_client.latencies, 0.95), idle
    )
    section.add("query p95 idle after the load / before it", "ms", after, idle)
    first, last = section.samples[1], section.samples[-1]
    for name in (monitoring.RSS, monitoring.ACTIVE_PARTS):
        section.add(f"{name} at 100 % / at 20 %", "", last[name], first[name])
    section.notes.append(
        f"{row_check.acknowledged_rows:,} rows acknowledged in {seconds} s, "
        f"{first_read:,} in the first read, "
        f"{row_check.settled_rows:,} in the last read; target {peak * SHARE * ROWS:,.0f} rows/s"
    )
    section.notes.append(
        f"{len(query_client.latencies):,} queries of ten metrics, outside the load; "
        f"each query read all {data.POINTS_PER_NAME:,} points of its metric"
    )
    section.notes.append(
        "part folders: of the table of metrics; active parts: covered by no other part"
    )
    return section
