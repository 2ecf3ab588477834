"""Relay connections over keyset pages. What is not selected is not made: no cursor, no count."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar, cast

import strawberry

from gql.scalars import BigInt
from models.pagination import Page

if TYPE_CHECKING:
    from gql.loaders import Loaders, Query

T = TypeVar("T")

First = Annotated[
    int | None,
    strawberry.argument(description="The first so many, at most 1,000; 100 when neither first nor last is given."),
]
After = Annotated[str | None, strawberry.argument(description="Only what comes after this cursor.")]
Last = Annotated[
    int | None, strawberry.argument(description="The last so many, at most 1,000; not together with first.")
]
Before = Annotated[str | None, strawberry.argument(description="Only what comes before this cursor.")]


@strawberry.type(description="Where a page is in its list.")
class PageInfo:
    """Relay's PageInfo."""

    has_next_page: bool = strawberry.field(description="Whether there is more behind this page.")
    has_previous_page: bool = strawberry.field(description="Whether there is more before this page.")
    start_cursor: str | None = strawberry.field(description="The cursor of the page's first item.")
    end_cursor: str | None = strawberry.field(description="The cursor of the page's last item.")


@strawberry.type(description="An item of a page, with its cursor.")
class Edge(Generic[T]):
    """One item."""

    cursor: str = strawberry.field(
        description="Where this item is. It belongs to the list's filter and order; rows may come and go."
    )
    node: T = strawberry.field(description="The item.")


@strawberry.type(description="One page of a list.")
class Connection(Generic[T]):
    """A page of rows, shown as `T`."""

    page: strawberry.Private[Page[Any]]
    show: strawberry.Private[Callable[[Any], Any]]
    count: strawberry.Private[Callable[[], Awaitable[int | None]]]

    @strawberry.field(description="The items with their cursors.")
    def edges(self) -> list[Edge[T]]:
        """The items with their cursors."""
        cursor, show = self.page.order.cursor, self.show
        return [Edge(cursor=cursor(row), node=show(row)) for row in self.page.rows]

    @strawberry.field(description="The items.")
    def nodes(self) -> list[T]:
        """The items."""
        return list(map(self.show, self.page.rows))

    @strawberry.field(description="Where this page is in the list.")
    def page_info(self) -> PageInfo:
        """Where this page is."""
        page = self.page
        return PageInfo(
            has_next_page=page.has_next,
            has_previous_page=page.has_previous,
            start_cursor=page.order.cursor(page.rows[0]) if page.rows else None,
            end_cursor=page.order.cursor(page.rows[-1]) if page.rows else None,
        )

    @strawberry.field(
        description="How many items the list has. It costs a query: ask only if it is shown. Null above 1,000,000."
    )
    async def total_count(self) -> BigInt | None:
        """Counted when it is selected."""
        return await self.count()


def connect(page: Page[Any], show: Callable[[Any], T], count: Callable[[], Awaitable[int | None]]) -> Connection[T]:
    """The connection that shows a page of rows."""
    return cast("Connection[T]", Connection(page=page, show=show, count=count))


async def nested(
    loaders: Loaders,
    parent: int,
    name: str,
    arguments: Hashable,
    show: Callable[[Any], T],
    pages: Query[Page[Any]],
    counts: Query[Any],
) -> Connection[T]:
    """The connection of one parent. Parents whose lists are asked for with the same arguments share each statement."""

    async def count() -> int | None:
        return await loaders.of(f"{name}.count", arguments, counts).load(parent)

    return connect(await loaders.of(name, arguments, pages).load(parent), show, count)
