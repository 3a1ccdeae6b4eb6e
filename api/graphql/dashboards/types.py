"""The types Dashboard, Panel and DashboardVersion."""

import functools
from typing import Annotated

import msgspec
import strawberry
from strawberry import argument

from api.graphql.dashboards.checks import content_problems
from api.graphql.dashboards.runs import PanelData, run_panels
from api.graphql.dashboards.variables import Overrides
from api.graphql.info import ContextInfo
from resolvers.dashboards import dashboards
from resolvers.dashboards.dashboards import ContentCheck
from resolvers.global_ids import DASHBOARD, global_id
from schema.dashboards.content import (
    DashboardContent,
    PanelContent,
    PanelKind,
    ThresholdLevel,
)
from schema.encoding import encoded_text
from schema.errors import AnalyticsError
from schema.filters import EventFilter, MetricFilter
from schema.node import Node
from schema.ranges import CompareInput, TimeRangeInput
from schema.scalars import Instant, Json, Zone
from store.dashboards.versions import Header, VersionHeader

Range = Annotated[
    TimeRangeInput | None, argument(description="Time range; default: the dashboard's.")
]
Where = Annotated[
    EventFilter | None,
    argument(description="Further filter of events, combined with the dashboard's; default: none."),
]
PointWhere = Annotated[
    MetricFilter | None,
    argument(description="Further filter of points, combined with the dashboard's; default: none."),
]
ViewerZone = Annotated[Zone | None, argument(description="Time zone; default: the dashboard's.")]
Compare = Annotated[
    CompareInput | None, argument(description="Range to compare with; default: the dashboard's.")
]
PanelKey = Annotated[str, argument(description="Key of the panel in the dashboard.")]


@strawberry.type(description="Place of a panel on a grid of 12 columns.")
class Place:
    x: int = strawberry.field(description="Left column, from 0.")
    y: int = strawberry.field(description="Top row, from 0.")
    width: int = strawberry.field(description="Number of columns.")
    height: int = strawberry.field(description="Number of rows.")


@strawberry.type(description="Level of the values from a value on.")
class Threshold:
    value: float = strawberry.field(description="First value of the level.")
    level: ThresholdLevel = strawberry.field(description="Level from this value on.")


@strawberry.type(description="Part of a dashboard that this version of the service refuses.")
class DashboardProblem:
    field: str = strawberry.field(description="Name of the part, as `panels[2].document`.")
    code: str = strawberry.field(description="Stable code, as in `errors[].extensions.code`.")
    message: str = strawberry.field(description="Reason.")


@strawberry.type(description="Values that the variables of all panels get by default.")
class DashboardVariables:
    range: Json | None = strawberry.field(description="Time range, in the form of its input.")
    timezone: Zone | None = strawberry.field(description="Time zone.")
    where: Json | None = strawberry.field(description="Filter of events, in the form of its input.")
    point_where: Json | None = strawberry.field(
        description="Filter of points, in the form of its input."
    )
    compare: Json | None = strawberry.field(
        description="Range to compare with, in the form of its input."
    )


