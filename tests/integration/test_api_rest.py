"""REST against real servers."""

import subprocess
import sys
import uuid
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx
import pytest

from headwater.model.topics import PROCESSED, RAW
from headwater.stack.ports import free_port
from tests.integration.api_server import (
    HEADERS,
    Log,
    Stores,
    eventually,
    now_ms,
    row,
    served,
    this_pane,
)
from tests.integration.api_wire import Wire

ODD = ["über hot%20/not", "a b+c&d=e?f#g", "温度", "'; drop table device; --", '"quoted\\"', "100%"]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, kafka: str, clickhouse: str, log: Log, stores: Stores):
    folder = tmp_path_factory.mktemp("api")
    with served(folder, kafka, stores.postgres, stores.valkey, clickhouse=clickhouse) as running:
        yield running


def test_devices_come_by_name_a_page_at_a_time_from_the_registry_and_from_the_log(api, stores, log, tenant):
    stores.register(tenant, "b", "a", "d", "B")
    log.rows(row(tenant, "c"))
    eventually(lambda: len(api.json("/v1/devices", tenant=tenant)["devices"]) == 5)
    first = api.json("/v1/devices", tenant=tenant, limit=2)
    second = api.json("/v1/devices", tenant=tenant, limit=2, cursor=first["next"])
    third = api.json("/v1/devices", tenant=tenant, limit=2, cursor=second["next"])
    names = [[device["device"] for device in page["devices"]] for page in (first, second, third)]
    assert names == [["B", "a"], ["b", "c"], ["d"]]
    assert third["next"] is None
    kinds = {device["device"]: device["kind"] for device in second["devices"]}
    assert kinds == {"b": "boiler", "c": None}
    found = api.json("/v1/devices", tenant=tenant, search="B")["devices"]
    assert [device["device"] for device in found] == ["B", "b"]


def test_a_device_shows_its_newest_values(api, stores, tenant):
    stores.register(tenant, "a")
    one, two = row(tenant, "a", "m", count=4, last=2.5, min=1.0, max=3.0), row(tenant, "a", "n", received=7)
    stores.latest(one, two)
    device = api.json("/v1/devices/a", tenant=tenant)
    assert device["metrics"] == ["m", "n"]
    assert device["kind"] == "boiler"
    assert device["created"] > 1_700_000_000_000
    assert device["last_ms"] == max(one.last_ms, two.last_ms)
    assert device["received"] == one.received
    assert device["latest"]["m"] == {
        "last": 2.5,
        "last_ms": one.last_ms,
        "pane": one.pane,
        "count": 4,
        "min": 1.0,
        "max": 3.0,
        "mean": 2.5,
        "as_of": one.as_of,
        "received": one.received,
    }
    latest = api.json("/v1/devices/a/latest", tenant=tenant)
    assert latest == {"tenant": tenant, "device": "a", "metrics": device["latest"]}
    [listed] = api.json("/v1/devices", tenant=tenant)["devices"]
    assert listed == device


def test_an_unknown_device_is_a_404_with_near_names(api, stores, tenant):
    stores.register(tenant, "sim-0001", "sim-0002", "pump")
    for path in ("/v1/devices/sim-001", "/v1/devices/sim-001/latest", "/v1/devices/sim-001/series?metric=m"):
        answer = httpx.get(f"{api.url}{path}", params={"tenant": tenant, "metric": "m"}, headers=HEADERS, timeout=60)
        assert answer.status_code == 404, path
        assert "got 'sim-001'" in answer.json()["detail"]
        assert "sim-0001" in answer.json()["detail"]
        assert "pump" not in answer.json()["detail"]


