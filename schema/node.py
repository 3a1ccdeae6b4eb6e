"""The Node interface of Relay: an object with a global id."""

import strawberry


@strawberry.interface(description="Object with a global id, by which the field `node` returns it.")
class Node:
    id: strawberry.ID = strawberry.field(description="Global id, unique among all types.")
