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
        "execution.buffer-timeout.interval": "10 ms",
        "table.local-time-zone": "UTC",
        "table.exec.state.ttl": f"{settings.state_ttl_ms} ms",
        "table.exec.mini-batch.enabled": "true",
        "table.exec.mini-batch.allow-latency": f"{settings.mini_batch_ms} ms",
        "table.exec.mini-batch.size": "50000",
        # A view that several sinks read is planned once, as it stands: no filter of one of them moves below it.
        "table.optimizer.reuse-optimize-block-with-digest-enabled": "true",
    }


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
