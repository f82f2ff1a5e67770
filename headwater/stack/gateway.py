"""The Flink SQL Gateway: the door for analysts' SQL, over REST on a port of its own (127.0.0.1).

It plans statements and hands them to the session cluster. Who reaches its port may run any SQL with the rights of the
cluster and is asked for no password, so it listens on this machine alone, whatever `HEADWATER_HOST` says.
"""

from __future__ import annotations

from connectors.jars import FLINK_VERSION
from headwater.model.settings import SqlGatewaySettings
from headwater.stack import flink, jvm, probes
from headwater.stack.program import Program
from headwater.stack.state import State

NAME = "sql-gateway"
HOST = "127.0.0.1"

MEMORY_MB = {"heap": 320, "metaspace": 224, "direct": 64}
"""Together 608 MiB at most; a session with Python functions brings an interpreter of about 100 MiB beside it."""


def url(state: State) -> str:
    """Where it answers."""
    return f"http://{HOST}:{state.ports[NAME]}"


def program(state: State) -> Program:
    """The gateway; it speaks to the JobManager only when a statement does."""
    options = (
        jvm.LIGHT,
        "-Xms64m",
        f"-Xmx{MEMORY_MB['heap']}m",
        f"-XX:MaxMetaspaceSize={MEMORY_MB['metaspace']}m",
        f"-XX:MaxDirectMemorySize={MEMORY_MB['direct']}m",
        "-XX:+UseSerialGC",
    )
    main = "org.apache.flink.table.gateway.SqlGateway"
    own = {
        "sql-gateway.endpoint.rest.address": HOST,
        "sql-gateway.endpoint.rest.bind-address": HOST,
        "sql-gateway.endpoint.rest.port": str(state.ports[NAME]),
        "sql-gateway.endpoint.rest.bind-port": str(state.ports[NAME]),
        "sql-gateway.session.idle-timeout": "30 min",
        "sql-gateway.worker.threads.max": "50",
        "execution.target": "remote",
    }
    command = flink.java(state, NAME, main, *options, optional=True)
    return Program(
        name=NAME,
        command=(*command, *(f"-D{key}={value}" for key, value in own.items())),
        environment=flink.environment(state),
        probe=probes.http(f"{url(state)}/info"),
        depends=("jars", "jobmanager"),
        port=NAME,
        version=FLINK_VERSION,
        says=f"Flink's SQL Gateway, {sum(MEMORY_MB.values())} MiB at most",
        on_demand=SqlGatewaySettings(_env_file=state.folder / "run.env").sql_gateway == "on-demand",
        settle_s=3,
    )
