"""The subscriber of a topic: one operation of a connection, whatever its protocol."""

from abc import ABC, abstractmethod

from schema.access import Grant


class Connection(ABC):
    """A connection that carries the messages of its subscribers."""

    @property
    @abstractmethod
    def is_behind(self) -> bool:
        """Whether the client has not read what was sent to it before."""

    @abstractmethod
    def flush(self) -> None:
        """Send all messages that wait, in one write."""


class Subscriber(ABC):
    """One operation of a connection. Its messages wait until the connection is flushed."""

    def __init__(self, connection: Connection, grant: Grant) -> None:
        """Belong to a connection, with the rights of a caller."""
        self.connection, self.grant = connection, grant
        self.has_missed = False
        """Whether a message was left out, so that the next one must be whole."""

    @abstractmethod
    def send(self, payload: bytes) -> None:
        """Send a result: JSON with `data`, `errors` or both."""

    @abstractmethod
    def fail(self, errors: bytes) -> None:
        """End the operation with errors: a JSON array."""
