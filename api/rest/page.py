"""Serves the built page. Its files are open, for they hold no data; what they show, they fetch with the key."""

from __future__ import annotations

from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

_DAY_S = 86_400
_OF_THE_API = frozenset(("v1", "healthz", "readyz", "metrics", "openapi.json", "docs"))

_NOT_BUILT = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Headwater</title>
<style>
  body { font: 16px/1.6 system-ui, sans-serif; max-width: 34rem; margin: 20vh auto; padding: 0 1.5rem; }
  code { padding: .1em .4em; border-radius: .3em; background: color-mix(in srgb, currentColor 12%, transparent); }
</style>
<h1>The page is not built yet</h1>
<p>The API runs. Build the page with <code>make up</code>, which builds what has changed and goes on from there,
then load this address again.</p>
<p>Meanwhile <code>/docs?key=…</code> describes the API.</p>
"""

SAFE = {
    # The address may hold the key.
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Page(StaticFiles):
    """The files of `folder`; addresses that are the page's own routes get its `index.html`.

    Names below /assets carry a hash of their content and may be kept for ever; index.html is asked for each time. The
    folder may come to be, or change, while the API runs.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(directory=folder, html=False, check_dir=False)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file at `path`, the page, or a word on how to build it."""
        response = await self._find(path, scope)
        response.headers.update(SAFE)
        return response

    async def check_config(self) -> None:
        """Nothing is wrong with a folder that is not there yet."""

    async def _find(self, path: str, scope: Scope) -> Response:
        if path.partition("/")[0] in _OF_THE_API:
            # No call of the API has taken it: there is none of that name, or not by that method.
            raise HTTPException(404) if scope["method"] == "GET" else HTTPException(405, headers={"Allow": "GET"})
        if path not in (".", "index.html"):
            try:
                response = await super().get_response(path, scope)
            except HTTPException as error:
                if error.status_code != 404 or not _is_route(path):
                    raise
            else:
                kept = f"max-age={365 * _DAY_S}, immutable" if path.startswith("assets/") else f"max-age={_DAY_S}"
                response.headers["Cache-Control"] = f"public, {kept}"
                return response
        try:
            response = await super().get_response("index.html", scope)
        except HTTPException as error:
            if error.status_code != 404:
                raise
            response = HTMLResponse(_NOT_BUILT, 503)
        response.headers["Cache-Control"] = "no-cache"
        return response


def _is_route(path: str) -> bool:
    """True for what the page's own router may know: a device, site or model of any name, or what is no file's name."""
    return path.startswith(("devices/", "sites/", "models/")) or (
        "." not in path.rpartition("/")[2] and not path.startswith("assets/")
    )
