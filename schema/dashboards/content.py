"""Content of a dashboard, as it is stored and as files have it: plain JSON."""

from enum import Enum
from typing import Any

import msgspec
import strawberry


@strawberry.enum(description="How a panel shows the answer of its document.")
class PanelKind(Enum):
    NUMBER = strawberry.enum_value("NUMBER", description="One number, perhaps with its change.")
    LINE = strawberry.enum_value("LINE", description="Lines over time.")
    AREA = strawberry.enum_value("AREA", description="Stacked areas over time.")
    BAR = strawberry.enum_value("BAR", description="Bars over time.")
    TABLE = strawberry.enum_value("TABLE", description="Rows and columns.")
    TOP_LIST = strawberry.enum_value("TOP_LIST", description="Groups by size, each with a bar.")
    FEED = strawberry.enum_value("FEED", description="Events, newest first.")
    TEXT = strawberry.enum_value("TEXT", description="Text in Markdown; it has no document.")


@strawberry.enum(description="Meaning of a threshold.")
class ThresholdLevel(Enum):
    GOOD = strawberry.enum_value("GOOD", description="As it should be.")
    WARNING = strawberry.enum_value("WARNING", description="Worth a look.")
    CRITICAL = strawberry.enum_value("CRITICAL", description="Needs someone now.")


class Place(msgspec.Struct, frozen=True):
    """A place on the grid of 12 columns: the left upper cell from 0, and the size in cells."""

    x: int
    y: int
    width: int
    height: int


class Threshold(msgspec.Struct, frozen=True):
    """The level of values from this value on."""

    value: float
    level: ThresholdLevel


class PanelContent(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """A panel. `variables` are those of its document that the dashboard does not set."""

    kind: PanelKind
    title: str = ""
    key: str = ""
    description: str = ""
    document: str = ""
    text: str = ""
    variables: dict[str, Any] = {}
    unit: str = ""
    thresholds: tuple[Threshold, ...] = ()
    place: Place | None = None


class VariableDefaults(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """Values for the variables of all panels, in the JSON form of their GraphQL inputs."""

    range: dict[str, Any] | None = None
    timezone: str | None = None
    where: dict[str, Any] | None = None
    point_where: dict[str, Any] | None = None
    compare: dict[str, Any] | None = None


class DashboardContent(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """A dashboard without its history."""

    title: str
    slug: str = ""
    description: str = ""
    variables: VariableDefaults = VariableDefaults()
    panels: tuple[PanelContent, ...] = ()


class Problem(msgspec.Struct, frozen=True):
    """What is wrong with a part of a dashboard, by its field as `panels[2].document`."""

    field: str
    code: str
    message: str
    limit: float | None = None
