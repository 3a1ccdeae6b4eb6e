"""The names of metrics and of events: known in memory, and limited in number for each project.

A row with a known name costs one look-up. A new name takes room before its row is written, so that
requests at the same time can't add too many. If the row is not stored, the room is free again.
"""

import asyncio
import contextlib
import logging
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Final

import msgspec

from schema.access import PROJECT
from schema.errors import AnalyticsError
from store.driver import EngineError
from store.ingest.body_lines import chunks_of
from store.journal.segments import Segment
from store.query import statements
from store.query.sql import Statement
from store.query.tables import TABLE_BY_NAME

_LOG: Final = logging.getLogger("analytics.names")

_RETRY_SECONDS: Final = 5.0
_WAIT_SECONDS: Final = 10.0
"""Seconds for which a row with an unknown name waits after a start; reading a million takes 1 s."""

_NO_NAMES: Final[frozenset[str]] = frozenset()
_DECODE_ERRORS: Final = (msgspec.MsgspecError, ValueError, RecursionError)


class _NamedRow(msgspec.Struct):
    """The name in a row of a query, or in a line of a journal, whose headers have none."""

    project: str = PROJECT
    name: str = ""
    metric_name: str = ""
    event_name: str = ""


_ROWS: Final = msgspec.json.Decoder(_NamedRow)


class AdmittedNames:
    """The names of one request, until its rows are stored or refused.

    The `fresh` ones are new: they take room.
    """

    __slots__ = ("_owner", "fresh", "names")

    def __init__(
        self, owner: "ProjectNames", names: frozenset[str], fresh: frozenset[str] = _NO_NAMES
    ) -> None:
        """Belong to the names of a project, which makes it."""
        self._owner = owner
        self.names = names
        self.fresh = fresh

    def settle(self, stored_names: AbstractSet[str] | None = _NO_NAMES) -> None:
        """Keep the names of stored rows, and free the room of the others; None keeps all."""
        self._owner.settle(self, stored_names)


class ProjectNames:
    """The names of one project in one table.

    `stored` are the names of stored rows. A deletion may have removed the rows of the names in
    `_doubtful`. `_fresh` counts the requests with each new name whose rows are not stored yet.
    """

    def __init__(self, limit: int) -> None:
        """Admit at most `limit` names; the store may have more, from before the limit."""
        self.stored: set[str] = set()
        self._limit = limit
        self._doubtful: set[str] = set()
        self._fresh: Counter[str] = Counter()
        self._requests: set[AdmittedNames] = set()

    def admit(self, names: Iterable[str]) -> tuple[AdmittedNames, frozenset[str]]:
        """Take room for the new ones of a request's names, in their order.

        Return the admitted names, to be settled, and the names for which there is no room.
        """
        all_names = frozenset(names) if isinstance(names, AbstractSet) else dict.fromkeys(names)
        fresh: set[str] = set()
        refused_names: set[str] = set()
        room = self._limit - len(self.stored) - len(self._doubtful) - len(self._fresh)
        for name in all_names:
            if name in self.stored:
                continue
            if name in self._doubtful or name in self._fresh:
                fresh.add(name)
            elif room > 0:
                room -= 1
                fresh.add(name)
            else:
                refused_names.add(name)
        self._fresh.update(fresh)
        self._doubtful -= fresh
        admitted_names = AdmittedNames(self, frozenset(all_names) - refused_names, frozenset(fresh))
        self._requests.add(admitted_names)
        return admitted_names, frozenset(refused_names)

    def hold(self, names: frozenset[str]) -> AdmittedNames:
        """Return known names as admitted ones: a deletion meanwhile does not forget them."""
        admitted_names = AdmittedNames(self, names)
        self._requests.add(admitted_names)
        return admitted_names

    def settle(self, request: AdmittedNames, stored_names: AbstractSet[str] | None) -> None:
        """Keep the names of a request whose rows are stored; None stands for all."""
        self._requests.discard(request)
        self._fresh.subtract(request.fresh)
        for name in request.fresh:
            if not self._fresh[name]:
                del self._fresh[name]
        self.stored |= request.fresh if stored_names is None else request.fresh & stored_names

    def doubt(self, names: Collection[str] | None) -> set[str]:
        """Doubt that known names are still stored, all if None; return them."""
        if names is None:
            doubtful, self.stored = self.stored, set()
        else:
            doubtful = self.stored.intersection(names)
            self.stored -= doubtful
        self._doubtful |= doubtful
        return doubtful

    def end_doubt(self, doubtful: AbstractSet[str], stored_names: AbstractSet[str]) -> None:
        """Forget doubtful names, but for the stored ones, and those that a request may store."""
        self._doubtful -= doubtful
        self.stored |= stored_names
        for request in self._requests:
            self.stored |= request.names & doubtful


