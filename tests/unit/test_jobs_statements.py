"""The SQL of the jobs as text: complete, and generated from the settings. No JVM here."""

from importlib import import_module
from pathlib import Path

import pytest

from headwater.model.settings import JobSettings
from headwater.stack.plans import LISTS, names
from jobs import aggregation
from jobs.environment import options
from jobs.run import arguments, target
from jobs.statements import Log, statement

ROOT = Path(__file__).parents[2]
JOBS = [import_module(f"jobs.{name}") for name in names()]
ALL = sorted(
    {
        f"{folder.removeprefix('sql/')}/{name}"
        for job in JOBS
        for listed, folder in LISTS.items()
        for name in getattr(job, listed, ())
    }
)


@pytest.mark.parametrize("name", ALL)
def test_every_statement_is_complete(name):
    assert "${" not in statement(name, JobSettings(), Log())


def test_every_file_of_sql_that_flink_runs_is_used():
    assert aggregation in JOBS
    found = {
        f"{path.parent.name}/{path.stem}"
        for part in ("sources", "views", "sinks")
        for path in (ROOT / "sql" / part).glob("*.sql")
    }
    assert found == set(ALL)


@pytest.mark.parametrize("cap", [2, 32, 64])
def test_the_sums_have_as_many_terms_as_a_pack_may_have_stamps(cap):
    settings = JobSettings(pack_cap=cap)
    text = statement("views/pieces", settings, Log())
    assert text.count("coalesce(w[") == 2 * cap
    assert f"w[{cap}] * w[{cap}]" in text
    assert f"w[{cap + 1}]" not in text
    assert f"> {cap}\n" in statement("views/packs", settings, Log())


def test_late_is_the_pane_and_the_horizon_in_both_branches():
    settings = JobSettings(horizon_ms=1_000)
    assert "log_time <= pane + 11000" in statement("views/on_time", settings, Log())
    assert "log_time > pane + 11000" in statement("sinks/late_packs", settings, Log())


def test_a_job_may_start_from_a_log_time_and_read_other_topics():
    text = statement("sources/raw_sensor_data", JobSettings(kafka="k:1"), Log("replay-", 17, bounded=True))
    assert "'topic' = 'replay-raw-sensor-data'" in text
    assert "'properties.bootstrap.servers' = 'k:1'" in text
    assert "'scan.startup.timestamp-millis' = '17'" in text
    assert "'scan.bounded.mode' = 'latest-offset'" in text


def test_a_savepoint_and_a_log_time_exclude_each_other(capsys):
    with pytest.raises(SystemExit):
        arguments(["aggregation", "--savepoint", "file:///s", "--start-from-ms", "1"])
    assert "a savepoint holds its own position" in capsys.readouterr().err


def test_an_option_without_a_value_is_refused():
    with pytest.raises(SystemExit):
        arguments(["aggregation", "-D", "python.files"])


def test_a_job_goes_to_the_cluster_of_the_settings_unless_flink_run_decides(monkeypatch):
    monkeypatch.delenv("PYFLINK_GATEWAY_PORT", raising=False)
    monkeypatch.setenv("JVM_ARGS", "")
    chosen = target(JobSettings(flink="http://10.0.0.7:8085"), local=False)
    assert (chosen["rest.address"], chosen["rest.port"], chosen["execution.target"]) == ("10.0.0.7", "8085", "remote")
    monkeypatch.setenv("PYFLINK_GATEWAY_PORT", "1")
    assert target(JobSettings(), local=False) == {}


def test_state_lives_as_long_as_the_settings_say():
    assert options(JobSettings(outage_ms=0, horizon_ms=0, ahead_ms=0))["table.exec.state.ttl"] == "10000 ms"


def test_rows_of_each_pane_have_the_generation_that_is_given_for_it():
    assert Log().generation(1) == "1"
    log = Log(generations=((0, 1), (20_000, 1_000), (50_000, 2_000)))
    wanted = "case when pane >= 50000 then 2000 when pane >= 20000 then 1000 when pane >= 0 then 1 else 7 end"
    assert log.generation(7) == wanted
    assert wanted in statement("sinks/aggregates", JobSettings(_env_file=None, generation=7), log)
