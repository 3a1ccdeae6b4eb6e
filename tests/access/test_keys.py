"""Keys: made, found, revoked; on the disk, beside other writers, after a restart."""

import asyncio
import os
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.access import SCOPES, KeyKind, Scope
from schema.errors import AnalyticsError
from schema.scalars import DurationMs
from store.access import registry
from store.access.keys import Keys
from store.access.locked_file import UnusableFileError
from store.access.registry import KeyRequest, Registry, RegistryFile, add_key, revoke_key
from store.clock import wall_ms
from tests.harness.clock import DAY, HOUR, ManualClock

ADMIN = KeyRequest("admin", KeyKind.ADMIN)


async def test_secrets_are_random_and_not_stored(tmp_path: Path) -> None:
    """A secret has its kind and 256 random bits; the folder keeps its prefix only."""
    keys = Keys(tmp_path)
    pairs = [await keys.create(KeyRequest("k", kind)) for kind in KeyKind for _ in range(3)]
    secrets = {secret for _, secret in pairs}
    assert len(secrets) == 9
    stored_text = (tmp_path / "access.json").read_text()
    for key, secret in pairs:
        prefix, _, random = secret.partition("_")
        assert (prefix, len(random)) == (str(key.kind.value), 43)
        assert secret.startswith(key.prefix)
        assert key.prefix in stored_text
        assert random[8:] not in stored_text
    assert (tmp_path / "access.json").stat().st_mode & 0o777 == 0o600


async def test_keys_survive_a_restart(tmp_path: Path) -> None:
    """A new process finds the keys, their revocations and their latest uses."""
    before = Keys(tmp_path)
    before.open()
    used_key, secret = await before.create(ADMIN)
    revoked_key, revoked_secret = await before.create(ADMIN)
    await before.revoke(revoked_key.id)
    start = wall_ms()
    before.find(secret.encode())
    await before.close()
    after = Keys(tmp_path)
    after.open()
    assert [key.id for key in after.all_keys()] == [used_key.id, revoked_key.id]
    assert start <= (after.all_keys()[0].last_used_ms or 0) <= wall_ms()
    assert after.find(secret.encode()).id == used_key.id
    with pytest.raises(AnalyticsError, match="was revoked"):
        after.find(revoked_secret.encode())
    await after.close()


