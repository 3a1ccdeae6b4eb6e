"""The limits of the edge: one table, whose values tests and the server may replace."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from schema.limits import Limit, limit_table, replaced_fields


def _limit(value: int, unit: str, description: str) -> int:
    limit: int = field(default=value, metadata={"unit": unit, "description": description})
    return limit


@dataclass(frozen=True, slots=True)
class EdgeLimits:
    """The value of each limit. `table` has their units and descriptions."""

    head_bytes: int = _limit(32_768, "bytes", "request line and headers of a request")
    headers: int = _limit(100, "headers", "headers of a request")
    head_seconds: int = _limit(
        10, "seconds", "from the first byte of a request, or the connection, to the last header"
    )
    body_seconds: int = _limit(
        15, "seconds", "that a body may be behind the slowest rate; so long it may be silent"
    )
    answer_seconds: int = _limit(
        30, "seconds", "that the reader of an answer may be behind the slowest rate"
    )
    slowest_rate: int = _limit(1024, "bytes a second", "of a body, and of an answer that is read")
    leftover_seconds: int = _limit(
        10, "seconds", "that the rest of a body may take after its answer"
    )
    pipelined_requests: int = _limit(
        100, "requests", "of a connection that wait for the answer to an earlier one"
    )
    socket_message_bytes: int = _limit(131_072, "bytes", "message of a WebSocket")
    init_seconds: int = _limit(3, "seconds", "that the first message of a WebSocket may take")
    reader_seconds: int = _limit(
        5, "seconds", "that the reader of subscriptions may be behind the slowest rate"
    )
    ping_seconds: int = _limit(
        20, "seconds", "of silence after which a WebSocket is pinged; after twice it is gone"
    )
    spare_files: int = _limit(384, "files", "that connections leave to the journal and the engine")

    @classmethod
    def from_settings(cls, settings: Mapping[str, float]) -> "EdgeLimits":
        """Return the limits; `settings` replace some."""
        return cls(**replaced_fields(cls, settings))

    def table(self) -> list[Limit]:
        """Return all limits with their values."""
        return limit_table(self)
