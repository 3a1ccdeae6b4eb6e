"""What is answered about series: their keys and labels, and how the answer was made."""

import operator
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

import msgspec

from resolvers.context import Context
from resolvers.questions import Ran, Reply
from resolvers.series_request import Asked, Rows
from resolvers.table import Frame
from schema.results import Caveat, GroupKey, ResultMeta
from schema.scalars import Long
from store.series_types import OTHER, Key, Line

T = TypeVar("T")

_OTHER_LABEL: Final = "Other"
_NO_VALUE: Final = "(none)"


@dataclass(slots=True)
class Answer:
    """What was found for the series of one range."""

    lines: dict[int, Line] = field(default_factory=dict)
    keys: dict[int, list[str]] = field(default_factory=dict)
    ran: list[Ran] = field(default_factory=list)
    groups: int = 1

    def add(self, reply: Reply) -> None:
        """Take the lines of a reply."""
        self.ran.append(reply.ran)
        self.lines |= {line.series: line for line in reply.lines}

    def add_ranking(self, reply: Reply) -> None:
        """Take a reply that says which groups come first."""
        self.add(reply)
        self.groups = max((line.groups for line in reply.lines), default=0)
        ranked = sorted(reply.lines, key=operator.attrgetter("series"))
        self.keys = {line.series: line.keys for line in ranked if line.series != OTHER}


def these(of: Sequence[T], shown: Sequence[int]) -> Sequence[T]:
    """Return what belongs to the shown buckets: all, most often."""
    return of if shown == range(len(of)) else [of[n] for n in shown]


def numbers(asked: Asked, current: Answer, previous: Answer) -> list[int]:
    """List the series in their order: the groups as they were ranked, then all others."""
    if not asked.keys:
        return [1]
    others = asked.others and (OTHER in current.lines or OTHER in previous.lines)
    return [*current.keys, *([OTHER] if others else [])]


def group_keys(keys: Sequence[Key], texts: Sequence[str] | None) -> list[GroupKey]:
    """Return the keys of a group, of which the engine told the texts."""
    if texts is None:
        return []
    return [
        GroupKey(name=key.name, value=_value_of(text, is_json=key.is_json))
        for key, text in zip(keys, texts, strict=True)
    ]


def _value_of(text: str, *, is_json: bool) -> str | None:
    """Read a key's value: null where there is none, a text as such, all else as its JSON."""
    if not text:
        return None
    value = msgspec.json.decode(text) if is_json else text
    return value if isinstance(value, str) else text


def label(keys: Sequence[GroupKey], rows: Rows, *, is_other: bool) -> str:
    """Return what a legend calls a series."""
    if is_other:
        return _OTHER_LABEL
    texts = [_NO_VALUE if key.value is None else key.value for key in keys]
    return ", ".join(texts) if texts else rows.label


def result_meta(
    ctx: Context,
    asked: Asked,
    frames: tuple[Frame, Frame | None],
    answers: tuple[Answer, Answer],
) -> ResultMeta:
    """Say how an answer was made."""
    current, previous = answers
    ran = list({id(each): each for each in (*current.ran, *previous.ran)}.values())
    truncated = not asked.others and current.groups > asked.limit
    warnings = []
    if truncated:
        message = f"{current.groups - asked.limit} groups are left out (limit {asked.limit})."
        warnings.append(Caveat(code="TRUNCATED", message=message))
    if ctx.store.problems():
        message = "Rows that were acknowledged may be missing: the engine can't load them now."
        warnings.append(Caveat(code="INCOMPLETE", message=message))
    return ResultMeta(
        range=frames[0].span,
        comparison_range=frames[1].span if frames[1] else None,
        total_groups=Long(current.groups),
        truncated=truncated,
        rows_read=Long(sum(each.rows_read for each in ran)),
        elapsed_ms=round(sum(each.ms for each in ran), 3),
        fresh_as_of=ctx.now(),
        warnings=warnings,
        sql=None if ctx.production else "\n\n".join(each.statement.for_console() for each in ran),
    )
