"""What the planner makes of the SQL: a plan that shares what it can is what makes the job affordable."""

import pytest

from jobs import aggregation
from jobs.environment import open_tables, options
from tests.flink.harness import Lab


@pytest.fixture(scope="module")
def plan(lab: Lab) -> str:
    settings = lab.settings()
    explained = aggregation.build(open_tables(options(settings)), settings).explain()
    return explained.split("== Optimized Execution Plan ==")[1]


def test_the_log_is_read_once(plan):
    assert plan.count("raw_sensor_data, ") == 1
    assert plan.count("TableSourceScan(") == 2


def test_the_form_of_a_record_is_checked_once_for_all_branches(plan):
    assert plan.count("expected a tenant and a device") == 1
    assert plan.count("Reused(reference_id=[2])") == 3


def test_one_dedup_feeds_the_rows_of_devices_and_of_fleets_and_whole_packs_are_joined(plan):
    assert plan.count("OverAggregate(") == 2
    assert plan.count("LAG(") == 1
    assert plan.count("Reused(reference_id=[1])") == 2
    joined = plan[plan.index("TemporalJoin(") :]
    assert "array_min(" not in joined
    assert "UNNEST" not in joined[: joined.index("Reused(reference_id=[1])")]
    assert plan.count("TemporalJoin(") == 1
    assert plan.count("GlobalGroupAggregate(") == 2


def test_rows_of_devices_do_not_wait_for_the_registry(plan):
    of_devices, of_fleets = plan[plan.index("Union(") : plan.index("TemporalJoin(")].split("GlobalGroupAggregate(")[1:]
    assert "Reused(reference_id=[1])" in of_devices
    assert "Reused(" not in of_fleets


def test_dedup_is_in_the_order_of_arrival_and_never_by_rowtime(plan):
    # LAG ordered by rowtime is planned as a range: packs with one stamp would see each other.
    assert plan.count("orderBy=[arrival ASC]") == 2
    assert plan.count("mode=[RowTime]") == 2


def test_rows_are_never_taken_back(plan):
    assert "ChangelogNormalize" not in plan
    assert "_retract" not in plan.lower()
