"""Messages of clients in the protocol graphql-transport-ws."""

from typing import Any, Final, TypeAlias

import msgspec


class ConnectionInit(msgspec.Struct, tag="connection_init"):
    """The first message; it may have the caller's key."""

    payload: dict[str, Any] | None = None


class Ping(msgspec.Struct, tag="ping"):
    """A question whether the server is there."""

    payload: dict[str, Any] | None = None


class Pong(msgspec.Struct, tag="pong"):
    """An answer to a ping."""

    payload: dict[str, Any] | None = None


class Subscribe(msgspec.Struct, tag="subscribe"):
    """The begin of an operation; the payload is a GraphQL request as over HTTP."""

    id: str
    payload: msgspec.Raw


class Complete(msgspec.Struct, tag="complete"):
    """The end of an operation at the wish of its client."""

    id: str


Message: TypeAlias = ConnectionInit | Ping | Pong | Subscribe | Complete

_DECODER: Final[msgspec.json.Decoder[Message]] = msgspec.json.Decoder(Message)


def decode_message(text: str) -> Message | None:
    """Return a message; None for a text that is no message of the protocol."""
    try:
        return _DECODER.decode(text)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
