import gzip

import pytest

from headwater.cli.when import moment, shown
from headwater.model.errors import BadRequest
from headwater.truth import logfile
from headwater.truth.logfile import BadLogFile
from headwater.truth.span import Entry, Span

SPAN = Span("raw-sensor-data", "id1", {0: 5, 1: 0}, {0: 105, 1: 100})
HEAD = logfile.head_of(SPAN, 1_790_000_000_000, None, 1_790_000_000_000, None)
ENTRIES = [
    Entry(i % 2, i, 1_790_000_000_000 + i, b"t/d", (("m", b"\x00\x01"),) if i % 3 else (), bytes([i]) * 50)
    for i in range(200)
]
ODD = [Entry(0, 200, 0, None, (), None), Entry(1, 201, 1, b"", (("m", b""), ("m", b"x")), b"\xff not json")]


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "one.log"
    assert logfile.write(path, HEAD, ENTRIES + ODD) == 202
    return path


def test_what_was_saved_is_read_as_it_was(saved):
    head, entries = logfile.read(saved)
    assert head == HEAD
    assert list(entries) == ENTRIES + ODD
    assert not list(saved.parent.glob("*.part"))


def read_on(path):
    """The records up to the fault, and the fault."""
    good = []
    try:
        for entry in logfile.read(path)[1]:
            good.append(entry)
    except BadLogFile as error:
        return good, error
    pytest.fail("the file was taken for whole")


@pytest.mark.parametrize("share", [0.3, 0.6, 0.99])
def test_a_file_that_is_cut_off_says_how_many_records_were_good(saved, share):
    whole = saved.read_bytes()
    saved.write_bytes(whole[: int(len(whole) * share)])
    good, error = read_on(saved)
    assert good == (ENTRIES + ODD)[: len(good)]
    assert error.good == len(good) < 202
    assert f"{len(good)} records before that are good" in str(error)


def test_a_file_cut_between_two_records_is_not_whole(saved, tmp_path):
    path = tmp_path / "cut.log"
    text = gzip.decompress(saved.read_bytes())
    begin, frames = 0, []
    while begin < len(text):
        size = int.from_bytes(text[begin : begin + 4], "big") + 4
        frames.append(text[begin : begin + size])
        begin += size
    path.write_bytes(gzip.compress(b"".join(frames[:-1])))
    good, error = read_on(path)
    assert (len(good), error.good) == (202, 202)
    assert "cut off; 202 records" in str(error)
    path.write_bytes(gzip.compress(b"".join([*frames[:-2], frames[-1]])))
    with pytest.raises(BadLogFile, match="says 202 records"):
        list(logfile.read(path)[1])


@pytest.mark.parametrize("text", [b"", b"no gzip at all", gzip.compress(b""), gzip.compress(b"\x00\x00\x00\x02{}")])
def test_what_is_no_saved_log_is_refused(tmp_path, text):
    path = tmp_path / "other.log"
    path.write_bytes(text)
    with pytest.raises(BadLogFile, match=r"expected a (log saved|gzip stream)"):
        logfile.read(path)


def test_a_damaged_file_is_refused_where_it_is_damaged(tmp_path):
    path = tmp_path / "damaged.log"
    logfile.write(path, HEAD, ENTRIES)
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 0xFF
    path.write_bytes(bytes(whole))
    with pytest.raises(BadLogFile, match=r"records before that are good|gzip"):
        list(logfile.read(path)[1])


def test_a_file_that_could_not_be_written_whole_is_not_there(tmp_path):
    def failing():
        yield ENTRIES[0]
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        logfile.write(tmp_path / "half.log", HEAD, failing())
    assert list(tmp_path.iterdir()) == []


def test_a_tenant_is_saved_with_the_pulses():
    keys = [b"a/d", b"ab/d", b"_pulse/raw-sensor-data-0", None, b"b/a/d"]
    entries = [Entry(0, i, 0, key, (), b"") for i, key in enumerate(keys)]
    assert [entry.key for entry in logfile.of_tenant(entries, "a", "_pulse")] == [b"a/d", b"_pulse/raw-sensor-data-0"]


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2026-11-24T12:00:00Z", 1_795_521_600_000),
        ("2026-11-24T12:00:00", 1_795_521_600_000),
        ("2026-11-24T13:00:00.5+01:00", 1_795_521_600_500),
        ("1795521600000", 1_795_521_600_000),
        ("-15m", 100_000),
        ("-1h", -2_600_000),
        ("now", 1_000_000),
    ],
)
def test_moments(text, ms):
    assert moment(text, now_ms=1_000_000) == ms


@pytest.mark.parametrize("text", ["", "yesterday", "-15", "-m", "12", "2026-13-01"])
def test_what_is_no_moment_is_refused(text):
    with pytest.raises(BadRequest, match="expected a time"):
        moment(text)


def test_a_moment_is_shown_in_utc():
    assert shown(1_795_521_600_999) == "2026-11-24T12:00:00Z"
