"""Kafka in KRaft mode: one process is broker and controller, its data lies in the state folder."""

from __future__ import annotations

import subprocess

from headwater.model.errors import StackError
from headwater.stack import jars, jvm, places, probes
from headwater.stack.files import private_folder, write_private
from headwater.stack.program import Program
from headwater.stack.state import State

HEAP_MB = 320
VERSION = "4.1.1"


def properties(state: State) -> str:
    """The broker's settings: one replica of everything, small buffers, topics made by us alone."""
    port, controller = state.ports["kafka"], state.ports["kafka-controller"]
    return f"""\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{state.reach}:{controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://{state.host}:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://{state.reach}:{port}
log.dirs={state.folder}/kafka/data
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
num.network.threads=2
num.io.threads=4
log.segment.bytes=134217728
log.index.size.max.bytes=1048576
log.cleaner.dedupe.buffer.size=4194304
log.retention.check.interval.ms=60000
"""


def prepare(state: State) -> None:
    """Writes the settings and formats the data folder, once."""
    data = private_folder(state.part("kafka") / "data")
    settings = write_private(state.folder / "kafka" / "server.properties", properties(state))
    if (data / "meta.properties").is_file():
        return
    command = [
        str(places.java()),
        *_classes(state),
        "kafka.tools.StorageTool",
        "format",
        f"--cluster-id={state.cluster_id}",
        "-c",
        str(settings),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StackError(
            f"Kafka's data folder {data} could not be formatted: {(done.stderr or done.stdout).strip()[-400:]}",
            "if it holds nothing that you need, `make reset`, then `make up`.",
        )


def _classes(state: State) -> tuple[str, str]:
    return "-cp", jars.classpath("kafka", state.folder)


def program(state: State) -> Program:
    """The broker. SIGTERM is a controlled shutdown; after a kill it recovers its log."""
    options = (
        "-Xms96m",
        f"-Xmx{HEAP_MB}m",
        "-XX:MaxGCPauseMillis=20",
        "-XX:+ExitOnOutOfMemoryError",
        "-Djava.awt.headless=true",
        "-Dorg.slf4j.simpleLogger.showDateTime=true",
        "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSS",
    )
    started = (*options, *_classes(state), "kafka.Kafka", str(state.folder / "kafka" / "server.properties"))
    return Program(
        name="kafka",
        command=jvm.working_in(state, "kafka", *started),
        probe=probes.kafka(state.url("kafka")),
        depends=("jars",),
        port="kafka",
        version=VERSION,
        says="the log",
        stop_wait_s=30,
        settle_s=2,
    )
