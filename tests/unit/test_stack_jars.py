"""Jars are taken only with the locked sum."""

import pytest

from headwater.model.errors import StackError
from headwater.stack import jars

GOOD = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"  # of the text "hello"


@pytest.fixture
def lock(tmp_path, monkeypatch):
    """A lock file of one jar whose content is "hello", an empty cache, and a repository that serves what we say."""
    path = tmp_path / "jars.lock"
    path.write_text(f"demo org.example:thing:1.0 {GOOD}\n")
    monkeypatch.setattr(jars, "lock_file", lambda: path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    served = {"text": "hello", "times": 0}

    def download(jar):
        served["times"] += 1
        jar.cached.parent.mkdir(parents=True, exist_ok=True)
        jar.cached.write_text(served["text"])

    monkeypatch.setattr(jars, "_download", download)
    return path, served


def test_a_jar_is_fetched_once_and_linked_into_its_set(lock, tmp_path):
    assert jars.ensure(tmp_path / "one") == "1 of 1 jars fetched"
    assert (tmp_path / "one/jars/demo/thing-1.0.jar").read_text() == "hello"
    assert jars.ensure(tmp_path / "one") == "1 jars in place"
    assert jars.ensure(tmp_path / "two") == "0 of 1 jars fetched"
    assert lock[1]["times"] == 1


def test_a_jar_with_another_sum_is_refused_and_not_kept(lock, tmp_path):
    lock[1]["text"] = "something else"
    with pytest.raises(StackError, match="expected sha256 2cf24d"):
        jars.ensure(tmp_path)
    assert not list((tmp_path / "cache").rglob("*.jar"))
    assert not (tmp_path / "jars/demo/thing-1.0.jar").exists()


def test_a_damaged_jar_in_the_cache_is_fetched_anew(lock, tmp_path):
    jars.ensure(tmp_path / "one")
    [cached] = (tmp_path / "cache").rglob("*.jar")
    cached.write_text("damaged")
    assert [(jar.coordinate, what) for jar, what in jars.broken(tmp_path / "one")] == [
        ("org.example:thing:1.0", "wrong checksum")
    ]
    jars.ensure(tmp_path / "two")
    assert cached.read_text() == "hello"
    assert not list(jars.broken(tmp_path / "one"))


def test_a_missing_jar_is_found(lock, tmp_path):
    assert [what for _, what in jars.broken(tmp_path)] == ["missing"]


def test_a_jar_that_is_no_longer_locked_leaves_the_set(lock, tmp_path):
    jars.ensure(tmp_path)
    stranger = tmp_path / "jars/demo/old-0.9.jar"
    stranger.write_text("old")
    jars.ensure(tmp_path)
    assert not stranger.exists()


def test_a_broken_line_of_the_lock_file_is_named(lock):
    lock[0].write_text("demo org.example:thing 123\n")
    with pytest.raises(StackError, match="line 1"):
        jars.locked()


def test_the_real_lock_holds_every_root_of_every_set():
    locked = {(jar.set, jar.coordinate) for jar in jars.locked()}
    assert {(name, root) for name, roots in jars.ROOTS.items() for root in roots} <= locked
