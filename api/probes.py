"""What operators see: probes, and one-line JSON logs without personal data."""

import datetime as dt
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeAlias

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.bodies import answer, error_answer, unexpected
from resolvers.context import Context
from store import Store
from store.journal.row_counts import Account

SLOW_SECONDS: Final = 1.0

_LOG: Final = logging.getLogger("analytics.request")
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "color_message"}


async def livez(_: Request) -> Response:
    """Answer 200 as long as the process answers at all."""
    return answer({"alive": True})


async def readyz(request: Request) -> Response:
    """Answer 200 when rows can be recorded and queried, else 503 with what is not ready."""
    ctx: Context = request.app.state.context
    problems = ctx.store.problems()
    return answer({"ready": not problems, "problems": problems}, 503 if problems else 200)


class _Rows(Collector):
    """Reads the store's accounts when it is asked."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def collect(self) -> Iterator[Metric]:
        """Give each figure of each stream. Counters begin at 0 with the process."""
        accounts = self._store.accounts()
        for name, text, value in _COUNTERS:
            counter = CounterMetricFamily(f"analytics_rows_{name}", text, labels=["stream"])
            for account in accounts:
                counter.add_metric([account.stream], value(account))
            yield counter
        for name, text, value in _GAUGES:
            gauge = GaugeMetricFamily(f"analytics_{name}", text, labels=["stream"])
            for account in accounts:
                gauge.add_metric([account.stream], value(account))
            yield gauge


_Figures: TypeAlias = tuple[tuple[str, str, Callable[[Account], int]], ...]

_COUNTERS: Final[_Figures] = (
    ("received", "Rows that came in requests.", lambda of: of.ledger.received),
    ("stored", "Rows that were acknowledged as durable.", lambda of: of.ledger.stored),
    ("duplicates", "Rows whose id was recorded before.", lambda of: of.ledger.duplicates),
    ("rejected", "Rows that are not valid.", lambda of: of.ledger.rejected),
    ("unavailable", "Rows refused for now, with 503.", lambda of: of.ledger.unavailable),
    ("recovered", "Rows found in the journal at the start.", lambda of: of.recovered),
    ("loaded", "Rows moved from the journal to their table.", lambda of: of.loaded),
    ("set_aside", "Rows set aside, unreadable to the engine.", lambda of: of.set_aside),
)
_GAUGES: Final[_Figures] = (
    ("rows_pending", "Rows whose requests are not answered yet.", lambda of: of.ledger.pending),
    ("rows_waiting", "Acknowledged rows that wait for the engine.", lambda of: of.waiting),
    ("journal_bytes", "Bytes of the rows that wait.", lambda of: of.journal_bytes),
    ("journal_torn_bytes", "Bytes of torn ends, set aside.", lambda of: of.torn_bytes),
    ("set_aside_rows", "Rows that are set aside in all.", lambda of: of.refused),
)


async def internal_metrics(request: Request) -> Response:
    """Answer with the accounts of all rows as Prometheus text."""
    ctx: Context = request.app.state.context
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Rows(ctx.store))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


class JsonLines(logging.Formatter):
    """Formats a record as one line of JSON: time, level, logger, message, and its extras."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        moment = dt.datetime.fromtimestamp(record.created, dt.UTC)
        line: dict[str, Any] = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {key: val for key, val in vars(record).items() if key not in _STANDARD}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line, enc_hook=str).decode()


def log_to_stderr(*names: str) -> None:
    """Send these loggers, and only these, to stderr as JSON lines."""
    for name in names:
        logger = logging.getLogger(name)
        logger.setLevel(logging.INFO)
        logger.propagate = False
        if not logger.handlers:
            handler = logging.StreamHandler()
            handler.setFormatter(JsonLines())
            logger.addHandler(handler)


class RequestLog:
    """Logs requests that failed or were slow, by route: paths and queries may name people.

    It also turns what nobody caught into an answer: an error id for the caller, a log line for us.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and look at how it ends."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 0

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        began = time.monotonic()
        try:
            await self._app(scope, receive, watch)
        except Exception as error:  # noqa: BLE001 - the last place where it can be answered
            ours = unexpected(error)
            if not status:
                await error_answer(ours)(scope, receive, watch)
        seconds = time.monotonic() - began
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
