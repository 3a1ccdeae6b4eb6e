"""Errors of graphql-core as `AnalyticsError`, without the fields of a request."""

from graphql import GraphQLError, GraphQLSyntaxError

from api.responses import internal_error
from schema.errors import AnalyticsError


def error_of(error: GraphQLError, *, is_executed: bool) -> AnalyticsError:
    """Convert an error of graphql-core; log it if it is unexpected.

    `is_executed` is false for an error of parsing or validation.
    """
    match error.original_error:
        case AnalyticsError() as ours:
            return ours
        case None | GraphQLError():
            return AnalyticsError(_code(error, is_executed=is_executed), error.message)
        case ValueError() if not is_executed:  # an integer literal of more than 4,300 digits
            return AnalyticsError("GRAPHQL_VALIDATION_FAILED", error.message)
        case fault:
            return internal_error(fault)


def _code(error: GraphQLError, *, is_executed: bool) -> str:
    if isinstance(error, GraphQLSyntaxError):
        return "GRAPHQL_PARSE_FAILED"
    return "BAD_USER_INPUT" if is_executed else "GRAPHQL_VALIDATION_FAILED"
