"""Content of a dashboard from JSON: completed with defaults, and checked without a schema."""

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from schema.access import PROJECT
from schema.dashboards.content import (
    DashboardContent,
    PanelContent,
    PanelKind,
    Place,
    VariableDefaults,
)
from schema.errors import bad_input, limit_error, quote
from schema.filter_json import filter_from_json
from schema.filters import EventFilter, MetricFilter
from schema.limits import (
    DASHBOARD_BYTES,
    DASHBOARD_PANELS,
    DASHBOARD_TEXT_CHARACTERS,
    DASHBOARD_TITLE_CHARACTERS,
    Limit,
    LimitTable,
)
from store.dashboards.slugs import MAX_SLUG, SLUG
from store.query.filters.conditions import event_condition, metric_condition
from store.query.filters.row_set import RowSet
from store.query.tables import EVENTS, METRICS

COLUMNS: Final = 12
"""Columns of the grid."""

_MAX_ROWS: Final = 10_000
_MAX_HEIGHT: Final = 100
_MAX_THRESHOLDS: Final = 20
_DEFAULT_WIDTH: Final = 6
_DEFAULT_HEIGHT: Final = 4
_KEY: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


def content_from_json(source: object, limits: LimitTable) -> DashboardContent:
    """Return the content that JSON in the form of `DashboardInput` describes, with defaults.

    The slug may be empty: the store makes it. Raises BAD_USER_INPUT that names the wrong part, as
    `panels[2].place.x`.
    """
    try:
        content = msgspec.convert(_without_nulls(source), DashboardContent)
    except (msgspec.ValidationError, RecursionError) as error:
        raise bad_input("source", str(error) or "is nested too deeply") from None
    if len(content.panels) > limits[DASHBOARD_PANELS].value:
        raise limit_error(limits[DASHBOARD_PANELS], "BAD_USER_INPUT", "panels")
    content = _completed_content(content)
    _check_texts(content, limits)
    _check_filters(content.variables)
    for index, panel in enumerate(content.panels):
        _check_panel(panel, f"panels[{index}]", limits)
    _check_keys(content.panels)
    if len(msgspec.json.encode(content)) > limits[DASHBOARD_BYTES].value:
        raise limit_error(limits[DASHBOARD_BYTES], "BAD_USER_INPUT", "dashboard")
    return content


def _without_nulls(source: object) -> object:
    """Leave members out that are null: they mean the default. Variables of panels may be null."""
    if not isinstance(source, dict):
        return source
    content: dict[str, Any] = {
        name: value for name, value in source.items() if value is not None and name != "panels"
    }
    panels = source.get("panels")
    if isinstance(panels, list):
        content["panels"] = [
            {name: value for name, value in panel.items() if value is not None}
            if isinstance(panel, dict)
            else panel
            for panel in panels
        ]
    elif panels is not None:
        content["panels"] = panels
    return content


def _completed_content(content: DashboardContent) -> DashboardContent:
    """Return the content with a key and a place for each panel."""
    keys = {panel.key for panel in content.panels}
    free_keys = (key for n in range(1, 10**6) if (key := f"p{n}") not in keys)
    panels = [
        msgspec.structs.replace(
            panel,
            key=panel.key or next(free_keys),
            place=panel.place or _default_place(index),
        )
        for index, panel in enumerate(content.panels)
    ]
    return msgspec.structs.replace(content, panels=tuple(panels))


def _default_place(index: int) -> Place:
    row, column = divmod(index, COLUMNS // _DEFAULT_WIDTH)
    return Place(column * _DEFAULT_WIDTH, row * _DEFAULT_HEIGHT, _DEFAULT_WIDTH, _DEFAULT_HEIGHT)


def _check_texts(content: DashboardContent, limits: LimitTable) -> None:
    if not content.title.strip():
        raise bad_input("title", "must not be empty")
    _check_line(content.title, limits[DASHBOARD_TITLE_CHARACTERS], "title")
    if content.slug and (len(content.slug) > MAX_SLUG or not SLUG.fullmatch(content.slug)):
        message = f"{quote(content.slug)} must be words of a-z and 0-9 with dashes between them"
        raise bad_input("slug", f"{message}, at most {MAX_SLUG} characters", limit=MAX_SLUG)
    _check_text(content.description, limits[DASHBOARD_TEXT_CHARACTERS], "description")


def _check_filters(variables: VariableDefaults) -> None:
    """Compile the filters as queries do: GraphQL knows neither their depth nor their patterns."""
    if variables.where is not None:
        field = "variables.where"
        where = filter_from_json(EventFilter, variables.where, field)
        event_condition(where, RowSet(EVENTS.name, PROJECT), None, field)
    if variables.point_where is not None:
        field = "variables.pointWhere"
        point_where = filter_from_json(MetricFilter, variables.point_where, field)
        metric_condition(point_where, RowSet(METRICS.name, PROJECT), field)


def _check_panel(panel: PanelContent, field: str, limits: LimitTable) -> None:
    _check_line(panel.title, limits[DASHBOARD_TITLE_CHARACTERS], f"{field}.title")
    _check_line(panel.unit, limits[DASHBOARD_TITLE_CHARACTERS], f"{field}.unit")
    _check_text(panel.description, limits[DASHBOARD_TEXT_CHARACTERS], f"{field}.description")
    _check_text(panel.text, limits[DASHBOARD_TEXT_CHARACTERS], f"{field}.text")
    if not _KEY.fullmatch(panel.key):
        message = f"{quote(panel.key)} must have 1 to 64 letters, digits, - and _"
        raise bad_input(f"{field}.key", message, limit=64)
    is_text = panel.kind is PanelKind.TEXT
    if is_text and (panel.document or panel.variables):
        raise bad_input(f"{field}.document", "a TEXT panel has none, and no variables")
    if not is_text and panel.text:
        raise bad_input(f"{field}.text", "is for TEXT panels")
    if not is_text and not panel.document:
        raise bad_input(f"{field}.document", f"a {panel.kind.name} panel needs a document")
    if len(panel.thresholds) > _MAX_THRESHOLDS:
        message = f"must be at most {_MAX_THRESHOLDS}"
        raise bad_input(f"{field}.thresholds", message, limit=_MAX_THRESHOLDS)
    if panel.place:
        _check_place(panel.place, f"{field}.place")


def _check_place(place: Place, field: str) -> None:
    for name, value, low, high in (
        ("x", place.x, 0, COLUMNS - 1),
        ("y", place.y, 0, _MAX_ROWS - 1),
        ("width", place.width, 1, COLUMNS - place.x),
        ("height", place.height, 1, _MAX_HEIGHT),
    ):
        if not low <= value <= high:
            raise bad_input(f"{field}.{name}", f"must be from {low} to {high}", limit=high)


def _check_keys(panels: Sequence[PanelContent]) -> None:
    keys: set[str] = set()
    for index, panel in enumerate(panels):
        if panel.key in keys:
            raise bad_input(f"panels[{index}].key", f"two panels have the key {quote(panel.key)}")
        keys.add(panel.key)


def _check_line(text: str, limit: Limit, field: str) -> None:
    if _CONTROL.search(text):
        raise bad_input(field, "must have no control characters")
    _check_text(text, limit, field)


def _check_text(text: str, limit: Limit, field: str) -> None:
    if len(text) > limit.value:
        raise limit_error(limit, "BAD_USER_INPUT", field)
    if "\0" in text:
        raise bad_input(field, "must have no NUL character")