def test_a_series_is_columns_of_the_asked_level(api, stores, tenant):
    start = this_pane() - 60_000
    rows = [row(tenant, "a", "m", pane=start + i * 10_000, count=2, sum=4.0 + i, sum_sq=10.0 + i * i) for i in range(5)]
    stores.panes(*rows)
    answer = api.json("/v1/devices/a/series", tenant=tenant, metric="m", **{"from": start, "to": start + 40_000})
    assert (answer["level"], answer["from"], answer["to"]) == ("10s", start, start + 40_000)
    columns = answer["columns"]
    assert columns["t"] == [each.pane for each in rows[:4]]
    assert columns["count"] == [2, 2, 2, 2]
    assert columns["mean"] == [each.sum / 2 for each in rows[:4]]
    assert columns["std"] == pytest.approx(
        [max(0.0, each.sum_sq / 2 - (each.sum / 2) ** 2) ** 0.5 for each in rows[:4]]
    )
    assert {name: len(values) for name, values in columns.items()} == dict.fromkeys(columns, 4)
    within = api.json(
        "/v1/devices/a/series", tenant=tenant, metric="m", **{"from": start + 5_000, "to": start + 10_001}
    )
    assert within["columns"]["t"] == [start, start + 10_000], "buckets that touch the span"


def test_a_series_without_times_is_the_last_quarter_of_an_hour(api, stores, tenant):
    stores.panes(row(tenant, "a", "m"), row(tenant, "a", "m", pane=this_pane() - 20 * 60_000))
    answer = api.json("/v1/devices/a/series", tenant=tenant, metric="m")
    assert answer["to"] - answer["from"] == 15 * 60_000
    assert len(answer["columns"]["t"]) == 1


@pytest.mark.parametrize(("table", "level", "width"), [("rollup_1m", "1m", 60_000), ("rollup_1h", "1h", 3_600_000)])
def test_auto_and_the_level_by_name_read_the_same_rollup(api, stores, tenant, table, level, width):
    start = now_ms() // width * width - 10 * width
    stores.panes(*(row(tenant, "a", "m", pane=start + i * width) for i in range(3)), table=table)
    span = {"from": start, "to": start + 3 * width}
    auto = api.json("/v1/devices/a/series", tenant=tenant, metric="m", points=3, **span)
    named = api.json("/v1/devices/a/series", tenant=tenant, metric="m", level=level, **span)
    assert auto == named
    assert (auto["level"], len(auto["columns"]["t"])) == (level, 3)


