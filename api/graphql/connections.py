"""Relay connections: pages of a list in both directions."""

from collections.abc import Callable
from typing import Annotated, Any, Generic, Self, TypeVar

import strawberry
from strawberry import argument
from strawberry.types import Info

from resolvers.pages import ListPage, Page
from schema.answer_budget import AnswerBudget
from schema.encoding import Columns, FieldValues, encode_beside, objects
from schema.scalars import Long
from schema.selection import SelectedField, selected_fields

T = TypeVar("T")

First = Annotated[
    int | None,
    argument(
        description="Return the first n entries, 1 to 1000; default 100, unless `last` is given."
    ),
]
AfterCursor = Annotated[str | None, argument(description="Return only entries after this cursor.")]
Last = Annotated[int | None, argument(description="Return the last n entries, 1 to 1000.")]
BeforeCursor = Annotated[
    str | None, argument(description="Return only entries before this cursor.")
]


@strawberry.type(description="Position of a page in its list.")
class PageInfo:
    page: strawberry.Private[Page[Any] | ListPage[Any]]

    @strawberry.field(description="Whether entries follow the page; looked up only if selected.")
    async def has_next_page(self) -> bool:
        return await self.page.has_next()

    @strawberry.field(description="Whether entries precede the page; looked up only if selected.")
    async def has_previous_page(self) -> bool:
        return await self.page.has_previous()

    @strawberry.field(description="Cursor of the first entry: `before` of the previous page.")
    def start_cursor(self) -> str | None:
        return self.page.cursor_at(0)

    @strawberry.field(description="Cursor of the last entry: `after` of the next page.")
    def end_cursor(self) -> str | None:
        return self.page.cursor_at(-1)


@strawberry.type(description="Entry of a list with its cursor.")
class Edge(Generic[T]):
    cursor: str = strawberry.field(
        description="Position in the list; it stays valid when entries are added or deleted."
    )
    node: T = strawberry.field(description="The entry itself.")


@strawberry.type(description="Page of a list. The order is the same with `first` and with `last`.")
class Connection(Generic[T]):
    page: strawberry.Private[Page[T] | ListPage[T]]

    @classmethod
    def from_page(cls, page: Page[T] | ListPage[T]) -> Self:
        """Return the connection of a page."""
        return cls(page=page)

    @strawberry.field(description="Entries of the page, with their cursors.")
    def edges(self, info: Info) -> list[Edge[T]]:
        if isinstance(self.page, Page) and self.page.columns is not None:
            return _encoded_edges(self.page, info)
        cursors, entries = self.page.cursors, self.page.entries
        return [
            Edge(cursor=cursor, node=node) for cursor, node in zip(cursors, entries, strict=True)
        ]

    @strawberry.field(description="Entries of the page.")
    def nodes(self, info: Info) -> list[T]:
        if isinstance(self.page, Page) and self.page.columns is not None:
            return _encoded_nodes(self.page, info)
        return self.page.entries

    @strawberry.field(description="Position of the page in the list.")
    def page_info(self) -> PageInfo:
        return PageInfo(page=self.page)

    @strawberry.field(description="Number of entries in the whole list; counted only if selected.")
    async def total_count(self) -> Long | None:
        return Long(await self.page.total())


def _encoded_nodes(page: Page[Any], info: Info) -> Any:  # noqa: ANN401 - for a list
    assert page.columns  # noqa: S101 - the callers check it
    columns = page.columns
    return _encode(page, info, lambda: columns(page.rows))


def _encoded_edges(page: Page[Any], info: Info) -> Any:  # noqa: ANN401 - for a list
    assert page.columns  # noqa: S101 - the callers check it
    columns = page.columns

    def edges() -> Columns:
        nodes = columns(page.rows)

        def edge(field: SelectedField) -> FieldValues:
            if field.name == "node":
                return nodes
            return [b'"%b"' % cursor.encode() for cursor in page.cursors]

        return edge

    return _encode(page, info, edges)


def _encode(page: Page[Any], info: Info, columns: Callable[[], Columns]) -> Any:  # noqa: ANN401 - for a list
    fields, count = selected_fields(info._raw_info), len(page.rows)  # noqa: SLF001
    budget: AnswerBudget = info.context.answer
    return encode_beside(lambda: objects(fields, columns(), count, budget), fields, count, budget)
