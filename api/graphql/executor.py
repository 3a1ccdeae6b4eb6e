"""The executor of documents: graphql-core's, which sends encoded values as they are."""

from typing import Any

from graphql import GraphQLOutputType, GraphQLResolveInfo
from graphql.execution.collect_fields import FieldDetailsList
from graphql.pyutils import Path
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from schema.encoding import EncodedValue


class Executor(StrawberryGraphQLCoreExecutionContext):
    """Executor that does not complete an `EncodedValue` leaf by leaf."""

    def complete_value(
        self,
        return_type: GraphQLOutputType,
        field_details_list: FieldDetailsList,
        info: GraphQLResolveInfo[Any],
        path: Path,
        result: Any,  # noqa: ANN401 - any value of a resolver
        position_context: Any,  # noqa: ANN401 - graphql-core's own
    ) -> Any:  # noqa: ANN401 - a part of the response
        """Return the content of an encoded value; complete any other value."""
        if isinstance(result, EncodedValue):
            return result.value
        return super().complete_value(
            return_type, field_details_list, info, path, result, position_context
        )
