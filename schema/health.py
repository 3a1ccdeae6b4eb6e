"""State of the service: the Health type."""

from enum import Enum

import strawberry

from schema.scalars import Json


@strawberry.enum(description="Whether all parts of the service work.")
class HealthStatus(Enum):
    OK = strawberry.enum_value("ok", description="All parts work.")
    DEGRADED = strawberry.enum_value(
        "degraded", description="`checks` names the parts with a problem."
    )


@strawberry.type(description="State of the service.")
class Health:
    status: HealthStatus = strawberry.field(description="DEGRADED when `checks` names a problem.")
    service: str = strawberry.field(description="Name of the service.")
    python_version: str = strawberry.field(description="Version of Python that runs the service.")
    checks: Json = strawberry.field(
        description="Problems now: an object of part to message; empty when all parts work."
    )