class Names:
    """The names of all tables and projects. `is_ready` says whether all stored names are known.

    After a start they are read in the background, and rows with other names wait for it. If the
    engine can't be read, they wait no longer: new names are admitted while those since the start
    are within the limit.
    """

    def __init__(
        self,
        pieces: Callable[[Statement], AsyncGenerator[bytes]],
        all_loaded: Callable[[str], Awaitable[None]],
        limit: int,
    ) -> None:
        """Limit the names of a project in a table.

        `pieces` runs a query, `all_loaded` returns when all rows of a table can be queried.
        """
        self.limit = limit
        self._pieces = pieces
        self._all_loaded = all_loaded
        self._names: dict[tuple[str, str], ProjectNames] = {}
        self._reading = asyncio.Lock()
        self._reader: asyncio.Task[None] | None = None
        self._has_tried = asyncio.Event()
        self._checks: set[asyncio.Task[None]] = set()
        self.is_ready = False

    def of_project(self, table: str, project: str) -> ProjectNames:
        """Return the names of a project in a table."""
        names = self._names.get((table, project))
        if names is None:
            names = self._names[table, project] = ProjectNames(self.limit)
        return names

    def start(self, leftovers: Iterable[tuple[str, Segment]]) -> None:
        """Start to read the names in the tables, and in segments that are not loaded yet."""
        self._reader = asyncio.create_task(self._read_until_ready(tuple(leftovers)))

    async def stop(self) -> None:
        """Stop reading; nobody waits any more."""
        self._has_tried.set()
        for task in (*self._checks, *filter(None, (self._reader,))):
            task.cancel()
            await asyncio.wait([task])

    async def await_stored(self) -> None:
        """Return when the stored names are known, or can't be read in time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_WAIT_SECONDS):
                await self._has_tried.wait()

    def require_ready(self, table: str) -> None:
        """Raise UNAVAILABLE unless all stored names are known."""
        if not self.is_ready:
            message = f"The names of {table} can't be read yet."
            raise AnalyticsError("UNAVAILABLE", message, retry_after=5)

    async def check(self, table: str, project: str, names: Collection[str] | None) -> None:
        """Forget names without rows, after a deletion. `names` are those in question, None all.

        If they can't be read, they stay.
        """
        check = asyncio.create_task(self._check(table, project, names))
        self._checks.add(check)
        check.add_done_callback(self._checks.discard)
        await asyncio.shield(check)

    async def _check(self, table: str, project: str, names: Collection[str] | None) -> None:
        await self._has_tried.wait()
        async with self._reading:
            project_names = self.of_project(table, project)
            doubtful = project_names.doubt(names)
            stored_names: AbstractSet[str] = doubtful
            try:
                await self._all_loaded(table)
                statement = statements.names_of_project(table, project, names)
                stored_names = (await self._read(statement)).get(project, set())
            except (AnalyticsError, EngineError) as error:
                _LOG.warning("the names of %s can't be read after a deletion: %s", table, error)
            finally:
                project_names.end_doubt(doubtful, stored_names)

    async def _read_until_ready(self, leftovers: Collection[tuple[str, Segment]]) -> None:
        """Read all stored names; retry until it succeeds."""
        while not self.is_ready:
            try:
                async with self._reading:
                    for table, segment in leftovers:
                        self._add(table, await asyncio.to_thread(_names_in_segment, segment))
                    for table in TABLE_BY_NAME:
                        self._add(table, await self._read(statements.names_by_project(table)))
                self.is_ready = True
            except (AnalyticsError, EngineError, OSError) as error:
                _LOG.warning("the names can't be read yet: %s", error)
            self._has_tried.set()
            if not self.is_ready:
                await asyncio.sleep(_RETRY_SECONDS)

    def _add(self, table: str, names_by_project: Mapping[str, set[str]]) -> None:
        for project, names in names_by_project.items():
            self.of_project(table, project).stored |= names

    async def _read(self, statement: Statement) -> dict[str, set[str]]:
        """Return the names that a query finds, by their projects."""
        names_by_project: dict[str, set[str]] = defaultdict(set)
        async with contextlib.aclosing(self._pieces(statement)) as pieces:
            async for lines in pieces:
                await asyncio.to_thread(_add_names, names_by_project, lines)
        return names_by_project


def _add_names(names_by_project: dict[str, set[str]], lines: bytes) -> None:
    """Add the names in JSON lines: rows of a query, or of a journal.

    A line of a segment may be no row.
    """
    for chunk in chunks_of(lines):
        try:
            rows = _ROWS.decode_lines(chunk)
        except _DECODE_ERRORS:
            rows = _decode_each(chunk)
        for row in rows:
            if name := row.name or row.metric_name or row.event_name:
                names_by_project[row.project].add(name)


def _decode_each(lines: bytes) -> list[_NamedRow]:
    """Decode the lines that can be decoded."""
    rows = []
    for line in lines.split(b"\n"):
        with contextlib.suppress(*_DECODE_ERRORS):
            rows.append(_ROWS.decode(line))
    return rows


def _names_in_segment(segment: Segment) -> dict[str, set[str]]:
    """Return the names in the complete groups of a segment, by their projects.

    A segment that is gone is loaded, so its names are in its table.
    """
    names_by_project: dict[str, set[str]] = defaultdict(set)
    with contextlib.suppress(FileNotFoundError):
        _add_names(names_by_project, segment.path.read_bytes()[: segment.bytes])
    return names_by_project
