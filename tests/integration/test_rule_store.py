import threading

import psycopg
import pytest
from typer.testing import CliRunner

from headwater import rule_store
from headwater.cli.main import app
from headwater.model import codec
from headwater.model.errors import BadRequest, Conflict, NotFound
from headwater.model.rule import Draft, Equals, Rule, Threshold
from headwater.model.topics import ALERT_RULES
from headwater.stack import migrate


@pytest.fixture
def conn(postgres):
    migrate.apply(postgres)
    with psycopg.connect(postgres) as conn:
        conn.execute("truncate rule, outbox")
        conn.execute("insert into tenant (tenant) values ('rules-a') on conflict do nothing")
        conn.commit()
        yield conn


def draft(above=80, rule="hot", **more) -> Draft:
    return Draft(rule=rule, severity="major", when=Threshold(metric="t", above=above), **more)


def published(conn) -> list[tuple[str, Rule]]:
    rows = conn.execute("select key, value from outbox where topic = %s order by id", (ALERT_RULES.name,))
    return [(key, codec.decode(Rule, value.encode())) for key, value in rows]


def test_every_change_is_a_version_and_a_record_and_what_is_the_same_is_neither(conn):
    whats = [
        [change.what for change in rule_store.apply(conn, "rules-a", drafts)]
        for drafts in ([draft(), draft(rule="b")], [draft(), draft(rule="b", text="x")], [draft(80.0)])
    ]
    assert whats == [["created", "created"], ["same", "changed"], ["same"]]
    assert rule_store.delete(conn, "rules-a", "hot").version == 2
    assert [(key, one.version, one.deleted) for key, one in published(conn)] == [
        ("rules-a/hot", 1, False),
        ("rules-a/b", 1, False),
        ("rules-a/b", 2, False),
        ("rules-a/hot", 2, True),
    ]
    assert [one.rule for one in rule_store.newest(conn, "rules-a")] == ["b"]
    assert [one.version for one in rule_store.versions(conn, "rules-a", "hot")] == [1, 2]


def test_a_rule_that_is_made_again_goes_on_counting(conn):
    rule_store.apply(conn, "rules-a", [draft()])
    rule_store.delete(conn, "rules-a", "hot")
    (change,) = rule_store.apply(conn, "rules-a", [draft()], expected=0)
    assert (change.what, change.version) == ("created", 3)


def test_true_and_one_are_not_the_same_value(conn):
    for value, what in ((1.0, "created"), (True, "changed")):
        one = Draft(rule="e", severity="major", when=Equals(metric="m", values=[value]))
        assert [change.what for change in rule_store.apply(conn, "rules-a", [one])] == [what]


def test_a_change_is_refused_if_the_rule_is_not_what_the_caller_has_seen(conn):
    rule_store.apply(conn, "rules-a", [draft()])
    conn.commit()
    for expected in (0, 2):
        with pytest.raises(Conflict, match="read it again"):
            rule_store.apply(conn, "rules-a", [draft(90)], expected=expected)
    with pytest.raises(Conflict):
        rule_store.delete(conn, "rules-a", "hot", expected=7)
    conn.rollback()
    assert len(published(conn)) == 1


def test_what_is_not_there_is_named_with_what_is_near(conn):
    rule_store.apply(conn, "rules-a", [draft(rule="boiler-hot")])
    with pytest.raises(NotFound, match="boiler-hot"):
        rule_store.delete(conn, "rules-a", "boilr-hot")
    with pytest.raises(BadRequest, match="registered tenant"):
        rule_store.apply(conn, "nobody", [draft()])


def test_two_writers_at_once_make_versions_without_a_gap_in_the_order_of_the_log(conn, postgres):
    def write(first: int) -> None:
        with psycopg.connect(postgres, autocommit=True) as own:
            for n in range(20):
                with own.transaction():
                    rule_store.apply(own, "rules-a", [draft(first + n)])

    threads = [threading.Thread(target=write, args=(first,)) for first in (100, 200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.version for _, one in published(conn)] == list(range(1, 41))


def test_what_is_judged_is_published_again_and_nothing_else(conn):
    rule_store.apply(conn, "rules-a", [draft(), draft(rule="off", enabled=False), draft(rule="gone")])
    rule_store.apply(conn, "rules-a", [draft(90)])
    rule_store.delete(conn, "rules-a", "gone")
    conn.execute("delete from outbox")
    rule_store.republish(conn)
    assert [(one.rule, one.version) for _, one in published(conn)] == [("hot", 2)]


def test_the_command_applies_a_file_whole_and_shows_what_differs(conn, postgres, tmp_path, monkeypatch):
    monkeypatch.setenv("HEADWATER_POSTGRES", postgres)
    file, run = tmp_path / "rules.yml", CliRunner().invoke

    def rules(above: object) -> None:
        file.write_text(
            "tenant: rules-a\nrules:\n"
            f"  - {{rule: hot, severity: major, when: {{kind: threshold, metric: t, above: {above}}}}}\n"
            "  - {rule: still, severity: minor, when: {kind: silence, for_ms: 60000}}\n"
        )

    rules(80)
    dry = run(app, ["rules", "apply", str(file), "--dry-run"])
    assert (dry.exit_code, dry.output.count("created"), published(conn)) == (0, 2, [])
    conn.commit()
    assert run(app, ["rules", "apply", str(file)]).exit_code == 0
    rules(85)
    differs = run(app, ["rules", "diff", str(file)])
    assert differs.exit_code == 1
    assert "when.above: 80.0 → 85.0" in differs.output
    rules("warm")
    refused = run(app, ["rules", "apply", str(file)])
    assert refused.exit_code == 1
    assert "(hot): expected number" in refused.output
    assert run(app, ["rules", "delete", "still", "--tenant", "rules-a"]).exit_code == 0
    assert "hot" in run(app, ["rules", "list", "--tenant", "rules-a"]).output
    assert [(one.rule, one.version, one.deleted) for _, one in published(conn)] == [
        ("hot", 1, False),
        ("still", 1, False),
        ("still", 2, True),
    ]
