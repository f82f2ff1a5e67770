"""The registry in PostgreSQL, by its functions and by its commands."""

import json
import threading

import psycopg
import pytest
from typer.testing import CliRunner

from headwater import registry
from headwater.cli.main import app
from headwater.model.device import MetricOfModel
from headwater.model.errors import BadFields, Conflict, NotFound
from headwater.model.version import ANY_OLD, NEW
from headwater.registry import files, records, store
from headwater.registry.entries import DEVICES, MODELS, SITES
from tests.integration.registry_log import own_database


@pytest.fixture(scope="module")
def database(postgres: str) -> str:
    return own_database(postgres)


@pytest.fixture
def conn(database):
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


@pytest.fixture
def run(database, monkeypatch, tmp_path):
    """Runs a command; gives its output, or its JSON, and asserts the exit code."""
    monkeypatch.setenv("HEADWATER_POSTGRES", database)
    monkeypatch.setenv("HEADWATER_STATE", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words: str, code: int = 0):
        found = CliRunner().invoke(app, words)
        assert found.exit_code == code, found.output
        return json.loads(found.stdout) if "--json" in words and code == 0 else found.output

    return run


def test_of_two_who_change_the_same_version_one_is_refused(conn, database, tenant):
    first = store.save(conn, SITES, tenant, "north", {"title": "North"}, NEW)
    results: list = []
    together = threading.Barrier(8)

    def change(number: int) -> None:
        with psycopg.connect(database) as own:
            together.wait()
            try:
                results.append(store.save(own, SITES, tenant, "north", {"title": f"N{number}"}, first.version))
                own.commit()
            except Conflict as error:
                results.append(error)

    threads = [threading.Thread(target=change, args=(number,)) for number in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    [won] = [one for one in results if not isinstance(one, Conflict)]
    assert len(results) == 8
    assert store.get(conn, SITES, tenant, "north") == won
    assert won.version > first.version
    with pytest.raises(Conflict, match="expected no site 'north'"):
        store.save(conn, SITES, tenant, "north", {}, NEW)
    with pytest.raises(NotFound, match="near names: north"):
        store.save(conn, SITES, tenant, "nort", {}, ANY_OLD)


def test_a_change_keeps_what_it_does_not_say_and_a_replacement_does_not(conn, tenant):
    store.save(conn, MODELS, tenant, "pump", {"title": "Pump"})
    given = {"kind": "p", "model": "pump", "tags": ["a"], "attributes": {"server": {"x": 1, "y": 2}}}
    made = store.save(conn, DEVICES, tenant, "d", given)
    merged = store.save(
        conn,
        DEVICES,
        tenant,
        "d",
        {"tags": ["b"], "attributes": {"server": {"x": None}, "client": {"z": True}}},
        made.version,
        merge=True,
    )
    assert (merged.kind, merged.model, merged.tags) == ("p", "pump", ["b"])
    assert (merged.attributes.server, merged.attributes.client) == ({"y": 2}, {"z": True})
    assert store.save(conn, DEVICES, tenant, "d", {"kind": "p"}, merge=True).version == merged.version
    replaced = store.save(conn, DEVICES, tenant, "d", {"kind": "q"}, merged.version)
    assert (replaced.kind, replaced.model, replaced.tags, replaced.attributes.server) == ("q", None, [], {})


def test_what_devices_need_cannot_be_deleted_nor_named_before_it_is_there(conn, tenant):
    store.save(conn, SITES, tenant, "north", {})
    store.save(conn, DEVICES, tenant, "d", {"site": "north"})
    with pytest.raises(Conflict, match="move them first"):
        store.remove(conn, SITES, tenant, "north")
    with pytest.raises(BadFields) as refused:
        store.save(conn, DEVICES, tenant, "e", {"site": "nort", "model": "none"})
    assert [fault.field for fault in refused.value.faults] == ["model", "site"]
    assert "near names: north" in refused.value.faults[1].message
    device = store.get(conn, DEVICES, tenant, "d")
    store.remove(conn, DEVICES, tenant, "d", device.version)
    store.remove(conn, SITES, tenant, "north")
    again = store.save(conn, DEVICES, tenant, "d", {}, NEW)
    assert again.version > device.version


def test_the_commands_of_a_day(run, tenant, tmp_path):
    models, devices = tmp_path / "models.yml", tmp_path / "devices.csv"
    models.write_text("models:\n  pump:\n    metrics:\n      flow: {unit: l/min, low: 0}\n")
    for what in ("added", "same"):
        assert run("models", "apply", str(models), "--tenant", tenant, "--json")[0]["what"] == what
    run("sites", "add", tenant, "north", "--zone", "Europe/Berlin")
    run("sites", "add", tenant, "south")
    devices.write_text("device,site,model,tags,server.serial\na,north,pump,x;y,007\nb,,,,\n")
    made = run("devices", "import", str(devices), "--tenant", tenant, "--json")
    assert [(one["device"], one["what"], bool(one["token"])) for one in made] == [
        ("a", "added", True),
        ("b", "added", True),
    ]
    again = run("devices", "import", str(devices), "--tenant", tenant, "--json")
    assert [(one["what"], one["token"]) for one in again] == [("same", None)] * 2
    shown = run("devices", "show", tenant, "a", "--json")
    assert (shown["tags"], shown["attributes"]["server"]) == (["x", "y"], {"serial": "007"})
    run("devices", "move", tenant, "a", "south", "--if-version", str(shown["version"]))
    assert "somebody has changed it" in " ".join(
        run("devices", "set", tenant, "a", "--kind", "k", "--if-version", str(shown["version"]), code=1).split()
    )
    listed = run("devices", "list", "--tenant", tenant, "--site", "south", "--tag", "x", "--model", "pump", "--json")
    assert [one["device"] for one in listed] == ["a"]
    for form in ("csv", "ndjson"):
        out = tmp_path / f"out.{form}"
        out.write_text(run("devices", "export", "--tenant", tenant, "--format", form))
        assert [one["what"] for one in run("devices", "import", str(out), "--json")] == ["same", "same"]
    token = run("devices", "rotate", tenant, "a", "--overlap", "0s", "--json")["token"]
    assert token
    assert run("devices", "show", tenant, "a").count("token  ") == 3
    run("devices", "revoke", tenant, "a")
    assert run("devices", "show", tenant, "a", "--json")["token"] == "revoked"
    for words in (
        ["sites", "list"],
        ["models", "list"],
        ["models", "show", tenant, "pump"],
        ["sites", "show", tenant, "north"],
    ):
        assert tenant in run(*words)
        assert run(*words, "--json")


def test_a_wrong_file_changes_nothing(run, conn, tenant, tmp_path):
    file = tmp_path / "devices.csv"
    run("sites", "add", tenant, "north")
    file.write_text("device,site\ngood,north\nbad,nort\n")
    said = run("devices", "import", str(file), "--tenant", tenant, code=1)
    assert "line 3: site" in said
    assert "near names: north" in " ".join(said.split())
    file.write_text("device,site\ngood,north\nb#d,north\n")
    assert "line 3: device" in run("devices", "import", str(file), "--tenant", tenant, code=1)
    assert conn.execute("select count(*) from device where tenant = %s", (tenant,)).fetchone() == (0,)


METRICS = {"flow": {"unit": "l/min", "low": 0.0}, "x,y": {"unit": 'say "m³/h"', "scale": 0.1}}


def test_sites_and_models_go_out_as_files_and_come_in_again(run, conn, tenant, tmp_path):
    sites, models = tmp_path / "sites.csv", tmp_path / "models.csv"
    sites.write_text('site,title,zone\nnorth,"Plant, north",Europe/Berlin\nsouth,,UTC\n')
    models.write_text(
        f"model,metrics\nbare,\npump,{chr(34)}{json.dumps(METRICS).replace(chr(34), chr(34) * 2)}{chr(34)}\n"
    )
    for what in ("added", "same"):
        for kind, file in (("sites", sites), ("models", models)):
            made = run(kind, "import", str(file), "--tenant", tenant, "--json")
            assert [one["what"] for one in made] == [what] * 2
    assert store.get(conn, SITES, tenant, "north").title == "Plant, north"
    assert store.get(conn, MODELS, tenant, "pump").metrics == {
        name: MetricOfModel(**about) for name, about in METRICS.items()
    }
    store.save(conn, SITES, tenant, "north", {"place": "Kiel"}, merge=True)
    assert run("sites", "import", str(sites), "--tenant", tenant, "--json")[0]["what"] == "same"
    for kind in ("sites", "models"):
        for form in ("csv", "ndjson"):
            out = tmp_path / f"{kind}.{form}"
            out.write_text(run(kind, "export", "--tenant", tenant, "--format", form))
            assert [one["what"] for one in run(kind, "import", str(out), "--json")] == ["same", "same"]
    assert f"{tenant}/pump\tsame" in run("models", "import", str(tmp_path / "models.ndjson"))


@pytest.mark.parametrize(
    ("kind", "text", "told"),
    [
        ("sites", "site,zone\nnorth,UTC\nsouth,Europe/Berlyn\n", "line 3: zone expected a time zone as Europe/Berlin"),
        ("sites", "site,zon\nnorth,UTC\n", "got 'zon'; nearest: zone"),
        ("sites", "north,UTC\n", "expected a known field, got 'north'"),
        ("sites", "site\nnorth\nnorth\n", "line 3: site expected each site once"),
        ("sites", "site,server.serial\nnorth,7\n", "got 'server.serial'"),
        ("models", "model,metrics\npump,flow=l/min\n", "line 2: metrics expected an object of metrics by name"),
        (
            "models",
            'model,metrics\npump,"{""flow"": {""low"": ""x""}}"\n',
            "line 2: metrics.flow.low expected a number",
        ),
    ],
)
def test_a_wrong_file_of_sites_or_models_changes_nothing(run, tenant, tmp_path, kind, text, told):
    file = tmp_path / "given.csv"
    file.write_text(text)
    said = " ".join(run(kind, "import", str(file), "--tenant", tenant, code=1).split())
    assert told in said.replace(": expected", " expected")
    assert run(kind, "list", "--tenant", tenant, "--json") == []


def test_a_device_that_exists_gets_a_new_token_and_keeps_the_rest(run, conn, tenant):
    run("sites", "add", tenant, "north")
    first = run("devices", "add", tenant, "d", "--site", "north", "--tag", "x", "--json")["token"]
    second = run("devices", "add", tenant, "d", "--json")["token"]
    device = store.get(conn, DEVICES, tenant, "d")
    assert (device.site, device.tags) == ("north", ["x"])
    assert [one.token_sha256 for one in registry.good(conn, tenant, "d")] == [registry.token_sha256(second)]
    assert first != second


def test_whoever_changes_what_at_once_the_last_record_of_each_device_is_what_is_registered(conn, database, tenant):
    names = [f"d{number}" for number in range(6)]
    for kind, name in ((SITES, "s"), (SITES, "t"), (MODELS, "m"), (MODELS, "n")):
        store.save(conn, kind, tenant, name, {})
    for name in names:
        store.save(conn, DEVICES, tenant, name, {"site": "s", "model": "m"})
    failures: list[Exception] = []

    def often(work) -> None:
        try:
            with psycopg.connect(database) as own:
                for number in range(25):
                    with own.transaction():
                        work(own, number)
        except Exception as error:
            failures.append(error)

    def zones(own, number):
        store.save(own, SITES, tenant, "s", {"zone": ("UTC", "Europe/Rome")[number % 2]})

    def units(own, number):
        store.save(own, MODELS, tenant, "m", {"metrics": {"x": MetricOfModel(unit=str(number))}})

    def moves(own, number):
        given = {"site": "st"[number % 2], "model": "mn"[number // 2 % 2]}
        store.save(own, DEVICES, tenant, names[number % len(names)], given, merge=True)

    def imports(own, number):
        rows = [f"{name},{'ts'[number % 2]},{'nm'[number % 2]}" for name in reversed(names)]
        text = "\n".join(["device,site,model", *rows])
        files.load(own, DEVICES, files.read(text, files.Format.CSV, DEVICES, tenant))

    def again(own, number):
        records.republish(own, records.BEGIN, 500)

    threads = [threading.Thread(target=often, args=(work,)) for work in (zones, units, moves, moves, imports, again)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert failures == []
    last = conn.execute(
        "select distinct on (key) key, value::jsonb from outbox where topic = 'device-registry' and key like %s"
        " order by key, id desc",
        (f"{tenant}/%",),
    ).fetchall()
    registered = conn.execute("select key, value::jsonb from device_record where tenant = %s", (tenant,)).fetchall()
    assert dict(last) == dict(registered)
    assert len(last) == len(names)
    published = conn.execute(
        "select distinct key, value::jsonb from outbox where topic = 'device-registry' and key like %s",
        (f"{tenant}/%",),
    ).fetchall()
    kept = conn.execute("select tenant || '/' || device, record from device_version where tenant = %s", (tenant,))
    by_version = sorted(published, key=lambda one: one[1]["version"])
    assert sorted(kept.fetchall(), key=lambda one: one[1]["version"]) == by_version
