"""The pages for people: start, explorer, REST documentation. Nothing on them is from elsewhere.

What we wrote is in `web/pages/`, what was built of others' work (`make pages`) in `web/dist/`.
All addresses in it are relative, so the pages work below any prefix.
"""

import mimetypes
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.staticfiles import NotModifiedResponse, PathLike, StaticFiles
from starlette.types import Scope

from api.negotiation import encoding

_WEB: Final = Path(__file__).resolve().parent.parent / "web"
_OURS: Final = _WEB / "pages"
_DIST: Final = _WEB / "dist"
_BUILT: Final = _DIST / "built.txt"
_HASHED: Final = _DIST / "static" / "explorer"  # each name has a hash of the content

_OWN: Final = dict.fromkeys(("default-src", "base-uri", "form-action"), "'none'") | dict.fromkeys(
    ("script-src", "style-src", "img-src", "font-src", "connect-src"), "'self'"
)
# Monaco, Swagger UI and ReDoc write styles; their icons are data URLs.
_OTHERS: Final = _OWN | {
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data:",
    "font-src": "'self' data:",
}
_POLICIES: Final = {
    "index.html": _OWN,
    "unbuilt.html": _OWN,
    "docs.html": _OTHERS,
    "redoc.html": _OTHERS | {"worker-src": "blob:"},  # its search
    "explorer.html": _OTHERS | {"worker-src": "'self'"},
}


class Pages(StaticFiles):
    """Serves the pages and their files: compressed where the build did so, cached, under a CSP."""

    def __init__(self) -> None:
        """Nothing is looked at before the first request."""
        super().__init__(check_dir=False)

    def get_directories(
        self,
        directory: PathLike | None = None,  # noqa: ARG002 - Starlette's
        packages: list[str | tuple[str, str]] | None = None,  # noqa: ARG002 - Starlette's
    ) -> list[PathLike]:
        """Return where files are looked for."""
        return [_OURS, _DIST]

    def page(self, name: str) -> Callable[[Request], Awaitable[Response]]:
        """Return an endpoint that shows a page, or what to do when it is not built."""

        async def show(request: Request) -> Response:
            if name == "index.html" or _BUILT.exists():
                return await self.get_response(name, request.scope)
            response = await self.get_response("unbuilt.html", request.scope)
            response.status_code = 503
            return response

        return show

    async def file(self, request: Request) -> Response:
        """Answer with the file that a path names."""
        return await self.get_response(self.get_path(request.scope), request.scope)

    def file_response(
        self,
        full_path: PathLike,
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        """Answer with a file, or with 304 if the browser has it."""
        asked = Headers(scope=scope)
        path = Path(full_path)
        headers = {
            "Cache-Control": "no-cache",  # kept, and asked for each time
            "Vary": "Accept-Encoding",
            "X-Content-Type-Options": "nosniff",
        }
        if path.is_relative_to(_HASHED):
            headers["Cache-Control"] = "public, max-age=31536000, immutable"
        if policy := _POLICIES.get(path.name):
            headers |= _page_headers(policy)
        packed = path.with_name(f"{path.name}.gz")
        if encoding(asked, ("gzip",)) and packed.exists():
            headers["Content-Encoding"] = "gzip"
            path, stat_result = packed, packed.stat()
        media_type = mimetypes.guess_type(full_path)[0]
        response = FileResponse(path, status_code, headers, media_type, stat_result=stat_result)
        if self.is_not_modified(response.headers, asked):
            return NotModifiedResponse(response.headers)
        return response


def _page_headers(policy: dict[str, str]) -> dict[str, str]:
    directives = policy | {"frame-ancestors": "'none'"}
    return {
        "Content-Security-Policy": "; ".join(map(" ".join, directives.items())),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",  # an address may have a query in it
        "Vary": "Accept, Accept-Encoding",
    }
