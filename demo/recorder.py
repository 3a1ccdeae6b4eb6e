"""The recorder: a thread that fills a new service with the history, and then keeps up with now."""

import contextlib
import http.client
import sys
import threading
import time
from typing import Final

from demo.client import Client, RecordingError
from demo.days import Days
from demo.folder import DemoFolder, Progress, begin_step
from demo.story import HISTORY_DAYS, Story
from demo.telemetry import DESCRIPTIONS, Telemetry

_TICK_SECONDS: Final = 1.0
_END_SECONDS: Final = 10.0
"""Seconds that the service takes to end; until then a refused connection is no failure."""


class Recorder:
    """Records the rows of a shop into a running service, through its REST API."""

    def __init__(self, folder: DemoFolder, progress: Progress, host: str, port: int) -> None:
        """Continue from a progress."""
        story = Story(progress.seed, progress.end_ms)
        self._sources = (Days(story), Telemetry(story))
        self._folder = folder
        self._progress = progress
        self._address = f"http://{host}:{port}/dashboards"
        self._stop = threading.Event()
        self._client = Client(host, port, self._stop)
        self._thread = threading.Thread(target=self._run, name="demo", daemon=True)

    def start(self) -> None:
        """Begin to record. The service must listen: another one on its port would get the rows."""
        self._thread.start()

    def stop(self) -> None:
        """End the recording."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(_END_SECONDS)

    def _run(self) -> None:
        try:
            self._record_history()
            while not self._stop.wait(_TICK_SECONDS):
                self._step()
        except (RecordingError, OSError, http.client.HTTPException) as error:
            if not self._stop.wait(_END_SECONDS):
                _say(f"The demo records no more rows: {error}")
        finally:
            self._client.close()

    def _record_history(self) -> None:
        start = time.monotonic()
        is_new = self._progress.target_ms == self._progress.end_ms
        if is_new:
            _say(f"Recording {HISTORY_DAYS} days of a shop into {self._folder.path} ...")
        for _ in range(2):  # up to the target, then what happened meanwhile
            self._step()
        for metric, description in DESCRIPTIONS.items():
            self._client.describe(metric, description)
        verb = "Recorded" if is_new else "Continued"
        if not self._stop.is_set():
            _say(
                f"{verb} in {time.monotonic() - start:.0f} s; new rows keep coming."
                f" Open {self._address} (Ctrl+C ends the demo)"
            )

    def _step(self) -> None:
        """Record the rows up to the target, then set the target to now."""
        progress = self._progress
        for source in self._sources:
            for rows in source.batches(progress.recorded_ms, progress.target_ms):
                if self._stop.is_set():
                    return
                self._client.record(rows)
        now_ms = max(progress.target_ms, time.time_ns() // 1_000_000)
        self._progress = begin_step(progress, now_ms)
        self._folder.write(self._progress)


def _say(text: str) -> None:
    with contextlib.suppress(OSError):  # nobody may read any more
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
