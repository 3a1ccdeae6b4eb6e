"""How the service is."""

from enum import Enum

import strawberry

from schema.scalars import Json


@strawberry.enum(description="Whether everything works.")
class HealthStatus(Enum):
    OK = strawberry.enum_value("ok", description="All is well.")
    DEGRADED = strawberry.enum_value("degraded", description="`checks` names what is not.")


@strawberry.type(description="How the service is.")
class Health:
    status: HealthStatus = strawberry.field(description="DEGRADED when `checks` names a problem.")
    service: str = strawberry.field(description="Name of the service.")
    python_version: str = strawberry.field(description="Version of Python it runs on.")
    checks: Json = strawberry.field(description="What does not work now, by part.")
