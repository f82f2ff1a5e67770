"""The servers of the stack, started for real from the stack's own definitions."""

import subprocess
import sys

import psutil
import psycopg
import pytest
import redis
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from headwater.model.errors import StackError
from headwater.model.settings import Settings
from headwater.model.topics import ALL, RAW
from headwater.stack import jars, topics
from headwater.stack import kafka as broker
from headwater.stack.state import State


def test_topics_are_made_as_designed_and_making_them_twice_changes_nothing(kafka):
    settings = Settings(kafka=kafka)
    topics.create_all(settings)
    assert topics.create_all(settings) == []
    admin = AdminClient({"bootstrap.servers": kafka})
    present = admin.list_topics(timeout=60).topics
    assert {topic.name for topic in ALL} <= set(present)
    assert len(present[RAW.name].partitions) == settings.partitions
    resource = ConfigResource(ResourceType.TOPIC, RAW.name)
    found = admin.describe_configs([resource])[resource].result()
    wanted = topics.configuration(RAW, settings)
    assert {name: found[name].value for name in wanted} == wanted
    assert int(wanted["retention.bytes"]) * settings.partitions == 1_500_000_000


def test_another_number_of_partitions_is_refused_with_the_number_to_set(kafka):
    topics.create_all(Settings(kafka=kafka))
    with pytest.raises(StackError, match="HEADWATER_PARTITIONS=4"):
        topics.create_all(Settings(kafka=kafka, partitions=5))


def test_a_data_folder_can_be_formatted_under_an_id_that_looks_like_an_option(tmp_path):
    state = State.open(tmp_path, {"HEADWATER_PORTS": "free"})
    state.cluster_id = "-" + state.cluster_id.strip("-")[1:]
    jars.ensure(state.folder, "kafka")
    broker.prepare(state)
    found = (tmp_path / "kafka" / "data" / "meta.properties").read_text()
    assert f"cluster.id={state.cluster_id}" in found.splitlines()


def test_postgres_wants_its_password(postgres):
    with psycopg.connect(postgres) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    user, _, rest = postgres.rpartition("@")
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(f"{user.rpartition(':')[0]}:wrong@{rest}", connect_timeout=60)


def test_valkey_wants_its_password(valkey):
    client = redis.Redis.from_url(valkey, protocol=2)
    assert client.ping()
    client.close()
    stranger = redis.Redis.from_url("redis://" + valkey.rpartition("@")[2], protocol=2)
    with pytest.raises(redis.exceptions.AuthenticationError):
        stranger.ping()
    stranger.close()


def test_servers_end_with_a_test_run_that_is_killed(tmp_path):
    script = (
        "import sys, time; from pathlib import Path; from headwater.stack import foreground, probes;"
        "from headwater.stack.program import Program;"
        "sleeper = Program(name='sleeper', command=(sys.executable, '-c', 'import time; time.sleep(600)'),"
        " probe=probes.nothing); print(foreground.start(sleeper, Path(sys.argv[1])).pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", script, tmp_path], stdout=subprocess.PIPE, text=True) as run:
        child = psutil.Process(int(run.stdout.readline()))
        assert child.is_running()
        run.kill()
    gone, _ = psutil.wait_procs([child], timeout=120)
    assert gone
