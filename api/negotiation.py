"""Content negotiation: weights of media types (Accept) and encodings (Accept-Encoding)."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from starlette.datastructures import Headers

_WEIGHT: Final = re.compile(r"[0-9]+(\.[0-9]*)?|\.[0-9]+")
_UTF_8: Final = {"utf-8", "utf8"}


def weights(headers: Headers, name: str) -> dict[str, float]:
    """Read a header like `gzip, br;q=0.5`: the weight, 0 to 1, of each value in lower case.

    A weight that is no number counts as 1. A repeated value has its largest weight. A media type
    in another charset than UTF-8 has weight 0, because all responses are UTF-8.
    """
    result: dict[str, float] = {}
    for entry in ",".join(headers.getlist(name)).lower().split(","):
        value, *parameters = (text.strip() for text in entry.split(";"))
        values = dict(_parameter(text) for text in parameters)
        if value:
            is_utf_8 = values.get("charset", "utf-8") in _UTF_8
            weight = _weight(values.get("q", "1")) if is_utf_8 else 0.0
            result[value] = max(weight, result.get(value, 0.0))
    return result


def _parameter(text: str) -> tuple[str, str]:
    key, _, value = text.partition("=")
    return key.strip(), value.strip(' "')


def _weight(text: str) -> float:
    return min(float(text), 1.0) if _WEIGHT.fullmatch(text) else 1.0


def media_type_weight(accepted: Mapping[str, float], media_type: str) -> float:
    """Return the weight of the most specific range that includes a media type, else 0."""
    ranges = (media_type, f"{media_type.partition('/')[0]}/*", "*/*", "*")
    return next((accepted[name] for name in ranges if name in accepted), 0.0)


def prefers_page(headers: Headers, media_types: Sequence[str]) -> bool:
    """Say whether Accept names HTML, with at least the weight of each of these media types."""
    accepted = weights(headers, "accept")
    page = accepted.get("text/html", 0.0)
    return page > 0 and all(
        media_type_weight(accepted, media_type) <= page for media_type in media_types
    )


def best_encoding(headers: Headers, encodings: Sequence[str]) -> str | None:
    """Choose the encoding of a response; None leaves it plain.

    `encodings` has the preferred encoding first. `*` alone accepts gzip.
    """
    accepted = weights(headers, "accept-encoding")
    if not accepted:
        return None
    if "x-gzip" in accepted:
        accepted.setdefault("gzip", accepted["x-gzip"])
    if "*" in accepted:
        accepted.setdefault("gzip", accepted["*"])
    best = max(encodings, key=lambda name: accepted.get(name, 0.0), default="")
    weight = accepted.get(best, 0.0)
    return best if weight > 0 and weight >= accepted.get("identity", 0.0) else None
