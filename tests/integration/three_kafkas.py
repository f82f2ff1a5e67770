"""A Kafka cluster of a controller and two brokers: one broker cannot show leaders that die and followers behind."""

import subprocess
from pathlib import Path

from headwater.stack import foreground, jars, places, probes
from headwater.stack.ports import free_port
from headwater.stack.program import Program

CONTROLLER, BROKERS = 100, (1, 2)
ID = "aGVhZHdhdGVyLXRocmVlAA"


class ThreeKafkas:
    """Processes by node id; brokers 1 and 2 keep data, the controller none of the topics."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports = {node: free_port() for node in (CONTROLLER, *BROKERS)}
        self.bootstrap = ",".join(f"127.0.0.1:{self._ports[node]}" for node in BROKERS)
        self.processes: dict[int, subprocess.Popen[bytes]] = {}
        jars.ensure(folder, "kafka")
        self._java = (str(places.java()), "-Xmx192m", "-cp", jars.classpath("kafka", folder))

    def start(self) -> None:
        self._programs = {node: self._program(node) for node in self._ports}
        for node in self._programs:
            self._spawn(node)
        for node in self._programs:
            self._wait(node)

    def restart(self, node: int) -> None:
        """After it was killed: on what its disk holds."""
        self._spawn(node)
        self._wait(node)

    def _spawn(self, node: int) -> None:
        self.processes[node] = foreground.start(self._programs[node], self._folder / "logs")

    def _wait(self, node: int) -> None:
        foreground.wait_ready(self._programs[node], self.processes[node], self._folder / "logs")

    def end(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()

    def _program(self, node: int) -> Program:
        settings = self._folder / f"{node}.properties"
        role, listener = ("controller", "CONTROLLER") if node == CONTROLLER else ("broker", "PLAINTEXT")
        lines = [
            f"process.roles={role}",
            f"node.id={node}",
            f"controller.quorum.voters={CONTROLLER}@127.0.0.1:{self._ports[CONTROLLER]}",
            "controller.listener.names=CONTROLLER",
            f"listeners={listener}://127.0.0.1:{self._ports[node]}",
            f"log.dirs={self._folder}/{node}",
            "offsets.topic.replication.factor=1",
            "offsets.topic.num.partitions=1",
            # A follower that has stopped counts as in sync for longer than a dead leader counts as alive.
            "replica.lag.time.max.ms=240000",
            "broker.session.timeout.ms=30000",
        ]
        settings.write_text("\n".join(lines) + "\n")
        command = [*self._java, "kafka.tools.StorageTool", "format", "-t", ID, "-c", str(settings)]
        subprocess.run(command, check=True, capture_output=True)
        port = self._ports[node]
        return Program(
            name=f"kafka-{node}",
            command=(*self._java, "kafka.Kafka", str(settings)),
            probe=probes.tcp("127.0.0.1", port) if node == CONTROLLER else probes.kafka(f"127.0.0.1:{port}"),
        )
