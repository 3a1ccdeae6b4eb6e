"""What a caller may do."""

from resolvers.context import Context
from schema.errors import AnalyticsError


def require_deletion(ctx: Context) -> None:
    """Raise FORBIDDEN in production: deleting there will take a key with the admin scope."""
    if ctx.production:
        raise AnalyticsError("FORBIDDEN", "Deleting is not allowed in production.")
