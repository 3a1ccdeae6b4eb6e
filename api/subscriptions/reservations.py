"""Reserved streams: one stream of events for many operations, each sent by a request of its own."""

import secrets
from typing import Final

from starlette.types import Receive, Scope, Send

from api.graphql.requests import GraphQLRequest
from api.subscriptions.channels import Channels
from api.subscriptions.stream_channel import StreamChannel
from resolvers.context import Context
from schema.errors import AnalyticsError
from schema.limits import RESERVATIONS

_RESERVED_SECONDS: Final = 15
"""Seconds that a reserved stream waits for its client."""

_TOKEN_BYTES: Final = 24


class ReservedStream(StreamChannel):
    """A stream of a token. Operations that come before their client opened it wait."""

    def __init__(self, reservations: "Reservations", ctx: Context, token: str) -> None:
        """Wait for the client."""
        super().__init__(reservations.channels, ctx, has_ids=True)
        self._reservations = reservations
        self._token = token
        self._waiting_requests: dict[str, GraphQLRequest] = {}
        self._waiting_seconds = 0
        self._channels.add(self)

    def has_operation(self, operation_id: str) -> bool:
        """Say whether an operation with this id runs or waits."""
        return operation_id in self._waiting_requests or super().has_operation(operation_id)

    def start(self, operation_id: str, request: GraphQLRequest) -> None:
        """Begin an operation once the stream is open."""
        if self.is_open:
            super().start(operation_id, request)
        else:
            self._waiting_requests[operation_id] = request

    def stop(self, operation_id: str) -> None:
        """End an operation at the wish of its client."""
        self._waiting_requests.pop(operation_id, None)
        super().stop(operation_id)

    async def send_events(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Begin the operations that waited, and send events; the token ends with the stream."""
        requests, self._waiting_requests = self._waiting_requests, {}
        for operation_id, request in requests.items():
            self.start(operation_id, request)
        try:
            await super().send_events(scope, receive, send)
        finally:
            self._reservations.forget(self._token)

    def tick(self) -> None:
        """Forget a reservation whose client does not come."""
        if self.is_open:
            super().tick()
            return
        self._waiting_seconds += 1
        if self._waiting_seconds > _RESERVED_SECONDS:
            self._channels.discard(self)
            self._reservations.forget(self._token)


class Reservations:
    """The reserved streams by their tokens."""

    def __init__(self, channels: Channels) -> None:
        """Have none."""
        self.channels: Final = channels
        self._streams: dict[str, ReservedStream] = {}

    def reserve(self, ctx: Context) -> str:
        """Reserve a stream for a caller, and return its token. Raises UNAVAILABLE."""
        limit = ctx.limits[RESERVATIONS]
        if len(self._streams) >= limit.value:
            message = f"There are too many reserved streams (limit {limit.value})."
            raise AnalyticsError("UNAVAILABLE", message, limit=limit.value, retry_after=5)
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        self._streams[token] = ReservedStream(self, ctx, token)
        return token

    def find(self, token: str, ctx: Context) -> ReservedStream:
        """Return the stream of a token. Raises NOT_FOUND, also for the stream of another caller."""
        stream = self._streams.get(token)
        if stream is None or stream.ctx.grant != ctx.grant:
            raise AnalyticsError("NOT_FOUND", "There is no such stream.", field="token")
        return stream

    def forget(self, token: str) -> None:
        """Forget a stream that has ended."""
        self._streams.pop(token, None)
