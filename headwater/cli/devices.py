"""Commands for devices and their tokens."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import psycopg
import typer

from headwater import registry
from headwater.cli.show import console, told
from headwater.model.errors import BadRequest
from headwater.model.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Devices and their tokens.")

Json = Annotated[bool, typer.Option("--json", help="for scripts")]


def _connect(settings: Settings) -> psycopg.Connection[Any]:
    return psycopg.connect(settings.postgres.get_secret_value(), connect_timeout=5)


def mosquitto_line(mqtt: str, tenant: str, device: str, token: str) -> str:
    """A command that publishes one reading."""
    at = urlsplit(mqtt)
    return (
        f"mosquitto_pub -h {at.hostname} -p {at.port or 1883} -q 1 -u '{tenant}/{device}' -P '{token}' "
        f"-t 'v1/{tenant}/{device}/telemetry' -m '{{\"temperature\": 21.5}}'"
    )


def python_snippet(mqtt: str, tenant: str, device: str, token: str) -> str:
    """A program (paho-mqtt 2) that publishes one stamped reading and waits for the broker's acknowledgement."""
    at = urlsplit(mqtt)
    return f"""\
import json, time
import paho.mqtt.client as mqtt

client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id={f"{tenant}-{device}"!r})
client.username_pw_set({f"{tenant}/{device}"!r}, {token!r})
client.connect({at.hostname!r}, {at.port or 1883})
client.loop_start()
reading = {{"ts": int(time.time() * 1000), "values": {{"temperature": 21.5}}}}
sent = client.publish({f"v1/{tenant}/{device}/telemetry"!r}, json.dumps(reading), qos=1)
sent.wait_for_publish(10)
print("acknowledged" if sent.is_published() else "not acknowledged: is the token the newest one?")
client.disconnect()
client.loop_stop()
"""


@app.command()
def add(
    tenant: str,
    device: str,
    kind: Annotated[str, typer.Option(help="what it is, in a word")] = "",
    as_json: Json = False,
) -> None:
    """Make a token for a device (a new one, if it has one) and show how to send with it."""
    settings, token = Settings(), registry.new_token()
    with told(), _connect(settings) as connection:
        registry.add_device(connection, tenant, device, token, kind)
    if as_json:
        typer.echo(json.dumps({"tenant": tenant, "device": device, "token": token}))
        return
    console.print(f"[bold]{tenant}/{device}[/bold]  token (shown once): [bold]{token}[/bold]\n")
    typer.echo(mosquitto_line(settings.mqtt, tenant, device, token))
    typer.echo("\n" + python_snippet(settings.mqtt, tenant, device, token))


def read_rows(path: Path) -> list[tuple[str, str, str]]:
    """tenant, device and kind of each line; a line `tenant,device[,kind]` at the top is a heading.

    Raises `BadRequest` with the number of the line that is not one.
    """
    rows = []
    with path.open(newline="", encoding="utf-8-sig") as file:
        for number, row in enumerate(csv.reader(file), 1):
            cells = [cell.strip() for cell in row]
            if not any(cells) or (number == 1 and cells[:2] == ["tenant", "device"]):
                continue
            if not 2 <= len(cells) <= 3:
                raise BadRequest(
                    f"{path} line {number}: expected tenant,device[,kind], got {','.join(cells)!r}", "file"
                )
            tenant, device, kind = (*cells, "")[:3]
            registry.check_name(tenant, "tenant")
            registry.check_name(device, "device")
            rows.append((tenant, device, kind))
    return rows


@app.command(name="import")
def import_(file: Path, as_json: Json = False) -> None:
    """Make tokens for many devices: a CSV of tenant,device[,kind]. All of them or none; prints tenant,device,token."""
    with told():
        rows = read_rows(file)
        made = [(tenant, device, kind, registry.new_token()) for tenant, device, kind in rows]
        with _connect(Settings()) as connection:
            for tenant, device, kind, token in made:
                registry.add_device(connection, tenant, device, token, kind)
    found = [{"tenant": tenant, "device": device, "token": token} for tenant, device, _, token in made]
    if as_json:
        typer.echo(json.dumps(found))
        return
    for one in found:
        typer.echo(f"{one['tenant']},{one['device']},{one['token']}")


@app.command(name="list")
def list_(
    tenant: Annotated[str, typer.Option(help="only of this tenant")] = "",
    as_json: Json = False,
) -> None:
    """Show the registered devices."""
    sql = (
        "select tenant, device, kind, created, not exists (select 1 from credential"
        " where credential.tenant = device.tenant and credential.device = device.device and revoked is null)"
        " from device where tenant = %s or %s = '' order by tenant, device"
    )
    with told(), _connect(Settings()) as connection:
        rows = connection.execute(sql, (tenant, tenant)).fetchall()
    if as_json:
        names = ("tenant", "device", "kind", "created", "revoked")
        typer.echo(json.dumps([dict(zip(names, row, strict=True)) for row in rows], default=str))
        return
    for owner, device, kind, created, revoked in rows:
        typer.echo(f"{owner}/{device}\t{kind}\t{created:%Y-%m-%d %H:%M}\t{'revoked' if revoked else ''}")
