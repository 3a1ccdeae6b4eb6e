"""A process of viewers, or of a sender, for the benchmark of subscriptions.

`subscriptions.py` starts it with a job as JSON, and reads its result as a line of JSON. The value
of each row is the time of its sending on the machine's steady clock, in milliseconds. A chart
selects the maximum. So a message shows which rows are new in it: those sent after the maximum of
the message before.
"""

import base64
import json
import os
import re
import selectors
import socket
import struct
import sys
import time
from dataclasses import dataclass, field
from typing import Any, Final

from bench.client import CheckError, Client, post
from bench.service import HOST

_SAMPLE_EVERY: Final = 20
"""Of so many sockets, the messages of one are read; those of the others are counted."""

_MESSAGE: Final = b'"type":"next"'
_MAXIMUM: Final = re.compile(rb'"id":"(\d+)","payload":\{"data":.{1,200}?"max":(\d+)')
_ROW_SAMPLES: Final = 5
"""Rows of a message whose delays are taken: evenly between the oldest and the newest."""

_BATCH_ROWS: Final = 1_000

QUERY: Final = (
    'subscription($n: String!, $t: Duration!) {metricChanged(name: $n, range: {last: "PT15M"},'
    " throttle: $t) {series {total {max}}}}"
)


def now_ms() -> int:
    """Return the steady time of the machine."""
    return time.monotonic_ns() // 1_000_000


def _frame(text: bytes) -> bytes:
    """Return a masked frame, whose mask is zero."""
    size = len(text)
    head = struct.pack("!BB", 0x81, 0x80 | size)
    if size >= 126:
        head = struct.pack("!BBH", 0x81, 0xFE, size)
    return head + bytes(4) + text


@dataclass(slots=True)
class _Viewer:
    """A socket; with `is_sample`, its messages are read."""

    connection: socket.socket
    is_sample: bool
    rest: bytes = b""
    maxima: dict[bytes, int] = field(default_factory=dict)
    delays: list[float] = field(default_factory=list)
    message_count: int = 0
    byte_count: int = 0

    def read(self) -> None:
        """Read what has come."""
        data = self.connection.recv(1_048_576)
        self.byte_count += len(data)
        self.message_count += data.count(_MESSAGE)
        if self.is_sample:
            self._sample(data)

    def _sample(self, data: bytes) -> None:
        now, text, end = now_ms(), self.rest + data, 0
        for match in _MAXIMUM.finditer(text):
            end = match.end()
            chart, newest = match[1], int(match[2])
            oldest = self.maxima.get(chart)
            self.maxima[chart] = newest
            if oldest and newest > oldest:
                steps = range(1, _ROW_SAMPLES + 1)
                self.delays += [
                    now - oldest - (newest - oldest) * step / _ROW_SAMPLES for step in steps
                ]
        self.rest = text[end:][-4096:]

    def reset(self) -> None:
        """Count from now on."""
        self.message_count = self.byte_count = 0
        self.delays.clear()


def _connect(port: int, *, is_sample: bool) -> _Viewer:
    connection = socket.create_connection((HOST, port), timeout=30)
    key = base64.b64encode(os.urandom(16)).decode()
    connection.sendall(
        f"GET /graphql HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
        "Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n".encode()
    )
    connection.sendall(_frame(b'{"type":"connection_init"}'))
    answer = b""
    while b"connection_ack" not in answer:
        chunk = connection.recv(4096)
        if not chunk:
            raise CheckError(f"the service ended a connection: {answer.decode(errors='replace')}")
        answer += chunk
    return _Viewer(connection, is_sample)


def view(job: dict[str, Any]) -> dict[str, Any]:
    """Open sockets, subscribe, and count messages in the second part of the time."""
    viewers = [
        _connect(job["port"], is_sample=number % _SAMPLE_EVERY == 0)
        for number in range(job["sockets"])
    ]
    selector = selectors.DefaultSelector()
    for number, viewer in enumerate(viewers):
        for operation in range(job["operations"]):
            chart = (number * job["operations"] + operation) % job["charts"]
            variables = {"n": f"live{chart}", "t": job["throttle"]}
            payload = {"query": QUERY, "variables": variables}
            message = {"type": "subscribe", "id": str(operation), "payload": payload}
            viewer.connection.sendall(_frame(json.dumps(message).encode()))
        viewer.connection.setblocking(False)
        selector.register(viewer.connection, selectors.EVENT_READ, viewer)
    _read_until(selector, time.monotonic() + job["warmup"])
    for viewer in viewers:
        viewer.reset()
    began = time.monotonic()
    _read_until(selector, began + job["seconds"])
    return {
        "seconds": time.monotonic() - began,
        "messages": sum(viewer.message_count for viewer in viewers),
        "bytes": sum(viewer.byte_count for viewer in viewers),
        "delays": [delay for viewer in viewers for delay in viewer.delays],
    }


def _read_until(selector: selectors.BaseSelector, deadline: float) -> None:
    while (rest := deadline - time.monotonic()) > 0:
        for key, _ in selector.select(min(rest, 0.1)):
            key.data.read()


def send(job: dict[str, Any]) -> dict[str, Any]:
    """Record rows of all charts at a rate; return the rate that was reached."""
    starts = [
        b'{"metric_name":"live%d","value":' % (number % job["charts"])
        for number in range(_BATCH_ROWS)
    ]
    row_count, began = 0, time.monotonic()
    with Client(job["port"], timeout=30) as client:
        while (run_seconds := time.monotonic() - began) < job["seconds"]:
            if row_count > job["rate"] * run_seconds:
                time.sleep(0.001)
                continue
            end = b"%d}\n" % now_ms()
            status, answer = client.send(
                post("/metrics/batch", end.join([*starts, b""]), "application/x-ndjson")
            )
            if status != 200:
                raise SystemExit(answer.decode())
            row_count += _BATCH_ROWS
    return {"rows": row_count, "seconds": time.monotonic() - began}


if __name__ == "__main__":
    work = json.loads(sys.argv[1])
    result = view(work) if work["kind"] == "view" else send(work)
    sys.stdout.write(json.dumps(result) + "\n")
