"""The description of the API, for programs and for people.

The page for people is made here rather than by Swagger UI, whose script would come from somebody else's server, need
the internet, and run beside the key.
"""

from __future__ import annotations

from html import escape
from typing import Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import HTMLResponse

from api.rest import rules
from api.rest.depends import need_key
from api.rest.problems import Json, Problem, responses

router = APIRouter(tags=["description"], dependencies=[Depends(need_key)], responses=responses(401))

LIVE = """
`WS /v1/live?key=KEY` sends JSON text frames. Send first, and again to change it:
`{"type": "subscribe", "tenant": "demo", "devices": ["a"] | null, "cursor": "0:123" | null}` (null: the whole fleet).

- `snapshot`: `{"type", "cursor", "sent", "log_time", "resumed": false, "columns"}`: the newest row of each series.
- `rows`: the same, at most once a tick, with what changed since; `"resumed": true` on the first after a cursor.
- `alerts`, with `type`, `sent`, `whole`, `counts` and `alerts`: after each subscribe, with `"whole": true`, the active
  alerts of the tenant, whatever devices are named, at most 1,000, the last changed first; then, within a tick of each
  change, with `"whole": false`, those that changed, also those that were cleared (`cleared` is a time, not null). One
  with `"whole": true` takes the place of all before. `counts` says how many are active, by severity, of all. An alert
  is as `GET /v1/alerts` answers it, without `acknowledged`.
- `status`: each second, as `GET /v1/status`.
- `refused`: `{"type", "reason", "detail"}`, then the connection is closed (4400 a message, 4401 the key).
- `{"type": "ping", "t": x}` is answered by `{"type": "pong", "t": x, "now": ms}`.

`columns` holds lists of one length: device, metric, pane, count, sum, min, max, mean, last, last_ms, as_of, received.
Come back with the last frame's `cursor` to go on without gap or repeat.
"""

_STYLE = """
  body { font: 15px/1.6 system-ui, sans-serif; max-width: 52rem; margin: 3rem auto; padding: 0 1.5rem; }
  code, pre { font: 13px/1.5 ui-monospace, monospace; background: color-mix(in srgb, currentColor 9%, transparent);
    border-radius: .3em; padding: .1em .3em; }
  pre { padding: .8em 1em; overflow-x: auto; } h2 { margin-top: 2.5em; }
  table { border-collapse: collapse; width: 100%; }
  td { border-top: 1px solid color-mix(in srgb, currentColor 20%, transparent); padding: .4em .8em .4em 0;
    vertical-align: top; }
"""


@router.get("/openapi.json", include_in_schema=False)
async def get_openapi(request: Request) -> Json:
    """The OpenAPI description."""
    return Json(described(request.app.openapi()))


@router.get("/docs", include_in_schema=False)
async def get_docs(request: Request) -> HTMLResponse:
    """The same for people."""
    return HTMLResponse(_page(described(request.app.openapi())))


def described(schema: dict[str, Any]) -> dict[str, Any]:
    """`schema` with our own form of errors in the place of FastAPI's."""
    schemas = schema["components"]["schemas"]
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs", {}))
    schemas["Problem"] = problem
    schemas.update(rules.COMPONENTS)
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for operations in schema["paths"].values():
        for operation in operations.values():
            content = operation["responses"].get("422", {}).get("content", {})
            if "HTTPValidationError" in str(content.get("application/json")):
                # FastAPI adds it to whatever has parameters, also where nothing can be wrong with them.
                del operation["responses"]["422"]
    return schema


def _page(schema: dict[str, Any]) -> str:
    parts = [
        _operation(path, method, operation)
        for path, ways in schema["paths"].items()
        for method, operation in ways.items()
    ]
    info = schema["info"]
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<meta name=color-scheme content='light dark'><title>{escape(info['title'])}</title><style>{_STYLE}</style>"
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1><p>{escape(info.get('description', ''))}</p>"
        f"{''.join(parts)}<h2>Live</h2><pre>{escape(LIVE.strip())}</pre>"
    )


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    rows = "".join(_parameter(parameter) for parameter in operation.get("parameters", []))
    return (
        f"<h2><code>{method.upper()} {escape(path)}</code></h2>"
        f"<p><b>{escape(operation.get('summary', ''))}.</b> {escape(operation.get('description', ''))}</p>"
        f"<table>{rows}</table>"
    )


def _parameter(parameter: dict[str, Any]) -> str:
    schema = parameter.get("schema", {})
    facts = [parameter.get("description") or schema.get("description") or ""]
    if "default" in schema:
        facts.append(f"default {schema['default']!r}")
    if "enum" in schema:
        facts.append("one of " + ", ".join(map(str, schema["enum"])))
    if parameter.get("required"):
        facts.append("required")
    return f"<tr><td><code>{escape(parameter['name'])}</code><td>{escape('; '.join(fact for fact in facts if fact))}"
