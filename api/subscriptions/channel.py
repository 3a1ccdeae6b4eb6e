"""A channel: a connection of one caller, and the operations that run on it."""

from abc import abstractmethod
from collections.abc import Callable

from api.access.credentials import check_validity
from api.graphql.requests import GraphQLRequest
from api.responses import internal_error
from api.subscriptions.channels import Channels, ClockedChannel
from api.subscriptions.operations import Answer, Start, begin, error_answer
from api.subscriptions.subscriber import Connection, Subscriber
from api.subscriptions.topic import Topic
from resolvers.context import Context
from schema.access import Grant
from schema.errors import AnalyticsError
from schema.limits import CONNECTION_OPERATIONS


class Operation(Subscriber):
    """An operation of a channel. A subscription has a topic, an execution can be stopped."""

    connection: "Channel"

    def __init__(self, channel: "Channel", grant: Grant, operation_id: str) -> None:
        """Begin an operation; the channel sends its messages under this id."""
        super().__init__(channel, grant)
        self.id = operation_id
        self.topic: Topic | None = None
        self.stop_statements: Callable[[], None] | None = None
        self.message_start = channel.message_start(operation_id)

    def send(self, payload: bytes) -> None:
        """Let a result wait for the next write."""
        self.connection.add_result(self, payload)

    def fail(self, errors: bytes) -> None:
        """End the operation with errors."""
        if self.connection.forget(self):
            self.connection.add_errors(self, errors)


class Channel(Connection, ClockedChannel):
    """A connection whose operations have ids; each transport has its own form of messages."""

    def __init__(self, channels: Channels, ctx: Context) -> None:
        """Have no operations; `ctx` has the rights of the caller."""
        self.ctx = ctx
        self._channels = channels
        self._operations: dict[str, Operation] = {}

    @abstractmethod
    def message_start(self, operation_id: str) -> bytes:
        """Return the bytes of each result of an operation before the result itself."""

    @abstractmethod
    def add_result(self, operation: Operation, payload: bytes) -> None:
        """Let a message with a result wait for the next write."""

    @abstractmethod
    def add_errors(self, operation: Operation, errors: bytes) -> None:
        """Let the message of an operation that failed wait for the next write."""

    @abstractmethod
    def add_end(self, operation: Operation) -> None:
        """Let the message of the end of an operation wait for the next write."""

    @abstractmethod
    def end(self, error: AnalyticsError) -> None:
        """Tell the client an error that ends the channel, and end it."""

    def has_operation(self, operation_id: str) -> bool:
        """Say whether an operation with this id runs."""
        return operation_id in self._operations

    def start(self, operation_id: str, request: GraphQLRequest) -> None:
        """Begin an operation whose id is not in use; its messages and its errors follow."""
        limit = self.ctx.limits[CONNECTION_OPERATIONS]
        operation = Operation(self, self.ctx.grant, operation_id)
        if len(self._operations) >= limit.value:
            message = f"The connection has too many operations (limit {limit.value})."
            error = AnalyticsError("RATE_LIMITED", message, limit=limit.value)
            self._finish(operation, error_answer(error))
            return
        self._operations[operation_id] = operation
        self._channels.run(self._run(operation, request))

    def stop(self, operation_id: str) -> None:
        """End an operation at the wish of its client; the id may be unknown."""
        operation = self._operations.get(operation_id)
        if operation:
            self.forget(operation)

    def stop_all(self) -> None:
        """End all operations without a word."""
        for operation in tuple(self._operations.values()):
            self.forget(operation)

    def fail_all(self, error: AnalyticsError) -> None:
        """End all operations with an error."""
        errors = error_answer(error).errors or b"[]"
        for operation in tuple(self._operations.values()):
            operation.fail(errors)

    def forget(self, operation: Operation) -> bool:
        """End an operation; say whether it ran."""
        if self._operations.get(operation.id) is not operation:
            return False
        del self._operations[operation.id]
        if operation.topic:
            self._channels.hub.unsubscribe(operation.topic, operation)
        if operation.stop_statements:
            operation.stop_statements()
        return True

    def tick(self) -> None:
        """End the channel if its caller's key, token or session is no longer valid."""
        try:
            check_validity(self.ctx)
        except AnalyticsError as error:
            self.end(error)

    async def _run(self, operation: Operation, request: GraphQLRequest) -> None:
        """Execute an operation, or subscribe it to its topic."""

        def make_subscriber(_: Grant) -> Subscriber:
            return operation

        def begin_execution(stop_statements: Callable[[], None]) -> None:
            operation.stop_statements = stop_statements

        start = Start(make_subscriber, begin_execution)
        try:
            result = await begin(self._channels.hub, request, self.ctx, start)
        except AnalyticsError as error:
            result = error_answer(error)
        except RecursionError:
            message = "query: nested too deeply"
            result = error_answer(AnalyticsError("GRAPHQL_PARSE_FAILED", message, field="query"))
        except Exception as error:  # noqa: BLE001 - a fault of one operation ends no other
            result = error_answer(internal_error(error))
        operation.stop_statements = None
        if isinstance(result, Answer):
            if self.forget(operation):
                self._finish(operation, result)
        elif self._operations.get(operation.id) is operation:
            operation.topic = result
        else:  # the client ended it meanwhile
            self._channels.hub.unsubscribe(result, operation)

    def _finish(self, operation: Operation, answer: Answer) -> None:
        """Send the only result of an operation, and its end."""
        if answer.errors is not None:
            self.add_errors(operation, answer.errors)
        else:
            self.add_result(operation, answer.payload)
            self.add_end(operation)
        self.flush()