@strawberry.type(description="Panel of a dashboard: a stored query, and how to show its answer.")
class Panel:
    dashboard: strawberry.Private["Dashboard"]
    content: strawberry.Private[PanelContent]
    index: strawberry.Private[int]

    @strawberry.field(description="Id, unique among all types: the dashboard's, `/` and the key.")
    def id(self) -> strawberry.ID:
        return strawberry.ID(f"panel:{self.dashboard.header.id}/{self.content.key}")

    @strawberry.field(description="Key, unique in the dashboard.")
    def key(self) -> str:
        return self.content.key

    @strawberry.field(description="Title; it may be empty.")
    def title(self) -> str:
        return self.content.title

    @strawberry.field(description="Description; it may be empty.")
    def description(self) -> str:
        return self.content.description

    @strawberry.field(description="How the panel shows its answer.")
    def kind(self) -> PanelKind:
        return self.content.kind

    @strawberry.field(description="GraphQL document; null for a TEXT panel.")
    def document(self) -> str | None:
        return self.content.document or None

    @strawberry.field(description="Markdown of a TEXT panel; null for other panels.")
    def text(self) -> str | None:
        return self.content.text if self.content.kind is PanelKind.TEXT else None

    @strawberry.field(description="Values of variables that only this panel has.")
    def variables(self) -> Json:
        return _encode_json(self.content.variables)

    @strawberry.field(description="Unit of the values; null without one.")
    def unit(self) -> str | None:
        return self.content.unit or None

    @strawberry.field(description="Thresholds, as they were saved.")
    def thresholds(self) -> list[Threshold]:
        return [
            Threshold(value=entry.value, level=entry.level) for entry in self.content.thresholds
        ]

    @strawberry.field(description="Place on the grid.")
    def place(self) -> Place:
        place = self.content.place
        assert place  # noqa: S101 - each content is completed before it is saved
        return Place(x=place.x, y=place.y, width=place.width, height=place.height)

    @strawberry.field(description="What this version of the service refuses of the panel.")
    async def problems(self, info: ContextInfo) -> list[DashboardProblem]:
        prefix = f"panels[{self.index}]"
        problems = await self.dashboard.problem_list(info)
        return [problem for problem in problems if problem.field.startswith(prefix)]

    @strawberry.field(description="Answer of the panel alone.")
    async def data(
        self,
        info: ContextInfo,
        range: Range = None,  # noqa: A002
        where: Where = None,
        point_where: PointWhere = None,
        timezone: ViewerZone = None,
        compare: Compare = None,
    ) -> PanelData | None:
        overrides = Overrides(range, where, point_where, timezone, compare)
        content = await self.dashboard.content(info)
        (data,) = await run_panels(info, content, [self.content], overrides)
        return data


@strawberry.type(description="Version of a dashboard: what one save wrote.")
class DashboardVersion:
    version: strawberry.Private[VersionHeader]
    dashboard: strawberry.Private[Header]

    @strawberry.field(description="Number, from 1.")
    def number(self) -> int:
        return self.version.number

    @strawberry.field(description="Time of the save.")
    def saved_at(self) -> Instant:
        return Instant(self.version.saved_ms)

    @strawberry.field(
        description="Person, or id of the key, that saved it; null if nobody signed in, and for"
        " callers with a row filter."
    )
    def saved_by(self, info: ContextInfo) -> str | None:
        return dashboards.author_name(info.context, self.version.saved_by)

    @strawberry.field(description="What changed; it may be empty.")
    def message(self) -> str:
        return self.version.message

    @strawberry.field(description="Title in this version.")
    def title(self) -> str:
        return self.version.content.title

    @strawberry.field(description="Content, in the form of `DashboardInput`.")
    async def source(self, info: ContextInfo) -> Json | None:
        version = await dashboards.read(info.context, self.dashboard, self.version.number)
        return _json(version.content)


