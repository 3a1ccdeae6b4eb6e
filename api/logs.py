"""Logs: one JSON line for each record, without personal data."""

import datetime as dt
import logging
import time
from typing import Any, Final

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.responses import error_answer, internal_error

SLOW_SECONDS: Final = 1.0
"""Seconds from which a request is logged as slow."""

_LOG: Final = logging.getLogger("analytics.request")
_STANDARD_FIELDS: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "color_message"}


class JsonLines(logging.Formatter):
    """Formatter of a record as one line of JSON: time, level, logger, message, extra fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as JSON."""
        moment = dt.datetime.fromtimestamp(record.created, dt.UTC)
        line: dict[str, Any] = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {
            name: value for name, value in vars(record).items() if name not in _STANDARD_FIELDS
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line, enc_hook=str).decode()


def log_to_stderr(*names: str) -> None:
    """Write the records of these loggers, and of no others, to stderr as JSON lines."""
    for name in names:
        logger = logging.getLogger(name)
        logger.setLevel(logging.INFO)
        logger.propagate = False
        if not logger.handlers:
            handler = logging.StreamHandler()
            handler.setFormatter(JsonLines())
            logger.addHandler(handler)


class RequestLog:
    """Middleware that logs failed and slow requests.

    It also answers an unexpected exception with a 500 that has the id of its log line.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and log it if it fails or takes over `SLOW_SECONDS`."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 0

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        start = time.monotonic()
        try:
            await self._app(scope, receive, watch)
        except Exception as error:  # noqa: BLE001 - the outermost place that can still answer
            ours = internal_error(error)
            if not status:
                await error_answer(ours)(scope, receive, watch)
        log_request(scope, status, time.monotonic() - start)


def log_request(scope: Scope, status: int, seconds: float) -> None:
    """Log a request that was answered with this status after `seconds`, if it failed or was slow.

    The log names the route, because a path may hold personal data.
    """
    if status >= 400 or seconds > SLOW_SECONDS:
        _LOG.log(
            logging.WARNING if status >= 500 or seconds > SLOW_SECONDS else logging.INFO,
            "request",
            extra={
                "method": scope["method"],
                "route": getattr(scope.get("route"), "path", None),
                "status": status,
                "ms": round(seconds * 1000, 1),
            },
        )
