"""Caching of answers to named documents by GET: a tag, and 304 while the data is the same.

A private cache may keep such an answer, and must ask before each use: late rows change the past. No
shared cache may keep it, because it depends on the key.
"""

import hashlib
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from schema.access import Grant

_CACHE_CONTROL: Final = "private, max-age=0, must-revalidate"
_VARY: Final = "Authorization, Cookie, Analytics-Project"
"""Headers of a request that say who asks; `Accept` and others are added elsewhere."""


def tag(response: Response, data: object, grant: Grant) -> None:
    """Give a response the tag of its data.

    The tag is weak: it leaves out the statistics of statements, which differ each time. Callers
    with other keys have other tags.
    """
    caller = f"{grant.project}\n{grant.key_id}\n".encode()
    digest = hashlib.sha256(caller + msgspec.json.encode(data)).hexdigest()
    response.headers["ETag"] = f'W/"{digest[:32]}"'


def allow_caching(request: Request, response: Response) -> Response:
    """Let private caches keep a response with a tag; return 304 if the client has its data."""
    response_tag = response.headers.get("etag")
    if response_tag is None:
        return response
    response.headers["Cache-Control"] = _CACHE_CONTROL
    response.headers.add_vary_header(_VARY)
    if not _is_known(response_tag, request.headers.getlist("if-none-match")):
        return response
    response.status_code, response.body = 304, b""
    del response.headers["content-length"], response.headers["content-type"]
    return response


def _is_known(response_tag: str, known_tags: list[str]) -> bool:
    tags = {text.strip() for text in ",".join(known_tags).split(",")}
    return bool(tags & {"*", response_tag, response_tag.removeprefix("W/")})
