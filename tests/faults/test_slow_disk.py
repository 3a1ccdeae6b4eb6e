"""A slow disk, which delays answers and loses nothing."""

import time
from pathlib import Path

from tests.faults.strace import needs_strace
from tests.faults.writers import SentBatch, Writers, assert_exactly_once, count_rows
from tests.harness.process import SERVE, Process
from tests.harness.run_profile import print_figure, seeded_random, short_or_long

SECONDS = short_or_long(3, 20)
WRITERS = 50
PHASES = (("as it is", 1), ("slow", 20_000))


@needs_strace
def test_slow_disk_delays_and_loses_nothing(tmp_path: Path) -> None:
    """With +20 ms per fdatasync and fsync, 50 writers share syncs, and queries are answered.

    It prints requests per second and their p99; the long form compares them with a normal disk.
    """
    dice = seeded_random()
    data, trace = tmp_path / "data", tmp_path / "trace"
    batches: dict[str, SentBatch] = {}
    rates = []
    with Process(data) as service:
        service.await_ready()
        service.stop()
    for name, delay in short_or_long(PHASES[1:], PHASES):
        strace = ("strace", "-D", "-f", "-y", "--seccomp-bpf", "-o", str(trace))
        calls = ("-e", "trace=fdatasync,fsync", "-e", f"inject=all:delay_exit={delay}")
        with Process(data, (*strace, *calls, *SERVE)) as service:
            service.await_ready()
            before = count_syncs(trace)
            writers = Writers(service.port, dice, name, WRITERS, kinds=("metric", "event"))
            with writers:
                deadline = time.monotonic() + SECONDS
                while time.monotonic() < deadline:
                    for path in ("/metrics/fault", "/dashboard"):
                        assert service.http.get(path).status_code in {200, 404}, path
                    time.sleep(0.2)
            syncs = count_syncs(trace) - before
            counts = count_rows(service)
            service.kill()
        batches |= writers.batches
        seconds = sorted(
            batch.seconds for batch in writers.batches.values() if batch.answer == "acknowledged"
        )
        rates.append(len(seconds) / SECONDS)
        p99 = seconds[len(seconds) * 99 // 100] * 1000
        print_figure(
            f"{name}: {rates[-1]:.0f}/s, p99 {p99:.0f} ms, {len(seconds) / syncs:.1f} a sync"
        )
    print_figure(f"slow / the first: {rates[-1] / rates[0]:.2f}")
    assert len(seconds) > 3 * syncs
    assert_exactly_once(data, batches, counts)


def count_syncs(trace: Path) -> int:
    """Count the syncs of segments in a trace."""
    lines = trace.read_text(errors="replace").splitlines()
    return sum("fdatasync(" in line and "/journal/" in line for line in lines)