async def test_expiry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key is refused from its expiry on, and only then."""
    clock = ManualClock(monkeypatch)
    keys = Keys(tmp_path)
    _, secret = await keys.create(ADMIN._replace(expires_in=DurationMs(DAY)))
    clock.wait(DAY - HOUR)
    keys.find(secret.encode())
    clock.wait(HOUR)
    with pytest.raises(AnalyticsError, match="has expired"):
        keys.find(secret.encode())


async def test_another_process_changes_the_keys(tmp_path: Path) -> None:
    """A key of another process is found at once; its revocation counts within a second."""
    keys = Keys(tmp_path)
    keys.open()
    other_file = RegistryFile(tmp_path)
    with other_file.change() as file_keys:
        key, secret = add_key(file_keys, ADMIN, 0)
    assert keys.find(secret.encode()).id == key.id
    with other_file.change() as file_keys:
        revoke_key(file_keys, key.id, 1)
    for _ in range(1000):
        await asyncio.sleep(0.01)
        if keys.by_id(key.id).revoked_ms:  # type: ignore[union-attr]  # it exists
            break
    with pytest.raises(AnalyticsError, match="was revoked"):
        keys.find(secret.encode())
    await keys.close()


async def test_concurrent_writers_lose_no_key(tmp_path: Path) -> None:
    """Keys that threads, tasks and uses write at the same time are all there."""
    keys = Keys(tmp_path)
    keys.open()

    def write() -> None:
        for _ in range(20):
            with RegistryFile(tmp_path).change() as file_keys:
                add_key(file_keys, ADMIN, 0)

    threads = [threading.Thread(target=write) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        _, secret = await keys.create(ADMIN)
        keys.find(secret.encode())
        await keys._save_uses()
    for thread in threads:
        await asyncio.to_thread(thread.join)
    await keys.close()
    stored_keys = RegistryFile(tmp_path).read().keys
    assert len(stored_keys) == 60
    assert sum(key.last_used_ms is not None for key in stored_keys) == 20


DAMAGES = [b"", b"{", b"[]", b'{"version":1,"keys":[{"id":1}]}', b'{"other":1}', b"\xff"]


@pytest.mark.parametrize("content", DAMAGES)
async def test_damaged_file(tmp_path: Path, content: bytes) -> None:
    """A damaged file is an error of the start; while the service runs, its keys stay."""
    keys = Keys(tmp_path)
    keys.open()
    _, secret = await keys.create(ADMIN)
    (tmp_path / "access.json").write_bytes(content)
    with pytest.raises(AnalyticsError, match="unknown"):
        keys.find(b"admin_unknown")
    keys.find(secret.encode())
    with pytest.raises(AnalyticsError, match="can't be changed now"):
        await keys.create(ADMIN)
    assert (tmp_path / "access.json").read_bytes() == content
    await keys.close()
    with pytest.raises(UnusableFileError, match="damaged"):
        Keys(tmp_path).open()


WRONG_REQUESTS: list[tuple[dict[str, Any], str, str]] = [
    ({"name": ""}, "name", "1 to 100"),
    ({"name": "x" * 101}, "name", "1 to 100"),
    ({"name": "a\nb"}, "name", "control"),
    ({"scopes": []}, "scopes", "empty"),
    ({"scopes": [Scope.QUERY]}, "scopes", "ADMIN key has all"),
    ({"kind": KeyKind.PUBLIC, "scopes": [Scope.QUERY]}, "scopes", "can't have QUERY"),
    ({"kind": KeyKind.SECRET, "scopes": list(Scope)}, "scopes", "can't have DELETE, MANAGE_ACCESS"),
    ({"origins": ["https://a.example"]}, "origins", "only a PUBLIC"),
    ({"kind": KeyKind.PUBLIC, "origins": ["https://a.example/"]}, "origins", "no slash"),
    ({"kind": KeyKind.PUBLIC, "origins": ["HTTPS://A.example"]}, "origins", "lower case"),
    ({"kind": KeyKind.PUBLIC, "origins": ["null"]}, "origins", "https://app"),
    ({"kind": KeyKind.PUBLIC, "origins": ["https://a"] * 21}, "origins", "at most 20"),
    ({"expires_in": DurationMs(0)}, "expiresIn", "positive"),
    ({"expires_in": DurationMs(0, months=1)}, "expiresIn", "months vary"),
    ({"expires_in": DurationMs(10**15)}, "expiresIn", "at most"),
]


@pytest.mark.parametrize(("changes", "field", "message"), WRONG_REQUESTS)
def test_wrong_requests(changes: dict[str, Any], field: str, message: str) -> None:
    """A wrong wish for a key names the field, and makes none."""
    keys = Registry()
    with pytest.raises(AnalyticsError, match=message) as error:
        add_key(keys, ADMIN._replace(**changes), 0)
    assert (error.value.field, keys.keys) == (field, [])


def test_number_of_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Above the limit, a new key replaces the oldest unusable one; without one it is refused."""
    monkeypatch.setattr(registry, "MAX_KEYS", 3)
    keys = Registry()
    first, second, third = (add_key(keys, ADMIN, now)[0].id for now in range(3))
    with pytest.raises(AnalyticsError, match="the maximum"):
        add_key(keys, ADMIN, 3)
    revoke_key(keys, second, 3)
    fourth = add_key(keys, ADMIN, 4)[0].id
    assert [key.id for key in keys.keys] == [first, third, fourth]


@given(kind=st.sampled_from(KeyKind), scopes=st.none() | st.sets(st.sampled_from(Scope)))
def test_a_key_has_no_scope_beyond_its_kind(kind: KeyKind, scopes: set[Scope] | None) -> None:
    """Whatever scopes are wished, a key that is made has them, and none beyond its kind."""
    keys = Registry()
    request = KeyRequest("k", kind, None if scopes is None else list(scopes))
    is_allowed = scopes is None or (
        scopes == SCOPES[kind] if kind is KeyKind.ADMIN else bool(scopes) and scopes <= SCOPES[kind]
    )
    if is_allowed:
        key, _ = add_key(keys, request, 0)
        assert set(key.scopes) == (SCOPES[kind] if scopes is None else scopes)
    else:
        with pytest.raises(AnalyticsError) as error:
            add_key(keys, request, 0)
        assert error.value.field == "scopes"


def test_root_gives_the_file_to_the_owner_of_the_folder(tmp_path: Path) -> None:
    """A key that root makes can be read by the user of the service."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    os.chown(tmp_path, 12345, 12346)
    with RegistryFile(tmp_path).change() as keys:
        add_key(keys, ADMIN, 0)
    for name in ("access.json", "access.lock"):
        stat = (tmp_path / name).stat()
        assert (stat.st_uid, stat.st_gid) == (12345, 12346)


def test_the_file_is_readable_by_people(tmp_path: Path) -> None:
    """The file is indented JSON with a version."""
    with RegistryFile(tmp_path).change() as keys:
        add_key(keys, ADMIN, 1_795_000_000_000)
    text = (tmp_path / "access.json").read_text()
    assert text.startswith('{\n  "version": 1,\n')
    assert msgspec.json.decode(text)["keys"][0]["kind"] == "admin"
