"""Keys of a service under test, and requests with them."""

import contextlib
import io
from pathlib import Path
from typing import Any

import httpx

import access_commands
from schema.access import KeyKind, Scope
from schema.scalars import DurationMs
from store.access.registry import KeyRequest
from tests.harness.service import Service

CALLERS = ("none", "wrong", "revoked", "expired", "public", "secret", "reader", "admin")
"""Callers by the state and the kind of their key; a reader has only the scope QUERY."""

_REQUESTS = {
    "revoked": KeyRequest("revoked", KeyKind.ADMIN),
    "expired": KeyRequest("expired", KeyKind.ADMIN, expires_in=DurationMs(1)),
    "public": KeyRequest("public", KeyKind.PUBLIC),
    "secret": KeyRequest("secret", KeyKind.SECRET),
    "reader": KeyRequest("reader", KeyKind.SECRET, scopes=[Scope.QUERY]),
    "admin": KeyRequest("admin", KeyKind.ADMIN),
}

SCOPES = {
    "public": {Scope.RECORD},
    "secret": {Scope.RECORD, Scope.QUERY, Scope.DESCRIBE},
    "reader": {Scope.QUERY},
    "admin": set(Scope),
}
"""The scopes of each caller with a valid key."""


async def make_keys(service: Service) -> dict[str, str]:
    """Make a key for each caller but the first two; return the secrets by caller."""
    keys = service.context.store.keys
    secrets = {"wrong": f"admin_{'x' * 43}"}
    for caller, request in _REQUESTS.items():
        key, secrets[caller] = await keys.create(request)
        if caller == "revoked":
            await keys.revoke(key.id)
    return secrets


def make_key(*arguments: str, data: Path) -> str:
    """Make a key of a data folder by the command line; return its secret."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        assert access_commands.main(["keys", "create", *arguments, "--data", str(data)]) == 0
    return output.getvalue().strip()


def bearer(secret: str | None) -> dict[str, str]:
    """Return the header of a key; none without one."""
    return {"authorization": f"Bearer {secret}"} if secret else {}


def as_caller(service: Service, secret: str) -> Service:
    """Return a service whose requests carry a key."""
    transport = service.http._transport
    http = httpx.AsyncClient(transport=transport, base_url="http://service", headers=bearer(secret))
    return Service(http, service.context)


def error_code(answer: httpx.Response) -> str | None:
    """Return the code of the first error of an answer, of both APIs; None without an error."""
    if "json" not in answer.headers.get("content-type", ""):
        return None
    content: Any = answer.json()
    errors = content.get("errors") if isinstance(content, dict) else None
    return errors[0].get("extensions", {}).get("code") if errors else None
