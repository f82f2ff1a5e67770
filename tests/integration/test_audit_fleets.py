"""The audit of sites and models: their rows are held to the readings of their members."""

import pytest

from headwater.truth.logs import random_log
from headwater.truth.registries import random_registry
from tests.integration.audit_history import SHAPE, History, filled, new_history


@pytest.fixture
def history(kafka: str, postgres: str, clickhouse: str) -> History:
    return filled(new_history(kafka, postgres, clickhouse))


def test_rows_of_sites_and_models_balance_and_each_that_does_not_is_found(history):
    log = random_log(7, SHAPE)
    history.store(said=random_registry(7, log))
    assert history.database.query("select count(*) from aggregate_10s where device like '\\_%%'")[0][0] > 20
    report = history.audit()
    assert (report.state, report.gaps, report.waiting) == ("balanced", [], [])
    newest = "order by pane desc, device, metric"
    for change, differ in (
        ("update aggregate_10s set count = count + 1", 1),
        ("update aggregate_10s set count = count - 2", -1),
        ("delete from aggregate_10s", None),
    ):
        [(device, pane)] = history.database.query(
            f"{change} where (tenant, device, metric, pane) = (select tenant, device, metric, pane from aggregate_10s"
            f" where left(device, 1) = '_' {newest} limit 1)"
            " returning device, (extract(epoch from pane) * 1000)::bigint"
        )
        [gap] = history.audit(wait_s=1).gaps
        assert (gap.store, gap.device, gap.pane) == ("fleets", device, pane)
        assert differ is None or gap.found - gap.expected == differ
        assert gap.minutes == [pane - pane % 60_000]
