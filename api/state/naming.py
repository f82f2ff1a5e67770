"""What models say of the metrics of their devices, for people to read: unit, scale and title."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from api.state.postgres import Postgres, Registered
from headwater.model.device import MetricOfModel
from headwater.model.stores import MODELS

_MODELS = """
select model, metrics
from {models}
where tenant = %(tenant)s
  and model = any(%(wanted)s)
"""

Said = Mapping[str, MetricOfModel]
"""What a model says, by the name of the metric."""


async def of_models(postgres: Postgres, tenant: str, devices: Iterable[Registered]) -> dict[str | None, Said]:
    """What the models of `devices` say, by the name of the model."""
    wanted = sorted({device.model for device in devices if device.model is not None})
    if not wanted:
        return {}
    rows = await postgres.rows(_MODELS, {"models": MODELS}, {"tenant": tenant, "wanted": wanted})
    return {model: msgspec.convert(metrics, dict[str, MetricOfModel]) for model, metrics in rows}


def named(metrics: Iterable[str], said: Said) -> dict[str, dict[str, Any]]:
    """Of each of `metrics` that the model names: unit, scale (a reading times scale is the value in it) and title."""
    found = ((metric, said[metric]) for metric in metrics if metric in said)
    return {metric: {"unit": one.unit, "scale": one.scale, "title": one.title} for metric, one in found}