@strawberry.type(description="Dashboard of the project: panels with stored queries.")
class Dashboard(Node):
    header: strawberry.Private[Header]
    stored_content: strawberry.Private[DashboardContent | None] = None

    @strawberry.field(description="Name in addresses, unique in the project.")
    def slug(self) -> str:
        return self.header.slug

    @strawberry.field(description="Title.")
    def title(self) -> str:
        return self.header.title

    @strawberry.field(description="Description; it may be empty.")
    def description(self) -> str:
        return self.header.description

    @strawberry.field(description="Number of the newest version, to be sent with the next save.")
    def version_number(self) -> int:
        return self.header.number

    @strawberry.field(description="Time of the first version.")
    def created_at(self) -> Instant:
        return Instant(self.header.created_ms)

    @strawberry.field(description="Time of the newest version.")
    def updated_at(self) -> Instant:
        return Instant(self.header.saved_ms)

    @strawberry.field(
        description="Person, or id of the key, that saved the newest version; null if nobody signed"
        " in, and for callers with a row filter."
    )
    def updated_by(self, info: ContextInfo) -> str | None:
        return dashboards.author_name(info.context, self.header.saved_by)

    @strawberry.field(description="Whether it is a file of the operator, which nobody saves here.")
    def is_read_only(self, info: ContextInfo) -> bool:
        return info.context.store.dashboards.is_file(self.header.id)

    @strawberry.field(description="Values that the variables of all panels get by default.")
    async def variables(self, info: ContextInfo) -> DashboardVariables | None:
        variables = (await self.content(info)).variables
        return DashboardVariables(
            range=_json(variables.range),
            timezone=None if variables.timezone is None else Zone(variables.timezone),
            where=_json(variables.where),
            point_where=_json(variables.point_where),
            compare=_json(variables.compare),
        )

    @strawberry.field(description="Panels, in the order in which they were saved.")
    async def panels(self, info: ContextInfo) -> list[Panel] | None:
        panels = (await self.content(info)).panels
        return [
            Panel(dashboard=self, content=panel, index=index) for index, panel in enumerate(panels)
        ]

    @strawberry.field(description="Panel with this key; null and an error if there is none.")
    async def panel(self, info: ContextInfo, key: PanelKey) -> Panel | None:
        for index, panel in enumerate((await self.content(info)).panels):
            if panel.key == key:
                return Panel(dashboard=self, content=panel, index=index)
        raise AnalyticsError("NOT_FOUND", "There is no such panel.", field="key")

    @strawberry.field(description="What this version of the service refuses; the rest still works.")
    async def problems(self, info: ContextInfo) -> list[DashboardProblem] | None:
        return await self.problem_list(info)

    @strawberry.field(description="Content as JSON, in the form of `DashboardInput` and of files.")
    async def source(self, info: ContextInfo) -> Json | None:
        return _json(await self.content(info))

    @strawberry.field(description="Versions that are kept, newest first.")
    async def versions(self, info: ContextInfo) -> list[DashboardVersion] | None:
        versions = await dashboards.history(info.context, self.header)
        return [DashboardVersion(version=version, dashboard=self.header) for version in versions]

    @strawberry.field(description="One version; null and an error if it is not kept.")
    async def version(
        self,
        info: ContextInfo,
        number: Annotated[
            int | None, argument(description="Number of the version; default: the newest one.")
        ] = None,
    ) -> DashboardVersion | None:
        version = await dashboards.read(info.context, self.header, number)
        header = msgspec.convert(version, VersionHeader, from_attributes=True)
        return DashboardVersion(version=header, dashboard=self.header)

    @strawberry.field(
        description="Answers of all panels in their order, with as few statements as one document"
        " with all their queries. A panel that fails has errors, and the others their data."
    )
    async def data(
        self,
        info: ContextInfo,
        range: Range = None,  # noqa: A002
        where: Where = None,
        point_where: PointWhere = None,
        timezone: ViewerZone = None,
        compare: Compare = None,
    ) -> list[PanelData] | None:
        overrides = Overrides(range, where, point_where, timezone, compare)
        content = await self.content(info)
        if info.context.answer.document_error:  # a list of dashboards would only add refusals
            raise info.context.answer.document_error
        return await run_panels(info, content, content.panels, overrides)

    async def content(self, info: ContextInfo) -> DashboardContent:
        """Return the content of the newest version; it is read once."""
        if self.stored_content is None:
            self.stored_content = (await dashboards.read(info.context, self.header)).content
        return self.stored_content

    async def problem_list(self, info: ContextInfo) -> list[DashboardProblem]:
        """Return the problems of the dashboard."""
        ctx, check = info.context, content_check(info)
        problems = await dashboards.problems(
            ctx.store, ctx.grant.project, self.header, check, ctx.answer.spend_bytes
        )
        return [
            DashboardProblem(field=problem.field, code=problem.code, message=problem.message)
            for problem in problems
        ]


@strawberry.type(description="Dashboard that was saved.")
class SaveDashboardPayload:
    dashboard: Dashboard = strawberry.field(description="The dashboard, with its new version.")


def dashboard_of(header: Header) -> Dashboard:
    """Return the node of a dashboard."""
    return Dashboard(id=global_id(DASHBOARD, header.id), header=header)


def content_check(info: ContextInfo) -> ContentCheck:
    """Return the check of contents against the schema of a field."""
    core_schema = info.schema._schema  # noqa: SLF001 - graphql-core's
    return functools.partial(content_problems, core_schema, info.context.limits)


def _json(value: object) -> Json | None:
    return None if value is None else _encode_json(value)


def _encode_json(value: object) -> Json:
    """Return a value as JSON text, whose bytes count in the answer, with each alias."""
    return Json(encoded_text(msgspec.json.encode(value)))
