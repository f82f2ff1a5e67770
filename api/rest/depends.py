"""What REST calls are given: the state, and proof that the caller has the key."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends, HTTPException, Query, Request
from fastapi.security import APIKeyQuery, HTTPAuthorizationCredentials, HTTPBearer

from api.state.access import bearer
from api.state.postgres import Facts
from api.state.state import State
from headwater.model.errors import BadRequest

_bearer = HTTPBearer(auto_error=False, description="the access key, as `make up` prints it")
_query = APIKeyQuery(name="key", auto_error=False, description="the access key, for what cannot send headers")


def state_of(request: Request) -> State:
    """The one state of the application."""
    return cast(State, request.app.state.headwater)


Here = Annotated[State, Depends(state_of)]


def need_key(
    state: Here,
    request: Request,
    _: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    query: Annotated[str | None, Depends(_query)],
) -> None:
    """Refuses with 401 whoever does not show the key in the header or the query."""
    header = bearer(request.headers.get("authorization"))
    if state.access.opens(header) or state.access.opens(query):
        return
    came = "a key that is not ours" if header or query else "no key"
    raise HTTPException(
        401,
        f"expected the access key as `Authorization: Bearer KEY` or `?key=KEY`, got {came}. "
        "`make up` and `headwater status` print it.",
        {"WWW-Authenticate": "Bearer"},
    )


def _tenant(
    tenant: Annotated[str, Query(min_length=1, max_length=128, description="the tenant", examples=["demo"])] = "demo",
) -> str:
    return clean("tenant", tenant)


Tenant = Annotated[str, Depends(_tenant)]


def _facts(
    site: Annotated[str | None, Query(max_length=128, description="only those of devices at this site")] = None,
    model: Annotated[str | None, Query(max_length=128, description="only those of devices of this model")] = None,
    tag: Annotated[str | None, Query(max_length=128, description="only those of devices with this tag")] = None,
) -> Facts:
    for name, value in (("site", site), ("model", model), ("tag", tag)):
        clean(name, value or "")
    return Facts(site, model, tag)


AskedFacts = Annotated[Facts, Depends(_facts)]


def clean(field: str, text: str) -> str:
    """`text`, if no store would choke on it. Raises `BadRequest` if it holds a NUL character."""
    if "\0" in text:
        raise BadRequest(f"expected a {field} without NUL characters, got one with; leave them out.", field)
    return text
