"""What has an id by which it can be asked for again."""

import strawberry


@strawberry.interface(description="Anything with an id; `node` finds it again.")
class Node:
    id: strawberry.ID = strawberry.field(description="Its id, unique among all types.")
