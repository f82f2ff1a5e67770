"""The `headwater` command: the one-machine stack, devices and jobs."""

from __future__ import annotations

import typer

from headwater.cli import audit, chaos, devices, jobs, log, models, replay, rules, sites, sql, stack, tenants

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Headwater: live readings of many devices. `headwater up` starts everything on this machine.",
)
app.command()(stack.up)
app.command()(stack.down)
app.command()(stack.reset)
app.command()(stack.status)
app.command()(stack.doctor)
app.command()(stack.logs)
app.command()(chaos.chaos)
app.command()(audit.audit)
app.command()(replay.replay)
app.add_typer(devices.app, name="devices")
app.add_typer(jobs.app, name="jobs")
app.add_typer(log.app, name="log")
app.add_typer(models.app, name="models")
app.add_typer(rules.app, name="rules")
app.add_typer(sites.app, name="sites")
app.add_typer(sql.app, name="sql")
app.add_typer(tenants.app, name="tenants")