def test_a_known_metric_without_rows_in_the_span_is_empty_and_an_unknown_one_is_a_404(api, stores, tenant):
    stores.panes(row(tenant, "a", "temperature", pane=this_pane() - 3_600_000))
    empty = api.json("/v1/devices/a/series", tenant=tenant, metric="temperature")
    assert empty["columns"]["t"] == []
    stores.panes(row(tenant, "a", "temperature", pane=now_ms() // 86_400_000 * 86_400_000), table="rollup_1d")
    wrong = api.get("/v1/devices/a/series", tenant=tenant, metric="temprature")
    assert wrong.status_code == 404
    assert wrong.json()["detail"] == "expected a metric of device 'a', got 'temprature'. Near names: temperature."


@pytest.mark.parametrize("metric", ODD)
def test_odd_names_work(api, stores, tenant, metric):
    device = metric.replace("/", "-")
    stores.register(tenant, device)
    stores.latest(row(tenant, device, metric))
    stores.panes(row(tenant, device, metric))
    path = f"/v1/devices/{quote(device, safe='')}"
    assert api.json(path, tenant=tenant)["metrics"] == [metric]
    assert api.json(f"{path}/latest", tenant=tenant)["device"] == device
    series = api.json(f"{path}/series", tenant=tenant, metric=metric)
    assert (series["metric"], len(series["columns"]["t"])) == (metric, 1)
    assert [each["device"] for each in api.json("/v1/devices", tenant=tenant, search=device)["devices"]] == [device]


def test_final_is_judged_by_the_slowest_partition_of_the_log(api, stores, tenant):
    stores.panes(row(tenant, "a", "m"))
    stores.execute("delete from log_time")
    assert api.json("/v1/devices/a/series", tenant=tenant, metric="m")["final_before"] is None
    for partition in range(4):
        stores.execute("insert into log_time values (%s, %s, %s)", RAW.name, partition, 2_000_000_000_000 + partition)
    answer = api.json("/v1/devices/a/series", tenant=tenant, metric="m")
    assert answer["final_before"] == 2_000_000_000_000 - 300_000 - 10_000


def test_status_counts_dead_letters_from_the_log_and_lag_from_the_stores(api, log, stores):
    # Reasons of this test alone: other tests leave letters on the same topic.
    twice, once = f"twice-{uuid.uuid4().hex}", f"once-{uuid.uuid4().hex}"
    for reason in (twice, once, twice):
        log.dead_letter(reason)
    eventually(lambda: api.json("/v1/status")["dead_letters"].get(twice) == 2)
    eventually(lambda: api.json("/v1/status")["dead_letters"].get(once) == 1)
    eventually(lambda: api.json("/v1/status")["lag"]["api"] == 0)
    stores.execute("delete from sink_offset")
    for partition in range(4):
        stores.execute("insert into sink_offset values ('sink-postgres', %s, %s, 0)", PROCESSED.name, partition)
    log.rows(row("lag", "a"))
    eventually(lambda: (api.json("/v1/status")["lag"]["postgres"] or 0) > 0)
    metrics = api.get("/metrics").text
    assert f'headwater_api_dead_letters{{reason="{twice}"}} 2.0' in metrics
    assert 'headwater_api_lag_records{reader="api"}' in metrics


def test_status_tells_what_the_audit_has_found(api, stores):
    eventually(lambda: api.json("/v1/status")["repairs"] is not None)
    stores.execute("insert into pane_audit (minute, rows) values (to_timestamp(1790000000), 5)")
    stores.execute("insert into pane_audit (minute, rows, fewer, more) values (to_timestamp(1790000060), 5, 2, 1)")
    repairs = {"missing": 0, "fewer": 2, "more": 1, "changed": 0, "unfounded": 0}
    eventually(lambda: api.json("/v1/status")["repairs"] == repairs)
    assert api.json("/v1/status")["audited"] == 1_790_000_060_000
    eventually(lambda: 'headwater_api_repairs{cause="more"} 1.0' in api.get("/metrics").text)
    stores.execute("delete from pane_audit")
    eventually(lambda: not any(api.json("/v1/status")["repairs"].values()))


def test_status_tells_what_the_newest_audit_of_the_log_has_found(api, stores):
    assert api.json("/v1/status")["balance"] is None
    columns = "(finished, state, from_ms, to_ms, records, readings, duplicates, gaps, said)"
    for minute, state, gaps in ((1, "gap", 2), (2, "balanced", 0)):
        values = f"(to_timestamp({1_790_000_000 + 60 * minute}), '{state}', 5, 9, 3, 30, 4, {gaps}, '')"
        stores.execute(f"insert into audit_result {columns} values {values}")
    balance = {"state": "balanced", "finished": 1_790_000_120_000, "from_ms": 5, "to_ms": 9, "readings": 30}
    eventually(lambda: api.json("/v1/status")["balance"] == {**balance, "duplicates": 4, "gaps": 0})


def test_status_tells_of_deployed_queries_and_why_one_has_stopped(api, stores):
    stores.execute(
        "insert into deployed_query (kind, name, unit, owner, description, grain, state, why, changed) values "
        "('metric', 'power', 'watt', 'o', 'd', 'g', 'failed', '/ by zero', to_timestamp(1790000000)), "
        "('pattern', 'gone', '', 'o', 'd', 'g', 'undeployed', '', now())"
    )
    power = {"kind": "metric", "name": "power", "unit": "watt", "owner": "o", "description": "d"}
    failed = {"state": "failed", "why": "/ by zero", "changed": 1_790_000_000_000}
    eventually(lambda: api.json("/v1/status")["queries"] == [{**power, **failed}])
    stores.execute("delete from deployed_query")


def test_status_tells_of_a_job_that_does_not_run_and_why(api, stores):
    eventually(lambda: api.json("/v1/status")["jobs"] == [])
    stores.execute(
        "insert into job_state (job, state, why, changed) values "
        "('alerting', 'failing', 'no topic', to_timestamp(1790000000)), ('aggregation', 'running', '', now())"
    )
    failing = {"name": "alerting", "state": "failing", "why": "no topic", "changed": 1_790_000_000_000}
    eventually(lambda: failing in (api.json("/v1/status")["jobs"] or []))
    assert [job["name"] for job in api.json("/v1/status")["jobs"]] == ["aggregation", "alerting"]
    stores.execute("delete from job_state")


def test_the_log_time_of_status_is_that_of_the_slowest_partition(api, log):
    at = now_ms() + 1_000_000
    log.beats(at)
    eventually(lambda: api.json("/v1/status")["log_time"] == at)


def test_random_questions_never_make_the_api_fail(api, stores, log, tenant, tmp_path):
    stores.register("demo", "sim-0001")
    stores.latest(row("demo", "sim-0001"))
    stores.panes(row("demo", "sim-0001"))
    checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
    program = Path(sys.executable).with_name("schemathesis")
    command = [
        program,
        "run",
        f"{api.url}/openapi.json",
        "--header",
        f"Authorization: {HEADERS['Authorization']}",
        "--checks",
        checks,
        "--max-examples",
        "15",
        "--phases",
        "examples,coverage,fuzzing",
        "--seed",
        "7",
        "--request-timeout",
        "60",
        "--generation-database",
        "none",
        "--no-color",
    ]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=400)
    assert ran.returncode == 0, ran.stdout[-6_000:] + ran.stderr[-1_000:]


def test_stores_that_go_away_are_503_and_come_back_by_themselves(tmp_path, kafka, log, stores, tenant):
    stores.register(tenant, "a")
    stores.latest(row(tenant, "a", "m"))
    stores.panes(row(tenant, "a", "m"))
    servers = {"postgres": urlsplit(stores.postgres), "valkey": urlsplit(stores.valkey)}
    wires = {name: Wire((address.hostname, address.port)) for name, address in servers.items()}
    through, valkey = (
        address._replace(netloc=f"{address.netloc.rpartition('@')[0]}@127.0.0.1:{wires[name].port}").geturl()
        for name, address in servers.items()
    )
    asks = {"postgres": "/v1/devices/a/series", "valkey": "/v1/devices/a/latest"}
    with served(tmp_path, kafka, through, valkey) as api:
        for away, path in asks.items():
            assert api.get(path, tenant=tenant, metric="m").status_code == 200
            wires[away].cut()
            answer = api.get(path, tenant=tenant, metric="m")
            assert answer.status_code == 503
            assert "connects again by itself" in answer.json()["detail"]
            eventually(lambda away=away: set(api.away()) == {away})
            assert httpx.get(f"{api.url}/healthz", timeout=60).status_code == 200
            wires[away].mend()
            eventually(lambda path=path: api.get(path, tenant=tenant, metric="m").status_code == 200)
        eventually(lambda: api.away() == {})


def test_without_kafka_it_starts_serves_the_stores_and_says_what_is_away(tmp_path, stores, tenant):
    stores.panes(row(tenant, "a", "m"))
    nowhere = f"127.0.0.1:{free_port()}"
    with served(tmp_path, nowhere, stores.postgres, stores.valkey, ready=False) as api:
        assert api.json("/v1/devices/a/series", tenant=tenant, metric="m")["columns"]["count"] == [1]
        eventually(lambda: set(api.away()) == {"kafka", "live"})
        with api.live() as client:
            status = client.subscribe(tenant).hear("status")
            assert status["ready"] is False
