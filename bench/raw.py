"""The upper bound: an ASGI application that reads a body and returns a constant.

It decodes and stores nothing. What it takes, uvicorn and the sockets take. Its responses are as
long as those of the service.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

_Message = MutableMapping[str, Any]

_END = b'"timestamp":"2025-10-30T12:34:56.789Z","service":"analytics-service"}'
_BODIES = {
    "/metrics": b'{"success":true,"metric_id":"metric_019a34f2-6c1f-7a41-8000-000000000001",'
    b'"metric_name":"page_views_0","value":67.18,' + _END,
    "/events": b'{"success":true,"event_id":"event_019a34f2-6c1f-7a41-8000-000000000001",'
    b'"event_name":"user_signup_0",' + _END,
}


async def app(
    scope: _Message,
    receive: Callable[[], Awaitable[_Message]],
    send: Callable[[_Message], Awaitable[None]],
) -> None:
    if scope["type"] != "http":
        return
    chunks = []
    is_complete = False
    while not is_complete:
        message = await receive()
        chunks.append(message.get("body", b""))
        is_complete = not message.get("more_body", False)
    b"".join(chunks)
    body = _BODIES.get(scope["path"], b"{}")
    headers = [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")]
    status = 200 if scope["path"] in _BODIES else 404
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
