"""Relay connections: any list, page by page, in both directions."""

from collections.abc import Sequence
from typing import Annotated, Any, Generic, Self, TypeVar

import strawberry
from strawberry import argument
from strawberry.types import Info

from resolvers.pages import Page
from schema.ready import FieldValues, objects
from schema.scalars import Long
from schema.selection import SelectedField, selected_fields

T = TypeVar("T")

First = Annotated[
    int | None,
    argument(description="So many from the beginning, 1 to 1000; 100 unless `last` is given."),
]
AfterCursor = Annotated[str | None, argument(description="Only what comes after this cursor.")]
Last = Annotated[int | None, argument(description="So many from the end, 1 to 1000.")]
BeforeCursor = Annotated[str | None, argument(description="Only what comes before this cursor.")]


@strawberry.type(description="Where a page stands in its list.")
class PageInfo:
    page: strawberry.Private[Page[Any]]

    @strawberry.field(description="Whether more follow; looked up only when it is selected.")
    async def has_next_page(self) -> bool:
        return await self.page.has_next()

    @strawberry.field(description="Whether any come before; looked up only when it is selected.")
    async def has_previous_page(self) -> bool:
        return await self.page.has_previous()

    @strawberry.field(description="Cursor of the first entry, to go on `before`.")
    def start_cursor(self) -> str | None:
        return self.page.cursor_at(0)

    @strawberry.field(description="Cursor of the last entry, to go on `after`.")
    def end_cursor(self) -> str | None:
        return self.page.cursor_at(-1)


@strawberry.type(description="An entry of a list.")
class Edge(Generic[T]):
    cursor: str = strawberry.field(description="Its place in the list, whatever comes or goes.")
    node: T = strawberry.field(description="The entry.")


@strawberry.type(description="A page of a list; its order is the same in both directions.")
class Connection(Generic[T]):
    page: strawberry.Private[Page[T]]

    @classmethod
    def from_page(cls, page: Page[T]) -> Self:
        """Present a page."""
        return cls(page=page)

    @strawberry.field(description="The entries with their cursors.")
    def edges(self, info: Info) -> list[Edge[T]]:
        if self.page.columns is not None:
            return _ready_edges(self.page, selected_fields(info._raw_info))  # noqa: SLF001
        cursors, entries = self.page.cursors, self.page.entries
        return [Edge(cursor=at, node=node) for at, node in zip(cursors, entries, strict=True)]

    @strawberry.field(description="The entries.")
    def nodes(self, info: Info) -> list[T]:
        if self.page.columns is not None:
            return _ready_nodes(self.page, selected_fields(info._raw_info))  # noqa: SLF001
        return self.page.entries

    @strawberry.field(description="Where the page stands.")
    def page_info(self) -> PageInfo:
        return PageInfo(page=self.page)

    @strawberry.field(
        description="Entries in the whole list, counted only when it is selected; else null."
    )
    async def total_count(self) -> Long | None:
        return Long(await self.page.total())


def _ready_nodes(page: Page[Any], selected: Sequence[SelectedField]) -> Any:  # noqa: ANN401 - for a list
    assert page.columns  # noqa: S101 - that is why this is called
    return objects(selected, page.columns(page.rows), len(page.rows))


def _ready_edges(page: Page[Any], selected: Sequence[SelectedField]) -> Any:  # noqa: ANN401 - for a list
    assert page.columns  # noqa: S101 - that is why this is called
    nodes = page.columns(page.rows)

    def edge(field: SelectedField) -> FieldValues:
        return nodes if field.name == "node" else [b'"%b"' % at.encode() for at in page.cursors]

    return objects(selected, edge, len(page.rows))
