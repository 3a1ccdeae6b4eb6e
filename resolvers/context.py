"""The context of resolvers: store, caller, clock, and the query batch of one request."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from resolvers.query_batch import QueryBatch
from schema.access import ALL_RIGHTS, Grant, KeyKind, RowFilter, Scope
from schema.answer_budget import AnswerBudget
from schema.buckets import WeekStart
from schema.errors import AnalyticsError
from schema.filter_json import filter_from_json
from schema.limits import ARGUMENT_OBJECTS, DEFAULT_LIMITS, LimitTable
from schema.ranges import CompareInput, TimeRange, TimeRangeInput
from schema.scalars import UTC_ZONE, Instant, Zone
from store import Store
from store.access.registry import Key
from store.access.sessions import Session
from store.access.tokens import TOKEN_SCOPES, Token
from store.clock import wall_ms
from store.ingest.decoder import Batch
from store.query.filters.row_filters import restrict
from store.query.filters.row_set import RowSet
from store.query.sql import Slots
from store.query.time.ranges import ALL_TIME, Extent, comparison, resolve_range


def _clock() -> Instant:
    return Instant(wall_ms())


@dataclass(frozen=True, slots=True)
class Context:
    """The service's context, or its copy for one caller or request.

    `grant` has the rights of the caller. `latest` is the time of the newest arrival; a request
    reads it once. `row_batches` are the rows in variables of a GraphQL request that were parsed
    before its execution, or their errors. `limits` are all limits of the service. `address` is the
    network of a GraphQL client whose rows are limited by it, else "". `expires_ms` is the time at
    which the caller's token expires.
    """

    store: Store
    grant: Grant = ALL_RIGHTS
    now: Callable[[], Instant] = _clock
    latest: Instant | None = None
    limits: LimitTable = DEFAULT_LIMITS
    row_batches: dict[str, Batch[Any] | AnalyticsError] = field(default_factory=dict)
    address: str = ""
    expires_ms: int | None = None
    answer: AnswerBudget = field(init=False)
    batch: QueryBatch = field(init=False)
    _by_key: dict[tuple[str, str], tuple[Key, "Context"]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Give the context an empty answer and query batch."""
        answer = AnswerBudget(self.store.answers, self.limits[ARGUMENT_OBJECTS])
        object.__setattr__(self, "answer", answer)
        batch = QueryBatch(self.store, answer, self.grant.project, self.grant.key_id)
        object.__setattr__(self, "batch", batch)

    def for_key(self, key: Key, project: str) -> "Context":
        """Return a context with the rights of a key in a project; it is made once for both."""
        known_key, ctx = self._by_key.get((key.id, project), (None, self))
        if known_key is not key:
            row_filter = None
            if key.row_filter is not None:
                row_filter = filter_from_json(RowFilter, key.row_filter, "rowFilter")
            trusted_only = self._is_trusted_only(key)
            scopes = frozenset(key.scopes)
            is_public = key.kind is KeyKind.PUBLIC
            grant = Grant(
                *(scopes, project, key.id, key.prefix, row_filter, trusted_only),
                is_public=is_public,
            )
            ctx = replace(self, grant=grant)
            self._by_key[key.id, project] = key, ctx
        return ctx

    def for_session(self, session: Session, key: Key, project: str) -> "Context":
        """Return a context with the rights of a session: those of its key in a project."""
        ctx = self.for_key(key, project)
        return replace(ctx, grant=replace(ctx.grant, session_id=session.id))

    def for_token(self, token: Token) -> "Context":
        """Return a context with the rights of a token."""
        key = token.key
        trusted_only = self._is_trusted_only(key)
        grant = Grant(TOKEN_SCOPES, key.project, key.id, key.prefix, token.row_filter, trusted_only)
        return replace(self, grant=grant, expires_ms=token.expires_ms)

    def _is_trusted_only(self, key: Key) -> bool:
        """Say whether a key is limited to trusted documents, by itself or as all callers are."""
        return key.trusted_only or (self.grant.trusted_only and key.kind is not KeyKind.ADMIN)

    def in_project(self, project: str) -> "Context":
        """Return a context with the same rights in another project."""
        return replace(self, grant=replace(self.grant, project=project))

    def rows(self, table: str, slots: Slots | None = None) -> RowSet:
        """Return all rows of a table that the caller may query.

        Every query begins here. Raises UNAUTHENTICATED or FORBIDDEN without the scope QUERY.
        """
        self.grant.require(Scope.QUERY)
        rows = RowSet(table, self.grant.project, slots)
        if self.grant.row_filter is not None:
            restrict(rows, self.grant.row_filter)
        return rows

    def at_instant(self, moment: Instant) -> "Context":
        """Return the context of the same request with a clock that stands at another instant."""
        ctx = replace(self, now=lambda: moment, latest=moment)
        object.__setattr__(ctx, "answer", self.answer)
        object.__setattr__(ctx, "batch", self.batch)
        return ctx

    def for_caller(self, grant: Grant) -> "Context":
        """Return the context of a caller of the same project, who shares statements with others.

        The answer is the caller's own.
        """
        ctx = replace(self, grant=grant)
        object.__setattr__(ctx, "batch", self.batch)
        return ctx

    def for_request(self) -> "Context":
        """Return a context for one request, with its own query batch and a clock that stands."""
        moment = self.now()
        return replace(self, now=lambda: moment, latest=self.store.arrivals.latest(moment))

    def resolve_range(
        self,
        range_input: TimeRangeInput,
        zone: Zone = UTC_ZONE,
        week_start: WeekStart = WeekStart.MONDAY,
        extent: Extent | None = ALL_TIME,
    ) -> TimeRange:
        """Return the time range of a `range` argument; a range up to now has every arrival.

        `extent` has the oldest and the newest row; only ALL_TIME reads it, None means no rows.
        Raises `AnalyticsError` for a range that is empty or too long.
        """
        now = self.now()
        return self._up_to_latest(resolve_range(range_input, now, zone, extent, week_start), now)

    def resolve_comparison(
        self,
        time_range: TimeRange,
        compare: CompareInput,
        zone: Zone,
        week_start: WeekStart,
        extent: Extent | None,
    ) -> TimeRange:
        """Return the time range of a `compare` argument; a range up to now has every arrival.

        Raises `AnalyticsError` for a range that can't be resolved, or not in 1900 to 2199.
        """
        now = self.now()
        other_range = comparison(time_range, compare, zone, now, extent, week_start=week_start)
        return self._up_to_latest(other_range, now)

    def _up_to_latest(self, time_range: TimeRange, now: Instant) -> TimeRange:
        """Move the end of a range up to now to the newest arrival.

        The newest arrival is later than now after the wall clock was put back.
        """
        if time_range.to != now + 1:
            return time_range
        latest = self.store.arrivals.latest(now) if self.latest is None else self.latest
        return replace(time_range, to=Instant(latest + 1))
