"""Inputs of dashboards. A file of a dashboard has the form of `DashboardInput`, as JSON."""

import strawberry

from schema.dashboards.content import PanelKind, ThresholdLevel
from schema.filters import EventFilter, MetricFilter
from schema.limits import DASHBOARD_PANELS, DASHBOARD_TEXT_CHARACTERS, DASHBOARD_TITLE_CHARACTERS
from schema.ranges import CompareInput, TimeRangeInput
from schema.scalars import Json, Zone

_TITLE: str = f"at most {DASHBOARD_TITLE_CHARACTERS.value} characters"
_TEXT: str = f"at most {DASHBOARD_TEXT_CHARACTERS.value:,} characters"


@strawberry.input(description="Place of a panel on a grid of 12 columns.")
class PlaceInput:
    x: int = strawberry.field(description="Left column, 0 to 11.")
    y: int = strawberry.field(description="Top row, 0 to 9,999.")
    width: int = strawberry.field(description="Columns, 1 to 12; `x` and `width` are at most 12.")
    height: int = strawberry.field(description="Rows, 1 to 100.")


@strawberry.input(description="Level of the values from a value on.")
class ThresholdInput:
    value: float = strawberry.field(description="First value of the level.")
    level: ThresholdLevel = strawberry.field(description="Level from this value on.")


@strawberry.input(description="Panel of a dashboard to save.")
class PanelInput:
    kind: PanelKind = strawberry.field(description="How the panel shows its answer.")
    title: str = strawberry.field(default="", description=f"Title, {_TITLE}.")
    key: str = strawberry.field(
        default="",
        description="Key that is unique in the dashboard: 1 to 64 letters, digits, `-` and `_`;"
        " default: `p` and a number.",
    )
    description: str = strawberry.field(default="", description=f"Description, {_TEXT}.")
    document: str = strawberry.field(
        default="",
        description="GraphQL document with one query. The variables `$range: TimeRangeInput!`,"
        " `$where: EventFilter`, `$pointWhere: MetricFilter`, `$timezone: TimeZone` and `$compare:"
        " CompareInput` get the values of the dashboard and of its viewer. A TEXT panel has none.",
    )
    text: str = strawberry.field(
        default="", description=f"Markdown of a TEXT panel, {_TEXT}; other panels have none."
    )
    variables: Json | None = strawberry.field(
        default=None,
        description="Object with values of further variables of the document. A value for a"
        " variable of the dashboard replaces it: nobody can change it for this panel.",
    )
    unit: str = strawberry.field(default="", description="Unit of the values, as `ms`.")
    thresholds: list[ThresholdInput] | None = strawberry.field(
        default=None, description="Thresholds, at most 20."
    )
    place: PlaceInput | None = strawberry.field(
        default=None, description="Place; default: two panels in each row, in their order."
    )


@strawberry.input(description="Values that the variables of all panels get by default.")
class DashboardVariablesInput:
    range: TimeRangeInput | None = strawberry.field(
        default=None, description='Time range; default: `{last: "P7D"}`.'
    )
    timezone: Zone | None = strawberry.field(default=None, description="Time zone; default: UTC.")
    where: EventFilter | None = strawberry.field(
        default=None, description="Filter of events; default: all events."
    )
    point_where: MetricFilter | None = strawberry.field(
        default=None, description="Filter of points; default: all points."
    )
    compare: CompareInput | None = strawberry.field(
        default=None, description="Range to compare with; default: none."
    )


@strawberry.input(description="Dashboard to save. Files of dashboards have this form, as JSON.")
class DashboardInput:
    title: str = strawberry.field(
        description=f"Title, 1 to {DASHBOARD_TITLE_CHARACTERS.value} characters."
    )
    slug: str = strawberry.field(
        default="",
        description="Name in addresses, unique in the project: words of a-z and 0-9 with dashes,"
        " at most 100 characters; default: as before, or made from the title.",
    )
    description: str = strawberry.field(default="", description=f"Description, {_TEXT}.")
    variables: DashboardVariablesInput | None = strawberry.field(
        default=None, description="Values that the variables of all panels get by default."
    )
    panels: list[PanelInput] | None = strawberry.field(
        default=None, description=f"Panels, at most {DASHBOARD_PANELS.value}; default: none."
    )


@strawberry.input(description="Dashboard to save: set either `dashboard` or `source`.")
class SaveDashboardInput:
    id: strawberry.ID | None = strawberry.field(
        default=None, description="Id of the dashboard to change; default: make a new one."
    )
    version: int | None = strawberry.field(
        default=None,
        description="Number of the version that was edited; needed with `id`. CONFLICT if another"
        " one was saved meanwhile.",
    )
    message: str = strawberry.field(
        default="", description="What changed, for the history; at most 500 characters."
    )
    dashboard: DashboardInput | None = strawberry.field(
        default=None, description="Whole content of the dashboard."
    )
    source: Json | None = strawberry.field(
        default=None, description="The same content as JSON, from a file or from `source`."
    )


@strawberry.input(description="Dashboard to delete, with its history.")
class DeleteDashboardInput:
    id: strawberry.ID = strawberry.field(description="Id of the dashboard.")


@strawberry.input(description="Version of a dashboard to restore.")
class RestoreDashboardInput:
    id: strawberry.ID = strawberry.field(description="Id of the dashboard.")
    version: int = strawberry.field(
        description="Number of the earlier version; its content becomes the newest version."
    )


@strawberry.type(description="Dashboard that was deleted.")
class DeleteDashboardPayload:
    id: strawberry.ID = strawberry.field(description="Id of the dashboard.")
