"""Compressed bodies: gzip is accepted, bombs and damaged bodies are rejected early."""

import functools
import gzip
import itertools
import zlib

import httpx
import pytest

from tests.harness.apis import error_summary, first_error, get, stored_totals
from tests.harness.service import Service

LINE = b'{"metric_name":"zipped","value":1}\n'
GZIP = {"content-encoding": "gzip"}
MEGABYTES_16 = 16 * 2**20


async def post(service: Service, body: bytes, path: str = "/metrics/batch") -> httpx.Response:
    """POST a gzip body."""
    return await service.post(path, body, **GZIP)


async def test_every_route_unzips(service: Service) -> None:
    """Every POST route takes gzip bodies."""
    event = b'{"event_name":"zipped"}'
    query = b'{"query":"{health {status}}"}'
    for path, body in (
        ("/metrics", LINE),
        ("/metrics/batch", LINE),
        ("/events", event),
        ("/events/batch", b"[" + event + b"]"),
        ("/graphql", query),
    ):
        assert (await post(service, gzip.compress(body), path)).status_code == 200
    assert await stored_totals(service) == {"metrics": 2, "events": 2, "names": 1}


async def test_members(service: Service) -> None:
    """A gzip body of several members is their concatenation, even if they split rows."""
    before = (await get(service, "/metrics/zipped"))["count"]
    whole = LINE * 1000
    cuts = [0, 1, 7, 7, 20_000, len(whole)]
    members = [gzip.compress(whole[a:b]) for a, b in itertools.pairwise(cuts)]
    assert (await post(service, b"".join(members))).json()["accepted"] == 1000
    one_by_one = b"".join(gzip.compress(LINE) for _ in range(1000))
    assert (await post(service, one_by_one)).json()["accepted"] == 1000
    assert (await get(service, "/metrics/zipped"))["count"] == before + 2000


async def test_empty_members_by_the_hundred_thousand(service: Service) -> None:
    """Members are read in one pass: 200,000 empty members before a row are accepted."""
    body = gzip.compress(b"") * 200_000 + gzip.compress(LINE)
    assert (await post(service, body)).json()["accepted"] == 1


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
async def test_truncated(service: Service, share: float) -> None:
    """A truncated gzip body is a 400, and stores nothing."""
    before = await stored_totals(service)
    body = gzip.compress(LINE * 1000)
    answer = await post(service, body[: int(len(body) * share)])
    assert error_summary(answer) == (400, "BAD_REQUEST", None, None)
    assert first_error(answer)["message"] == "The gzip body is not whole."
    second = gzip.compress(LINE) + gzip.compress(LINE)[:-1]
    assert error_summary(await post(service, second))[:2] == (400, "BAD_REQUEST")
    assert await stored_totals(service) == before


def corrupt() -> dict[str, bytes]:
    """Return bodies that are not gzip, or damaged gzip."""
    body = gzip.compress(LINE * 10)
    return {
        "plain": LINE,
        "zlib": zlib.compress(LINE),
        "deflate": zlib.compress(LINE, wbits=-15),
        "checksum": body[:-8] + bytes([body[-8] ^ 1]) + body[-7:],
        "length": body[:-4] + bytes([body[-4] ^ 1]) + body[-3:],
        "middle": body[:20] + bytes([body[20] ^ 255]) + body[21:],
        "junk after": body + b"junk",
        "zeros after": body + b"\0" * 512,
        "twice": gzip.compress(body),
    }


@pytest.mark.parametrize("kind", sorted(corrupt()))
async def test_corrupt(service: Service, kind: str) -> None:
    """A body that is not valid gzip of rows is a 4xx, and stores nothing."""
    before = await stored_totals(service)
    answer = await post(service, corrupt()[kind])
    expected = (422, "BAD_USER_INPUT") if kind == "twice" else (400, "BAD_REQUEST")
    assert error_summary(answer)[:2] == expected
    assert await stored_totals(service) == before


@functools.cache
def bombs() -> list[bytes]:
    """Return 200 MB in 200 KB, as one member and as ten."""
    return [gzip.compress(b" " * 200 * 2**20), gzip.compress(b" " * 20 * 2**20) * 10]


@pytest.mark.parametrize(
    ("path", "limit"),
    [
        ("/metrics", 2**20),
        ("/events", 2**20),
        ("/metrics/batch", MEGABYTES_16),
        ("/events/batch", MEGABYTES_16),
        ("/graphql", MEGABYTES_16),
    ],
)
async def test_bomb(service: Service, path: str, limit: int) -> None:
    """A bomb of 200 MB in 200 KB, as one member or many, is a 413 that names the limit."""
    for bomb in bombs():
        answer = await post(service, bomb, path)
        assert error_summary(answer) == (413, "PAYLOAD_TOO_LARGE", None, limit)


async def test_exactly_the_limit(service: Service) -> None:
    """The limit is on the unzipped body, to the byte, however many members it has."""
    for size, status in ((MEGABYTES_16, 200), (MEGABYTES_16 + 1, 413)):
        whole = LINE.ljust(size)
        for body in (
            gzip.compress(whole),
            gzip.compress(whole[:100]) + gzip.compress(whole[100:]),
            gzip.compress(whole) + gzip.compress(b""),
        ):
            assert (await post(service, body)).status_code == status


async def test_empty_bodies(service: Service) -> None:
    """An empty body is an empty batch, zipped or not."""
    for body in (b"", gzip.compress(b""), gzip.compress(b"\n")):
        assert error_summary(await post(service, body)) == (422, "BAD_USER_INPUT", None, None)


@pytest.mark.parametrize("encoding", ["br", "deflate", "zstd", "gzip, gzip", "gzip,br", "x" * 9000])
async def test_other_encodings(service: Service, encoding: str) -> None:
    """Any other encoding is a 415 that repeats at most 40 characters of the header."""
    answer = await service.post("/metrics/batch", LINE, **{"content-encoding": encoding})
    assert error_summary(answer) == (415, "UNSUPPORTED_MEDIA_TYPE", None, None)
    message = f"Content-Encoding {encoding[:40]!r} is not supported; use gzip or none."
    assert first_error(answer)["message"] == message


@pytest.mark.parametrize("encoding", ["GZIP", " gzip ", "x-gzip"])
async def test_names_of_gzip(service: Service, encoding: str) -> None:
    """Names of encodings ignore case; x-gzip is an old name of gzip."""
    headers = {"content-encoding": encoding}
    answer = await service.post("/metrics/batch", gzip.compress(LINE), **headers)
    assert answer.json()["accepted"] == 1
    identity = await service.post("/metrics/batch", LINE, **{"content-encoding": "Identity"})
    assert identity.json()["accepted"] == 1
