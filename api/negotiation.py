"""What a client accepts, by weight: media types (Accept) and encodings (Accept-Encoding)."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from starlette.datastructures import Headers

_WEIGHT: Final = re.compile(r"[0-9]+(\.[0-9]*)?|\.[0-9]+")
_UTF_8: Final = {"utf-8", "utf8"}


def weights(headers: Headers, name: str) -> dict[str, float]:
    """Read a header like `gzip, br;q=0.5`: each value in lower case, and its weight from 0 to 1.

    A weight that is no number counts as none. Of a value that is there twice the larger weight
    counts. A media type in another charset than UTF-8, the only one of our answers, has none.
    """
    found: dict[str, float] = {}
    for part in ",".join(headers.getlist(name)).lower().split(","):
        value, *parameters = (text.strip() for text in part.split(";"))
        given = dict(_parameter(text) for text in parameters)
        if value:
            is_ours = given.get("charset", "utf-8") in _UTF_8
            weight = _weight(given.get("q", "1")) if is_ours else 0.0
            found[value] = max(weight, found.get(value, 0.0))
    return found


def _parameter(text: str) -> tuple[str, str]:
    key, _, value = text.partition("=")
    return key.strip(), value.strip(' "')


def _weight(text: str) -> float:
    return min(float(text), 1.0) if _WEIGHT.fullmatch(text) else 1.0


def media_type_weight(accepted: Mapping[str, float], media_type: str) -> float:
    """Return the weight of a media type: that of the most specific range that has it, or 0."""
    ranges = (media_type, f"{media_type.partition('/')[0]}/*", "*/*", "*")
    return next((accepted[each] for each in ranges if each in accepted), 0.0)


def prefers_page(headers: Headers, others: Sequence[str]) -> bool:
    """Say whether HTML is named in Accept, and has no less weight than other media types."""
    accepted = weights(headers, "accept")
    page = accepted.get("text/html", 0.0)
    return page > 0 and all(media_type_weight(accepted, other) <= page for other in others)


def encoding(headers: Headers, offered: Sequence[str]) -> str | None:
    """Choose the encoding of an answer; None: as it is.

    `offered` is in our order of preference. What only `*` accepts is gzip, if that is offered.
    """
    accepted = weights(headers, "accept-encoding")
    if not accepted:
        return None
    if "x-gzip" in accepted:
        accepted.setdefault("gzip", accepted["x-gzip"])
    if "*" in accepted:
        accepted.setdefault("gzip", accepted["*"])
    best = max(offered, key=lambda name: accepted.get(name, 0.0), default="")
    weight = accepted.get(best, 0.0)
    return best if weight > 0 and weight >= accepted.get("identity", 0.0) else None
