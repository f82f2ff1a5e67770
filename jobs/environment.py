"""The table environment that every job runs in: what the plans rely on, set in one place."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from headwater.model.settings import JobSettings


def options(settings: JobSettings) -> dict[str, str]:
    """Flink's options that results or latency depend on; those of the cluster (checkpoints, memory) are its own."""
    return {
        "parallelism.default": str(settings.parallelism),
        # Fixed from the first day: state cannot be restored under another one.
        "pipeline.max-parallelism": "128",
        "pipeline.object-reuse": "true",
        "execution.buffer-timeout.interval": "20 ms",
        # How often log time is looked at: rows go out when it has passed them, and no oftener in a replay.
        "pipeline.auto-watermark-interval": "100 ms",
        "table.local-time-zone": "UTC",
        "table.exec.state.ttl": f"{settings.state_ttl_ms} ms",
        "table.exec.mini-batch.enabled": "true",
        "table.exec.mini-batch.allow-latency": f"{settings.mini_batch_ms} ms",
        "table.exec.mini-batch.size": "50000",
        # A view that several sinks read is planned once, as it stands: no filter of one of them moves below it.
        "table.optimizer.reuse-optimize-block-with-digest-enabled": "true",
    }


def open_streams(given: Mapping[str, str]) -> Any:
    """A TableEnvironment whose tables can be streams too, for jobs with Python in them, in the JVM's own threads.

    All that is not told otherwise runs in one thread: with an exchange on the way, records of one partition overtake
    each other, and the planner takes the environment's parallelism wherever none is given.
    """
    from pyflink.common import Configuration
    from pyflink.datastream import StreamExecutionEnvironment
    from pyflink.java_gateway import get_gateway
    from pyflink.table import StreamTableEnvironment

    configuration = Configuration()
    for name, value in {"python.execution-mode": "thread", **given, "parallelism.default": "1"}.items():
        configuration.set_string(name, value)
    if "execution.target" in given:
        # What `get_execution_environment` makes outside `flink run` is always local, whatever target is given.
        streams = get_gateway().jvm.org.apache.flink.streaming.api.environment.StreamExecutionEnvironment
        return StreamTableEnvironment.create(StreamExecutionEnvironment(streams(configuration._j_configuration)))
    return StreamTableEnvironment.create(StreamExecutionEnvironment.get_execution_environment(configuration))


def name_sources(stream: Any) -> None:
    """Names the sources of a stream after their tables.

    Else a source is known by its place in the plan, and a changed plan may give it the positions of another topic.
    """
    for transformation in stream._j_data_stream.getTransformation().getTransitivePredecessors():
        if transformation.getClass().getSimpleName() == "SourceTransformation":
            transformation.setUid(str(transformation.getName()).partition("[")[0])


def open_tables(given: Mapping[str, str]) -> Any:
    """A streaming TableEnvironment with the options `given`. Starts a JVM if there is none."""
    # Else PyFlink imports Beam here (seconds) for a worker in this process, even when the job goes to a cluster.
    os.environ.setdefault("_python_worker_execution_mode", "process")
    from pyflink.common import Configuration
    from pyflink.table import EnvironmentSettings, TableEnvironment

    configuration = Configuration()
    for name, value in given.items():
        configuration.set_string(name, value)
    return TableEnvironment.create(
        EnvironmentSettings.new_instance().in_streaming_mode().with_configuration(configuration).build()
    )
