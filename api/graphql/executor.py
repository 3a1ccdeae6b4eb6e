"""How documents are executed: as graphql-core does, but for what is ready to be sent."""

from typing import Any

from graphql import GraphQLOutputType, GraphQLResolveInfo
from graphql.execution.collect_fields import FieldDetailsList
from graphql.pyutils import Path
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from schema.ready import Encoded


class Executor(StrawberryGraphQLCoreExecutionContext):
    """Passes `Ready` values on; everything else is completed leaf by leaf."""

    def complete_value(
        self,
        return_type: GraphQLOutputType,
        field_details_list: FieldDetailsList,
        info: GraphQLResolveInfo[Any],
        path: Path,
        result: Any,  # noqa: ANN401 - whatever a resolver returns
        position_context: Any,  # noqa: ANN401 - graphql-core's own
    ) -> Any:  # noqa: ANN401 - a part of the response
        """Complete a value, unless it is complete."""
        if isinstance(result, Encoded):
            return result.value
        return super().complete_value(
            return_type, field_details_list, info, path, result, position_context
        )
