"""Pages for people: start page, dashboards, explorer, REST documentation. They need no internet.

`web/pages/` has our own files, `web/dist/` the third-party files that `make pages` builds.
All addresses on the pages are relative, so the pages work below any path prefix.
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

from api.negotiation import best_encoding

_WEB: Final = Path(__file__).resolve().parent.parent / "web"
_PAGES_FOLDER: Final = _WEB / "pages"
_DIST: Final = _WEB / "dist"
_BUILD_STAMP: Final = _DIST / "built.txt"
_EXPLORER: Final = _DIST / "static" / "explorer"  # each name has a hash of its content

_OWN_POLICY: Final = dict.fromkeys(
    ("default-src", "base-uri", "form-action"), "'none'"
) | dict.fromkeys(("script-src", "style-src", "img-src", "font-src", "connect-src"), "'self'")
# Monaco, Swagger UI and ReDoc write styles; their icons are data URLs.
_THIRD_PARTY_POLICY: Final = _OWN_POLICY | {
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data:",
    "font-src": "'self' data:",
}
_UNBUILT: Final = frozenset({"index.html", "sign-in.html"})
"""Pages that need no file of the build."""

_POLICIES: Final = {
    "index.html": _OWN_POLICY,
    "sign-in.html": _OWN_POLICY,
    "unbuilt.html": _OWN_POLICY,
    "dashboards.html": _OWN_POLICY,
    "docs.html": _THIRD_PARTY_POLICY,
    "redoc.html": _THIRD_PARTY_POLICY | {"worker-src": "blob:"},  # for its search
    "explorer.html": _THIRD_PARTY_POLICY | {"worker-src": "'self'"},
}


class Pages(StaticFiles):
    """Responses for pages and their files: compressed by the build, cached, under a CSP."""

    def __init__(self) -> None:
        """Create the pages. The folders are not read before the first request."""
        super().__init__(check_dir=False)

    def get_directories(
        self,
        directory: PathLike | None = None,  # noqa: ARG002 - Starlette's
        packages: list[str | tuple[str, str]] | None = None,  # noqa: ARG002 - Starlette's
    ) -> list[PathLike]:
        """Return the folders of the files."""
        return [_PAGES_FOLDER, _DIST]

    def page(self, name: str) -> Callable[[Request], Awaitable[Response]]:
        """Return the endpoint of a page. Without a build it answers 503 with instructions."""

        async def show(request: Request) -> Response:
            if name in _UNBUILT or _BUILD_STAMP.exists():
                return await self.get_response(name, request.scope)
            response = await self.get_response("unbuilt.html", request.scope)
            response.status_code = 503
            return response

        return show

    async def file(self, request: Request) -> Response:
        """Answer with the file at the path of the request."""
        return await self.get_response(self.get_path(request.scope), request.scope)

    def file_response(
        self,
        full_path: PathLike,
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        """Answer with a file, or with 304 if the browser has the current file."""
        request_headers = Headers(scope=scope)
        path = Path(full_path)
        headers = {
            "Cache-Control": "no-cache",  # cached, and revalidated each time
            "Vary": "Accept-Encoding",
            "X-Content-Type-Options": "nosniff",
        }
        if path.is_relative_to(_EXPLORER):
            headers["Cache-Control"] = "public, max-age=31536000, immutable"
        if policy := _POLICIES.get(path.name):
            headers |= _page_headers(policy)
        compressed_path = path.with_name(f"{path.name}.gz")
        if best_encoding(request_headers, ("gzip",)) and compressed_path.exists():
            headers["Content-Encoding"] = "gzip"
            path, stat_result = compressed_path, compressed_path.stat()
        media_type = mimetypes.guess_type(full_path)[0]
        response = FileResponse(path, status_code, headers, media_type, stat_result=stat_result)
        if self.is_not_modified(response.headers, request_headers):
            return NotModifiedResponse(response.headers)
        return response


def _page_headers(policy: dict[str, str]) -> dict[str, str]:
    directives = policy | {"frame-ancestors": "'none'"}
    return {
        "Content-Security-Policy": "; ".join(map(" ".join, directives.items())),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",  # an address may contain a query
        "Vary": "Accept, Accept-Encoding",
    }
