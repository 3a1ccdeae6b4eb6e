"""The driver of the engine: a connection, its results and its errors.

It is the only module that imports chDB.
"""

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from store.query.sql import Statement

_CODE: Final = re.compile(r"Code: (\d+)\.")
_NAME: Final = re.compile(r"\(([A-Z][A-Z0-9_]+)\)")

_SELECT_ONE: Final = Statement("SELECT 1")
_DRAIN_TRIES: Final = 20


class EngineError(RuntimeError):
    """An error of the engine, with ClickHouse's `code` (0 if it gave none) and `name`."""

    def __init__(self, message: str) -> None:
        """Parse code and name of the engine's message."""
        super().__init__(message)
        code = _CODE.search(message)
        names = _NAME.findall(message)
        self.code = int(code[1]) if code else 0
        self.name = names[-1] if names else "UNKNOWN"


@contextlib.contextmanager
def _engine_errors() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise EngineError(str(error)) from None
    except UnicodeDecodeError as error:  # the message quotes bytes that are not UTF-8
        raise EngineError(error.object.decode(errors="replace")) from None


class Answer(NamedTuple):
    """The result of a query in one of the engine's formats, and the number of rows it read."""

    data: bytes
    rows_read: int


@dataclass(frozen=True, slots=True)
class Connection:
    """A driver connection with one user at a time.

    `name` is the log comment of its statements; `KILL QUERY` finds a running statement by it.
    """

    name: str
    driver: Any

    def run(self, statement: Statement, output: str) -> Any:  # noqa: ANN401 - untyped driver
        """Run a statement; return the driver's result, in one of the engine's formats."""
        try:
            return self._query(statement, output)
        except EngineError:
            self.drain()
            raise

    def drain(self) -> None:
        """Discard output that a failed or cancelled query left; the next query would return it.

        One of two queries that fail after partial output leaves it on the connection. One of some
        thousand cancelled queries leaves rows, or an end of stream.
        """
        for _ in range(_DRAIN_TRIES):
            with contextlib.suppress(EngineError):
                if bytes(self._query(_SELECT_ONE, "TSV").bytes()) == b"1\n":
                    return

    def _query(self, statement: Statement, output: str) -> Any:  # noqa: ANN401 - untyped driver
        with _engine_errors():
            return self.driver.query(statement.text, output, params=statement.encode())

    def stream(self, statement: Statement) -> Any:  # noqa: ANN401 - untyped driver
        """Start a query; return the driver's stream of its JSON lines."""
        with _engine_errors():
            return self.driver.send_query(statement.text, "JSONEachRow", params=statement.encode())

    def close(self) -> None:
        """Close the connection; no statement may run."""
        self.driver.close()


def connect(name: str, target: str) -> Connection:
    """Open a connection to the store of a process, and the store with the first one.

    `target` is the store's folder with the settings of the engine.
    """
    with _utc_environment():
        # Costs 0.2 s and 200 MB; the parent process of a reloader must not pay it.
        import chdb  # noqa: PLC0415

        with _engine_errors():
            return Connection(name, chdb.connect(target))


@contextlib.contextmanager
def _utc_environment() -> Iterator[None]:
    """Set TZ to UTC: the engine starts only with the name of a zone, not with JST-9."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "UTC"
    try:
        yield
    finally:
        if before is None:
            del os.environ["TZ"]
        else:
            os.environ["TZ"] = before


def read_answer(result: Any) -> Answer:  # noqa: ANN401 - untyped driver
    """Return the data of a result, and the number of rows that its query read."""
    return Answer(bytes(result.bytes()), result.storage_rows_read())


def next_piece(stream: Any) -> bytes | None:  # noqa: ANN401 - untyped driver
    """Return the next piece of a stream, None at its end."""
    with _engine_errors():
        piece = stream.fetch()
        return None if piece is None else bytes(piece.bytes())


def read_written_rows(result: Any) -> int:  # noqa: ANN401 - untyped driver
    """Return the number of rows that a statement wrote."""
    return int(result.rows_written())
