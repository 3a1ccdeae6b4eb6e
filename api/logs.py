"""Logs: one JSON line for each record, without personal data."""

import datetime as dt
import logging
import threading
import time
from typing import Any, Final

import msgspec
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.headers import STREAM_KEY
from api.responses import error_answer, internal_error
from schema.errors import AnalyticsError

SLOW_SECONDS: Final = 1.0
"""Seconds from which a request is logged as slow."""

LINES_PER_SECOND: Final = 20
"""Request lines that are written in one second; others are counted."""

_LOG: Final = logging.getLogger("analytics.request")
_LIMITED_LOGGERS: Final = frozenset({_LOG.name, "analytics.openid"})
"""Loggers whose lines strangers cause."""

_REPORTS: Final = logging.getLogger("analytics")
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


class RequestLineLimit(logging.Filter):
    """Filter that passes a number of request lines in each second, and counts the others.

    A thread writes one line about those a second later. Errors always pass.
    """

    def __init__(self, handler: logging.Handler, lines_per_second: int) -> None:
        """Limit the lines of a handler."""
        super().__init__()
        self._handler = handler
        self._lines_per_second = lines_per_second
        self._lock = threading.Lock()
        self._second = 0
        self._line_count = 0
        self._suppressed_count = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether a record is written."""
        if record.name not in _LIMITED_LOGGERS or record.levelno >= logging.ERROR:
            return True
        with self._lock:
            if self._second != int(record.created):
                self._second, self._line_count = int(record.created), 0
            self._line_count += 1
            if self._line_count <= self._lines_per_second:
                return True
            self._suppressed_count += 1
            if self._suppressed_count == 1:
                timer = threading.Timer(1, self._report)
                timer.daemon = True
                timer.start()
        return False

    def _report(self) -> None:
        with self._lock:
            count, self._suppressed_count = self._suppressed_count, 0
        text = f"suppressed {count:,} request lines"
        record = _REPORTS.makeRecord(
            _REPORTS.name, logging.WARNING, __file__, 0, text, (), None, extra={"count": count}
        )
        self._handler.handle(record)


def log_to_stderr(*names: str) -> None:
    """Write the records of these loggers, and of no others, to stderr as JSON lines."""
    for name in names:
        logger = logging.getLogger(name)
        logger.setLevel(logging.INFO)
        logger.propagate = False
        if not logger.handlers:
            handler = logging.StreamHandler()
            handler.setFormatter(JsonLines())
            handler.addFilter(RequestLineLimit(handler, LINES_PER_SECOND))
            logger.addHandler(handler)


class LoggedRoute(Route):
    """A route of Starlette that names itself for the log, as FastAPI's routes do."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Say whether this is the route of a request."""
        match, child_scope = super().matches(scope)
        return match, {**child_scope, "route": self}


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
        log_request(scope, status, 0 if STREAM_KEY in scope else time.monotonic() - start)


def log_refusal(error: AnalyticsError) -> None:
    """Log a request that the server refused before it had a route."""
    extra = {"method": None, "route": None, "status": error.status, "ms": None, "code": error.code}
    _LOG.info("request", extra=extra)


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
