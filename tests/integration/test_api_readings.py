"""Raw readings from the log to the caller, through real servers, compared with a plain reading of the log."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pyarrow as pa
import pytest

from headwater.model.pack import PANE_MS
from headwater.truth.logs import LogShape, random_log
from tests.integration.api_server import HEADERS, Api, Log, Stores, eventually, patiently, served
from tests.integration.api_wire import Wire
from tests.integration.raw_sinks import RawStore, folded, fresh_store, opened, pack, produce, records
from tests.integration.sinks import T0
from tests.integration.test_sink_raw_process import Process

ARROW = "application/vnd.apache.arrow.stream"


@pytest.fixture(scope="module")
def store(clickhouse: str) -> RawStore:
    return fresh_store(clickhouse)


@pytest.fixture(scope="module")
def wire(store: RawStore) -> Iterator[Wire]:
    parts = urlsplit(store.url)
    made = Wire((parts.hostname or "", parts.port or 0))
    yield made
    made.cut()


@pytest.fixture(scope="module")
def api(tmp_path_factory, kafka: str, postgres: str, valkey: str, store: RawStore, wire: Wire) -> Iterator[Api]:
    Log(kafka)
    stores = Stores(postgres, valkey)
    parts = urlsplit(store.url)
    url = parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{wire.port}").geturl()
    with served(tmp_path_factory.mktemp("api"), kafka, stores.postgres, stores.valkey, clickhouse=url) as running:
        yield running


def get(api: Api, path: str, accept: str = "application/json", **params: Any) -> httpx.Response:
    return httpx.get(f"{api.url}{path}", params=params, headers={**HEADERS, "Accept": accept}, timeout=90)


def pages(api: Api, device: str, **params: Any) -> list[dict]:
    found, cursor = [], ""
    while cursor is not None:
        ask = {"cursor": cursor, **params}
        answer = patiently(lambda ask=ask: get(api, f"/v1/devices/{device}/readings", **ask))
        assert answer.status_code == 200, answer.text
        found.append(answer.json())
        cursor = found[-1]["next"]
    return found


def told(pages: list[dict]) -> list[tuple[int, str, Any]]:
    return [
        row
        for page in pages
        for row in zip(page["columns"]["t"], page["columns"]["kind"], page["columns"]["value"], strict=True)
    ]


@pytest.mark.parametrize("seed", [11, 12])
def test_a_random_log_comes_out_as_the_plain_reference(api, store, kafka: str, tmp_path: Path, tenant, seed: int):
    log = random_log(seed, LogShape(devices=3, seconds=40, tenant=tenant), with_pulses=True)
    packs = [record.pack for record in log]
    sink = Process(store, kafka, tmp_path)
    try:
        produce(kafka, packs)
        wanted = folded(packs)
        eventually(lambda: store.readings(tenant) == wanted)
    finally:
        sink.process.terminate()
        assert sink.process.wait(120) == 0
    first = min(key[4] for key in wanted)
    span = {"from": first, "to": max(key[4] for key in wanted) + 1}
    for device, metric in sorted({(key[1], key[2]) for key in wanted}):
        series = sorted((key[4], key[3], value) for key, value in wanted.items() if key[1:3] == (device, metric))
        for limit in (7, 10_000):
            found = pages(api, device, tenant=tenant, metric=metric, limit=limit, **span)
            assert told(found) == series
            assert all(len(page["columns"]["t"]) <= limit for page in found)
            assert len(found) == -(-len(series) // limit)
    assert not store.query("select 1 from reading where tenant = '_pulse'")


def test_numbers_texts_and_flags_of_one_name_come_side_by_side(api, store, tenant):
    one = pack(
        tenant, "a", at=[1, 2], metrics={"m": [1.5, -0.5]}, texts={"m": ['x, "y"', "z\n"]}, flags={"m": [True, False]}
    )
    with opened(store, "side") as sink:
        sink.write(records([one]), {0: 1})
        sink.flush()
    span = {"tenant": tenant, "metric": "m", "from": T0, "to": T0 + PANE_MS}
    wanted = [
        (T0 + 1, "number", 1.5),
        (T0 + 1, "text", 'x, "y"'),
        (T0 + 1, "flag", True),
        (T0 + 2, "number", -0.5),
        (T0 + 2, "text", "z\n"),
        (T0 + 2, "flag", False),
    ]
    for limit in (1, 2, 4, 100):
        assert told(pages(api, "a", limit=limit, **span)) == wanted
    answer = get(api, "/v1/devices/a/readings", "text/csv", limit=4, **span)
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert [(row["ts"], row["kind"], row["value"], row["text"]) for row in rows] == [
        (str(T0 + 1), "number", "1.5", ""),
        (str(T0 + 1), "text", "", 'x, "y"'),
        (str(T0 + 1), "flag", "1", ""),
        (str(T0 + 2), "number", "-0.5", ""),
    ]
    link = answer.links["next"]["url"]
    rest = httpx.get(f"{api.url}{link}", headers={**HEADERS, "Accept": ARROW}, timeout=90)
    assert rest.headers["content-type"] == ARROW
    with pa.ipc.open_stream(rest.content) as reader:
        table = reader.read_all().to_pydict()
    assert table["ts"] == [T0 + 2, T0 + 2]
    assert (table["kind"], table["value"], table["text"]) == (["text", "flag"], [None, 0.0], ["z\n", None])
    assert table["received"] == [one.received] * 2
    assert "next" not in rest.links


def test_a_reading_that_comes_between_two_pages_pushes_none_out(api, store, tenant):
    packs = [pack(tenant, "a", T0 + place * PANE_MS, at=[9]) for place in range(6)]
    span = {"tenant": tenant, "metric": "t", "from": T0, "to": T0 + 100 * PANE_MS, "limit": 2}
    with opened(store, "between") as sink:
        sink.write(records(packs), {0: 6})
        sink.flush()
        first = get(api, "/v1/devices/a/readings", **span).json()
        sink.write(records([pack(tenant, "a", at=[1]), pack(tenant, "a", T0 + 3 * PANE_MS, at=[1])], first=6), {0: 8})
        sink.flush()
        rest, cursor = [], first["next"]
        while cursor is not None:
            rest.append(get(api, "/v1/devices/a/readings", cursor=cursor, **span).json())
            cursor = rest[-1]["next"]
    times = [row[0] for row in told([first, *rest])]
    assert times == sorted({*(each.pane + 9 for each in packs), T0 + 3 * PANE_MS + 1})


def test_what_is_asked_wrongly_is_told(api, store, tenant):
    with opened(store, "wrong") as sink:
        sink.write(records([pack(tenant, "a")]), {0: 1})
        sink.flush()
    path = "/v1/devices/a/readings"
    good = {"tenant": tenant, "metric": "t", "from": T0, "to": T0 + 1_000}
    assert get(api, path, **good).status_code == 200
    assert told([get(api, path, **{**good, "from": T0 + 500}).json()]) == [], "known, but nothing in the span"
    for change, status, field in [
        ({"cursor": "nonsense!"}, 400, "cursor"),
        ({"cursor": "AAAA"}, 400, "cursor"),
        ({"from": T0 + 2_000}, 400, "from"),
        ({"from": "yesterday"}, 400, "from"),
        ({"limit": 0}, 422, "limit"),
        ({"limit": 10_001}, 422, "limit"),
        ({"metric": "nul\0"}, 400, "metric"),
        ({"metric": "none"}, 404, None),
        ({"tenant": "nobody"}, 404, None),
    ]:
        answer = get(api, path, **{**good, **change})
        assert (answer.status_code, answer.json().get("field")) == (status, field), change
        assert answer.headers["content-type"] == "application/problem+json"
    assert get(api, path, "image/png", **good).status_code == 406
    assert get(api, path, "text/html, */*;q=0.1", **good).headers["content-type"] == "application/json"
    assert get(api, path, "application/json;q=0.1, text/csv", **good).headers["content-type"].startswith("text/csv")
    odd = "' or 1=1 --\\"
    assert get(api, path, **{**good, "metric": odd}).status_code == 404


def test_a_store_that_is_away_is_a_503_here_and_nothing_elsewhere(api, store, wire, tenant):
    with opened(store, "away") as sink:
        sink.write(records([pack(tenant, "a")]), {0: 1})
        sink.flush()
    ask = {"tenant": tenant, "metric": "t", "from": T0, "to": T0 + 1_000}
    wire.cut()
    try:
        answer = get(api, "/v1/devices/a/readings", **ask)
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:headwater:problem:unavailable")
        assert "ClickHouse" in answer.json()["detail"]
        eventually(lambda: get(api, "/v1/devices").status_code == 200)
        eventually(lambda: get(api, "/readyz").status_code == 200)
        eventually(lambda: get(api, "/v1/status").json()["lag"]["raw"] is None)
    finally:
        wire.mend()
    eventually(lambda: get(api, "/v1/devices/a/readings", **ask).status_code == 200)


def test_status_knows_the_lag_of_the_raw_store(
    clickhouse: str, kafka: str, postgres: str, valkey: str, tmp_path: Path, tenant: str
):
    own, stores = fresh_store(clickhouse), Stores(postgres, valkey)
    Log(kafka)
    with served(tmp_path, kafka, stores.postgres, stores.valkey, clickhouse=own.url) as api:
        sink = Process(own, kafka, tmp_path)
        produce(kafka, [pack(tenant, "lag")])
        eventually(lambda: get(api, "/v1/status").json()["lag"]["raw"] == 0)
        sink.process.terminate()
        assert sink.process.wait(120) == 0
        produce(kafka, [pack(tenant, "lag")] * 5)
        eventually(lambda: get(api, "/v1/status").json()["lag"]["raw"] == 5)
