"""The application: both doors on one state."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from api.rest import (
    alerts,
    device_rules,
    devices,
    docs,
    events,
    fleets,
    health,
    metrics,
    problems,
    provisioning,
    readings,
    registered_devices,
    registry,
    rules,
    series,
    status,
    tenants,
)
from api.rest.measure import Measured
from api.rest.page import Page
from api.state.state import build, running
from api.ws import live
from api.ws.alerts import AlertFrames
from api.ws.frames import Frames
from headwater.model.settings import ApiSettings, project_folder

DESCRIPTION = (
    "Finished state of a fleet of devices: newest values, series of four levels, raw readings, and a live stream. "
    "Every call but the probes and a device's own registration wants the access key. Errors are problem+json. "
    "Times are UTC epoch milliseconds."
)


def create_app(settings: ApiSettings | None = None) -> FastAPI:
    """The application, not yet running. Raises `StackError` if the settings have no access key."""
    settings = settings or ApiSettings()
    state = build(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with running(state):
            yield

    # The descriptions are served by api.rest.docs, with the key.
    app = FastAPI(
        title="Headwater",
        version="1",
        description=DESCRIPTION,
        lifespan=lifespan,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.headwater = state
    frames = app.state.frames = Frames(state.live)
    alert_frames = app.state.alert_frames = AlertFrames(state.alerts.board)
    state.feed.on_tick += [lambda *_: frames.forget(), lambda *_: alert_frames.forget()]
    app.add_middleware(Measured, meters=state.meters)
    problems.install(app)
    doors = (
        devices,
        series,
        fleets,
        readings,
        rules,
        device_rules,
        alerts,
        events,
        status,
        health,
        metrics,
        docs,
        live,
    )
    for door in doors:
        app.include_router(door.router)
    for router in (tenants.router, registry.sites, registry.models, registered_devices.router, provisioning.router):
        app.include_router(router)
    app.mount("/", Page(project_folder() / settings.page))
    return app
