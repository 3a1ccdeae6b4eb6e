"""Bodies of bulk writes, with the same points in each format.

post.lua replaces the placeholders for ids and times in every request.
"""

import random
import secrets
import time

from bench.data import HOSTS

ID = b"@" * 20
SCATTERED_TIME = b"#" * 13
RISING_TIME = b"%" * 13

_BODIES = 8
_HOUR_MS = 3_600_000


def ndjson(rows: int, *, ids: bool = False) -> list[bytes]:
    """Return NDJSON bodies for this service; every second body has timestamps."""
    own_id = f'"id":"{ID.decode()}",' if ids else ""
    return [
        "\n".join(
            f'{{{own_id}"metric_name":"cpu_load","value":{value},'
            f'"tags":{{"host":"{host}","dc":"eu"}}{_timestamp(n)}}}'
            for host, value in _points(rows, n)
        ).encode()
        for n in range(_BODIES)
    ]


def line_protocol(rows: int, *, always_timestamped: bool) -> list[bytes]:
    """Return bodies of line protocol, with timestamps in milliseconds in every second body.

    InfluxDB keeps one point for each series and time. It gives the same time to all lines
    without a timestamp. `always_timestamped` therefore puts rising times into those bodies.
    """
    missing_time = f" {RISING_TIME.decode()}" if always_timestamped else ""
    return [
        "\n".join(
            f"cpu_load,host={host},dc=eu value={value}"
            + (f" {SCATTERED_TIME.decode()}" if n % 2 else missing_time)
            for host, value in _points(rows, n)
        ).encode()
        for n in range(_BODIES)
    ]


def series(count: int, points: int) -> list[bytes]:
    """Return bodies of `count` lines, each a series with arrays of `points` times and values."""
    return _by_series(count, points, '"metric_name":"cpu_load","tags":{{"host":"{}","dc":"eu"}}')


def victoria_series(count: int, points: int) -> list[bytes]:
    """Return bodies with the points of `series` as JSON lines for VictoriaMetrics."""
    return _by_series(count, points, '"metric":{{"__name__":"cpu_load","host":"{}","dc":"eu"}}')


def fill_placeholders(body: bytes) -> bytes:
    """Fill a body as post.lua does, with ids and times that post.lua never uses."""
    parts = body.split(ID)
    body = parts[0] + b"".join(secrets.token_hex(10).encode() + part for part in parts[1:])
    start = time.time_ns() // 1_000_000 - 4 * _HOUR_MS + random.randrange(_HOUR_MS)
    for mark in (SCATTERED_TIME, RISING_TIME):
        first, *rest = body.split(mark)
        body = first + b"".join(b"%d%s" % (start + n // HOSTS, p) for n, p in enumerate(rest))
    return body


def _points(rows: int, seed: int) -> list[tuple[str, float]]:
    """Return points of rotating hosts, with values of at most two decimals."""
    source = random.Random(rows + seed)
    return [(f"h{row % HOSTS}", source.randrange(2000) / 20) for row in range(rows)]


def _timestamp(body: int) -> str:
    return f',"timestamp":{SCATTERED_TIME.decode()}' if body % 2 else ""


def _by_series(count: int, points: int, head: str) -> list[bytes]:
    times = ",".join([RISING_TIME.decode()] * points)
    bodies = []
    for n in range(_BODIES):
        source = random.Random(count + n)
        bodies.append(
            "\n".join(
                f"{{{head.format(f'h{number % HOSTS}')},"
                f'"values":[{",".join(str(source.randrange(2000) / 20) for _ in range(points))}],'
                f'"timestamps":[{times}]}}'
                for number in range(count)
            ).encode()
        )
    return bodies
