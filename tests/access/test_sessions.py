"""Sessions: people sign in on the pages with a key; the cookie counts for our own pages only."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import pytest_asyncio

import access_commands
from schema.access import ALL_RIGHTS, KeyKind, RowFilter, Scope
from schema.filters import EventFilter, StringFilter
from settings import Settings
from store.access import sessions
from store.access.keys import Keys
from store.access.registry import KeyRequest
from store.access.sessions import SignIn
from tests.harness.access import bearer, error_code
from tests.harness.clock import DAY, HOUR, ManualClock
from tests.harness.service import Service, run_service, use_context

PAGE: Final = {"origin": "http://service", "sec-fetch-site": "same-origin"}
VIEWER: Final = {"query": "{viewer {session {id person userAgent apiKey {name}}}}"}
LIST: Final = {"query": "{sessions {id person userAgent apiKey {name} lastUsedAt}}"}


@pytest_asyncio.fixture(scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """Start a service in production."""
    data = tmp_path_factory.mktemp("data")
    settings = Settings(data=data, store=data / "store", production=True)
    async with run_service(settings) as production_service:
        yield production_service


@contextmanager
def browser(service: Service, **headers: str) -> Iterator[Service]:
    """Give a client that keeps cookies and sends what pages of the service send."""
    http = httpx.AsyncClient(
        transport=service.http._transport,
        base_url="http://service",
        headers=PAGE | {"user-agent": "Browser/1"} | headers,
    )
    yield Service(http, service.context)


async def make(service: Service, **request: Any) -> str:
    """Make a key, an ADMIN key by default; return its secret."""
    kind = request.pop("kind", KeyKind.ADMIN)
    name = request.pop("name", "ops")
    return (await service.context.store.keys.create(KeyRequest(name, kind, **request)))[1]


async def sign_in(page: Service, secret: str) -> httpx.Response:
    """Sign in with a key."""
    return await page.post("/session", {"key": secret})


async def session_id(page: Service) -> str | None:
    """Return the id of the session of a browser; None without one."""
    viewer = (await page.post("/graphql", VIEWER)).json().get("data", {}).get("viewer")
    return str(viewer["session"]["id"]) if viewer else None


async def test_sign_in_and_out(service: Service) -> None:
    """A session has the rights of its key in both APIs, until its person signs out."""
    secret = await make(service)
    with browser(service) as page:
        assert (await page.http.get("/metrics")).status_code == 401
        answer = await sign_in(page, f"  {secret}\n")
        assert answer.status_code == 204
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("analytics-session=")
        assert "HttpOnly; Max-Age=604" in cookie
        assert cookie.endswith("; Path=/; SameSite=strict")
        assert answer.headers["cache-control"] == "no-store"
        assert (await page.http.get("/metrics")).status_code == 200
        viewer = (await page.post("/graphql", VIEWER)).json()["data"]["viewer"]
        assert viewer["session"]["person"] == viewer["session"]["apiKey"]["name"] == "ops"
        assert viewer["session"]["userAgent"] == "Browser/1"
        caller = (await page.http.get("/session")).json()
        assert (caller["person"], caller["project"], caller["is_open"]) == ("ops", "default", False)
        assert caller["scopes"] == [scope.name for scope in Scope]
        stolen_cookies = dict(page.http.cookies)
        answer = await page.http.delete("/session")
        assert (answer.status_code, dict(page.http.cookies)) == (204, {})
        page.http.cookies.update(stolen_cookies)
        assert (await page.http.get("/metrics")).status_code == 401
        assert (await page.http.get("/session")).json()["person"] is None


@pytest.mark.parametrize(
    ("site", "origin", "is_ours"),
    [
        ("same-origin", "http://service", True),
        ("none", None, True),
        ("same-site", "http://service", False),
        ("same-site", "http://evil.service", False),
        ("cross-site", None, False),
        ("cross-site", "http://evil.example", False),
        (None, None, True),
        (None, "http://service", True),
        (None, "http://service.evil.example", False),
        (None, "http://service:8080", False),
        (None, "null", False),
    ],
)
async def test_pages_of_other_sites(
    service: Service, site: str | None, origin: str | None, *, is_ours: bool
) -> None:
    """A browser's cookie counts in requests of our pages; other pages can't sign in or out."""
    secret = await make(service)
    headers = {"sec-fetch-site": site, "origin": origin}
    other_headers = {name: text for name, text in headers.items() if text is not None}
    with browser(service) as page:
        await sign_in(page, secret)
        for name in headers:
            del page.http.headers[name]
        page.http.headers.update(other_headers)
        expected = 200 if is_ours else 401
        mutation = {"query": 'mutation {recordEvents(input: {events: [{name: "e"}]}) {accepted}}'}
        assert (await page.http.get("/metrics")).status_code == expected
        assert (await page.post("/graphql", VIEWER)).status_code == expected
        assert (await page.post("/graphql", mutation)).status_code == expected
        assert (await page.post("/events", {"event_name": "e"})).status_code == expected
        assert (await sign_in(page, secret)).status_code == (204 if is_ours else 403)
        assert (await page.http.delete("/session")).status_code == (204 if is_ours else 403)


async def test_cookies_of_https(service: Service) -> None:
    """A page on https gets a cookie that only https has, and no neighbouring name can set."""
    with browser(service, origin="https://service") as page:
        answer = await sign_in(page, await make(service))
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("__Host-analytics-session=")
        assert cookie.endswith("; Path=/; SameSite=strict; Secure")
        headers = {"cookie": cookie.partition(";")[0]}
        assert (await page.http.get("/metrics", headers=headers)).status_code == 200
        answer = await page.http.delete("/session", headers=headers)
        assert answer.headers["set-cookie"].startswith('__Host-analytics-session=""; HttpOnly; Max')
        assert (await page.http.get("/metrics", headers=headers)).status_code == 401


async def test_keys_that_sign_nobody_in(service: Service) -> None:
    """A key without QUERY, a wrong key, and no key at all are refused in the shape of errors."""
    public, recorder = (
        await make(service, kind=KeyKind.PUBLIC),
        await make(service, kind=KeyKind.SECRET, scopes=[Scope.RECORD]),
    )
    with browser(service) as page:
        for body, status, code in (
            ({"key": public}, 403, "FORBIDDEN"),
            ({"key": recorder}, 403, "FORBIDDEN"),
            ({"key": f"admin_{'x' * 43}"}, 401, "UNAUTHENTICATED"),
            ({"key": "ключ \x00"}, 401, "UNAUTHENTICATED"),
            ({"key": ""}, 401, "UNAUTHENTICATED"),
            ({"key": 1}, 400, "BAD_REQUEST"),
            ({}, 400, "BAD_REQUEST"),
            ({"key": public, "next": "/"}, 400, "BAD_REQUEST"),
            (b"{", 400, "BAD_REQUEST"),
            (b'{"key": "\xff"}', 400, "BAD_REQUEST"),
            (b'{"key": "\\ud800"}', 400, "BAD_REQUEST"),
            ({"key": "x" * 20_000}, 413, "PAYLOAD_TOO_LARGE"),
        ):
            answer = await page.post("/session", body)
            assert (answer.status_code, error_code(answer)) == (status, code), body
            assert "set-cookie" not in answer.headers
        answer = await page.post("/session", b"{}", **{"content-type": "text/plain"})
        assert answer.status_code == 415


async def test_revocation(service: Service) -> None:
    """An operator sees who is signed in, and ends a session at once; so does revoking its key."""
    keys = service.context.store.keys
    for session in keys.all_sessions():
        await keys.end_session(session.id)
    key, secret = await keys.create(KeyRequest("ops", KeyKind.ADMIN))
    with browser(service) as laptop, browser(service, **{"user-agent": "Phone"}) as phone:
        for page in (laptop, phone):
            await sign_in(page, secret)
        ids = [await session_id(laptop), await session_id(phone)]
        rows = (await laptop.post("/graphql", LIST)).json()["data"]["sessions"]
        assert [(row["id"], row["userAgent"]) for row in rows] == [
            (ids[0], "Browser/1"),
            (ids[1], "Phone"),
        ]
        assert all(row["lastUsedAt"] for row in rows)
        revoke = f'mutation {{revokeSession(input: {{id: "{ids[1]}"}}) {{session {{person}}}}}}'
        answer = await laptop.post("/graphql", {"query": revoke})
        assert answer.json()["data"] == {"revokeSession": {"session": {"person": "ops"}}}
        assert (await phone.http.get("/metrics")).status_code == 401
        assert (await laptop.http.get("/metrics")).status_code == 200
        answer = await laptop.post("/graphql", {"query": revoke})
        assert error_code(answer) == "NOT_FOUND"
        await keys.revoke(key.id)
        assert (await laptop.http.get("/metrics")).status_code == 401
        assert keys.all_sessions() == []


async def test_commands(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    """The command line lists sessions, and a running service refuses what it revokes."""
    data = str(service.context.store.keys._file._folder)
    with browser(service, **{"user-agent": "Evil\t31m"}) as page:
        await sign_in(page, await make(service, name="night\u202eshift"))
        current_id = await session_id(page)
        assert current_id
        assert access_commands.main(["sessions", "list", "--data", data]) == 0
        rows = capsys.readouterr().out.splitlines()
        assert rows[0].split() == ["ID", "PERSON", "KEY", "UNTIL", "LAST", "USED", "BROWSER"]
        row = next(row for row in rows if current_id in row)
        assert "night shift" in row
        assert row.endswith("Evil 31m")
        assert access_commands.main(["sessions", "revoke", current_id, "--data", data]) == 0
        for _ in range(500):
            if (await page.http.get("/metrics")).status_code == 401:
                break
            await asyncio.sleep(0.01)
        assert (await page.http.get("/metrics")).status_code == 401
        assert access_commands.main(["sessions", "revoke", current_id, "--data", data]) == 2


async def test_rights_of_a_session(service: Service) -> None:
    """A session has the project and the row filter of its key; an admin may name a project."""
    keys = service.context.store.keys
    await keys.create_project("shop")
    row_filter = RowFilter(events=EventFilter(name=StringFilter(eq="seen")))
    reader = await make(
        service, kind=KeyKind.SECRET, scopes=[Scope.QUERY], project="shop", row_filter=row_filter
    )
    admin = await make(service)
    shop = {"analytics-project": "shop"}
    with browser(service) as page, browser(service) as admin_page:
        await sign_in(admin_page, admin)
        for name in ("seen", "hidden"):
            await admin_page.post("/events", {"event_name": name}, **shop)
        await sign_in(page, reader)
        events = (await page.http.get("/events")).json()["events"]
        assert [event["event_name"] for event in events] == ["seen"]
        assert (await page.post("/events", {"event_name": "e"})).status_code == 403
        answer = await page.http.get("/events", headers={"analytics-project": "default"})
        assert answer.status_code == 404
        events = (await admin_page.http.get("/events", headers=shop)).json()["events"]
        assert len(events) == 2
        headers = bearer(reader)
        caller = (await admin_page.http.get("/session", headers=headers)).json()
        assert (caller["person"], caller["project"]) == (None, "shop"), "a key in the header wins"


async def test_signing_out_twice(service: Service) -> None:
    """Who signs out in two windows at once is signed out in both, without an error."""
    with browser(service) as page:
        await sign_in(page, await make(service))
        answers = await asyncio.gather(*(page.http.delete("/session") for _ in range(5)))
        assert {answer.status_code for answer in answers} == {204}
        assert await session_id(page) is None


async def test_a_second_sign_in(service: Service) -> None:
    """Who signs in again has one session: the former one has ended, and its key stays as it is."""
    with browser(service) as page:
        await sign_in(page, await make(service))
        former_cookies = dict(page.http.cookies)
        former_id = await session_id(page)
        answer = await sign_in(page, f"admin_{'x' * 43}")
        assert (answer.status_code, await session_id(page)) == (401, former_id)
        await sign_in(page, await make(service))
        assert await session_id(page) not in {former_id, None}
        page.http.cookies.update(former_cookies)
        assert (await page.http.get("/metrics")).status_code == 401


async def test_viewers_of_one_key(service: Service) -> None:
    """People who signed in with the same key and ask at the same time each see their session."""
    secret = await make(service)
    with browser(service) as first, browser(service) as second:
        for page in (first, second):
            await sign_in(page, secret)
        ids = await asyncio.gather(*(session_id(page) for page in (first, second) * 10))
        assert len(set(ids)) == 2
        assert ids[:2] * 10 == ids


async def test_open_service(service: Service) -> None:
    """In development nobody needs to sign in; who does has the rights of his key."""
    secret = await make(service, kind=KeyKind.SECRET, scopes=[Scope.QUERY])
    open_context = dataclasses.replace(service.context, grant=ALL_RIGHTS)
    with use_context(service, open_context), browser(service) as page:
        caller = (await page.http.get("/session")).json()
        assert (caller["is_open"], caller["person"]) == (True, None)
        assert len(caller["scopes"]) == len(Scope)
        await sign_in(page, secret)
        assert (await page.http.get("/session")).json()["scopes"] == ["QUERY"]
        assert (await page.http.delete("/events")).status_code == 403


async def test_sessions_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new process knows the sessions and their uses, not their secrets; they expire."""
    clock = ManualClock(monkeypatch)
    keys = Keys(tmp_path)
    keys.open()
    key, _ = await keys.create(KeyRequest("ops", KeyKind.ADMIN))
    session, secret = await keys.start_session(SignIn(key.id, "ops", "Browser", DAY))
    assert keys.find_session(secret.encode())
    await keys.close()
    assert secret not in (tmp_path / "access.json").read_text()
    after = Keys(tmp_path)
    after.open()
    assert [entry.id for entry in after.all_sessions()] == [session.id]
    assert after.all_sessions()[0].last_used_ms
    clock.wait(DAY - HOUR)
    assert after.find_session(secret.encode())
    assert after.find_session(secret[:-1].encode()) is None
    clock.wait(HOUR)
    assert after.find_session(secret.encode()) is None
    assert after.all_sessions() == []
    await after.start_session(SignIn(key.id, "ops", "Browser", DAY))
    assert len(after.registry.sessions) == 1, "the expired one is forgotten"
    await after.close()


async def test_number_of_sessions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many sessions end the oldest: of the same key first, then of all."""
    monkeypatch.setattr(sessions, "MAX_SESSIONS_OF_KEY", 3)
    monkeypatch.setattr(sessions, "MAX_SESSIONS", 5)
    keys = Keys(tmp_path)
    key_ids = [(await keys.create(KeyRequest(name, KeyKind.ADMIN)))[0].id for name in "ab"]
    for number in range(4):
        await keys.start_session(SignIn(key_ids[0], f"a{number}", "", DAY))
    assert [session.person for session in keys.all_sessions()] == ["a1", "a2", "a3"]
    for number in range(3):
        await keys.start_session(SignIn(key_ids[1], f"b{number}", "", DAY))
    assert [session.person for session in keys.all_sessions()] == ["a2", "a3", "b0", "b1", "b2"]
