"""Annotations: events of a reserved name, read and recorded."""

from typing import Final, cast

import msgspec

from resolvers import events, recording
from resolvers.context import Context
from schema.dashboards.annotations import (
    ANNOTATION,
    AnnotateInput,
    AnnotatePayload,
    Annotation,
    AnnotationKind,
)
from schema.errors import bad_input
from schema.events import Event
from schema.paging import Paging, checked_count
from schema.ranges import TimeRange
from schema.scalars import Instant, rfc3339
from schema.time.instants import parse_rfc3339
from store.ingest.row_errors import GRAPHQL_NAMES
from store.ingest.streams import EVENT_STREAM

_ADDRESSES: Final = ("https://", "http://")
_MAX_TITLE: Final = 200


class _Properties(msgspec.Struct):
    """Properties of an annotation; clients record them as any event, so each may be anything."""

    title: object = None
    text: object = None
    kind: object = None
    endsAt: object = None  # noqa: N815 - its name in events
    url: object = None


_DECODE: Final = msgspec.json.Decoder(_Properties).decode
_KINDS: Final = {kind.name.lower(): kind for kind in AnnotationKind}


async def list_annotations(ctx: Context, time_range: TimeRange, first: int) -> list[Annotation]:
    """List the annotations that begin in a range, newest first, as far as the caller sees them."""
    paging = Paging(checked_count("first", first))
    page = await events.page(ctx, events.name_filter(ANNOTATION), time_range, paging)
    return [_annotation(event) for event in page.entries]


async def annotate(ctx: Context, annotation: AnnotateInput) -> AnnotatePayload:
    """Record an annotation durably. Raises `AnalyticsError` that names the wrong field."""
    if not 0 < len(annotation.title) <= _MAX_TITLE:
        raise bad_input("title", f"must have 1 to {_MAX_TITLE} characters", limit=_MAX_TITLE)
    if annotation.url is not None and not annotation.url.startswith(_ADDRESSES):
        raise bad_input("url", "must begin with https:// or http://")
    start = ctx.now() if annotation.time is None else annotation.time
    if annotation.ends_at is not None and annotation.ends_at <= start:
        raise bad_input("endsAt", "must be after the start")
    properties = {
        "title": annotation.title,
        "text": annotation.text,
        "kind": annotation.kind.name.lower(),
        "endsAt": None if annotation.ends_at is None else rfc3339(annotation.ends_at),
        "url": annotation.url,
    }
    row = {
        "event_name": ANNOTATION,
        "id": annotation.id,
        "timestamp": None if annotation.time is None else rfc3339(annotation.time),
        "properties": {name: value for name, value in properties.items() if value is not None},
    }
    payload = await recording.record_batch(
        ctx,
        EVENT_STREAM,
        [{name: value for name, value in row.items() if value is not None}],
        GRAPHQL_NAMES,
        address=ctx.address,
    )
    return AnnotatePayload(accepted=payload.accepted, duplicates=payload.duplicates)


def _annotation(event: Event) -> Annotation:
    properties = _DECODE(cast("msgspec.Raw", event.properties))
    return Annotation(
        id=event.id,
        time=event.time,
        ends_at=_instant(properties.endsAt),
        title=_text(properties.title) or "",
        text=_text(properties.text),
        kind=_KINDS.get(str(properties.kind), AnnotationKind.NOTE),
        url=_address(properties.url),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _address(value: object) -> str | None:
    """Return an address of the web: pages make a link of it, and `javascript:` would be code."""
    text = _text(value)
    return text if text is not None and text.startswith(_ADDRESSES) else None


def _instant(value: object) -> Instant | None:
    try:
        return Instant(parse_rfc3339(value)) if isinstance(value, str) else None
    except ValueError:
        return None
