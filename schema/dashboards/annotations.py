"""Annotations: deploys, incidents and notes that charts show. They are events of one name."""

from enum import Enum
from typing import Final

import strawberry

from schema.scalars import Instant, ReadableInstants

ANNOTATION: Final = "$annotation"
"""Name of the events that are annotations."""


@strawberry.enum(description="Kind of an annotation.")
class AnnotationKind(Enum):
    DEPLOY = strawberry.enum_value("deploy", description="A new version went live.")
    INCIDENT = strawberry.enum_value("incident", description="Something did not work.")
    NOTE = strawberry.enum_value("note", description="Anything else.")


@strawberry.type(
    description="Annotation: an event with the name `$annotation`, whose properties are `title`,"
    " `text`, `kind` (`deploy`, `incident` or `note`), `endsAt` and `url`."
)
class Annotation:
    id: strawberry.ID = strawberry.field(description="Id of the event.")
    time: Instant = strawberry.field(description="Time, or start of a period.")
    ends_at: Instant | None = strawberry.field(
        description="End of a period; null without one, and if it is no RFC 3339 text."
    )
    title: str = strawberry.field(description="Title; empty if it is no text.")
    text: str | None = strawberry.field(description="Text; null without one.")
    kind: AnnotationKind = strawberry.field(description="Kind; NOTE for any unknown one.")
    url: str | None = strawberry.field(
        description="Address that begins with `https://` or `http://`; null for any other text."
    )


@strawberry.input(description="Annotation to record.")
class AnnotateInput(ReadableInstants):
    title: str = strawberry.field(description="Title, 1 to 200 characters.")
    text: str | None = strawberry.field(default=None, description="Text; default: none.")
    kind: AnnotationKind = strawberry.field(
        default=AnnotationKind.NOTE, description="Kind of the annotation."
    )
    time: Instant | None = strawberry.field(
        default=None, description="Time, or start of a period; default: now."
    )
    ends_at: Instant | None = strawberry.field(
        default=None, description="End of a period, after its start; default: none."
    )
    url: str | None = strawberry.field(
        default=None,
        description="Address that begins with `https://` or `http://`; default: none.",
    )
    id: str | None = strawberry.field(
        default=None,
        description="Client id. An annotation that is sent again with this id within 7 days counts"
        " once.",
    )


@strawberry.type(description="Annotation that was recorded.")
class AnnotatePayload:
    accepted: int = strawberry.field(description="Number of annotations that are stored: 1, or 0.")
    duplicates: int = strawberry.field(
        description="Number of annotations whose `id` was recorded in the last 7 days: 0, or 1."
    )
