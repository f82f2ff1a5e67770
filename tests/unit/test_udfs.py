"""The functions of SQL as plain functions: what they give, and that what fails gives null and is told of."""

import json
import math
import re
import sys
import time
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from udfs.anomaly import anomaly_score
from udfs.geo import geo_distance
from udfs.humidity import dew_point
from udfs.letters import Letters, letters_of, parameters
from udfs.quality import quality
from udfs.registry import Function, functions, guarded
from udfs.results import WrongResult, as_declared
from udfs.units import DIMENSIONS, convert_unit

UNITS = [(dimension, unit) for dimension, units in DIMENSIONS.items() for unit in units]
BAD = st.one_of(
    st.none(), st.floats(), st.integers(), st.text(max_size=8), st.decimals(), st.booleans(), st.just(["list"])
)


@pytest.mark.parametrize(
    ("value", "unit", "wanted", "expected"),
    [
        (100, "celsius", "fahrenheit", 212),
        (32, "fahrenheit", "celsius", 0),
        (0, "kelvin", "celsius", -273.15),
        (-40, "fahrenheit", "celsius", -40),
        (1, "bar", "psi", 14.503773773),
        (1013.25, "hpa", "kpa", 101.325),
        (36, "m3_per_h", "l_per_min", 600),
        (1, "kilowatt_hour", "joule", 3.6e6),
        (90, "km_per_h", "m_per_s", 25),
        (1, "mile", "foot", 5280),
    ],
)
def test_a_value_is_converted(value, unit, wanted, expected):
    assert convert_unit(value, unit, wanted) == pytest.approx(expected)


@pytest.mark.parametrize(("dimension", "unit"), UNITS)
def test_a_conversion_and_back_is_the_same_value_for_every_pair_of_a_dimension(dimension, unit):
    for wanted in DIMENSIONS[dimension]:
        assert convert_unit(convert_unit(36.6, unit, wanted), wanted, unit) == pytest.approx(36.6)


def test_no_unit_belongs_to_two_dimensions():
    names = [unit for _, unit in UNITS]
    assert len(names) == len(set(names))


def test_what_cannot_be_converted_is_none():
    assert convert_unit(1.0, "rankine", "celsius") is None
    assert convert_unit(1.0, "bar", "celsius") is None


@pytest.mark.parametrize(
    ("temperature", "humidity", "expected"), [(20, 100, 20), (20, 50, 9.26), (30, 70, 23.93), (0, 60, -6.8)]
)
def test_the_dew_point_is_that_of_the_tables(temperature, humidity, expected):
    assert dew_point(temperature, humidity) == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize(("temperature", "humidity"), [(20, 0), (20, 101), (-46, 50), (61, 50)])
def test_there_is_no_dew_point_outside_of_what_the_formula_holds_for(temperature, humidity):
    assert dew_point(temperature, humidity) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, "good"), (100, "good"), (100.5, "uncertain"), (-0.5, "uncertain"), (100.6, "bad"), (-3, "bad")],
)
def test_quality_is_by_range_and_sensitivity(value, expected):
    assert quality(value, 0, 100, 0.5) == expected


def test_a_range_that_is_none_has_no_quality():
    assert quality(1, 2, 1, 0) is None
    assert quality(1, 0, 2, -1) is None


def test_distances_are_those_of_a_sphere():
    assert geo_distance(52.5200, 13.4050, 48.8566, 2.3522) == pytest.approx(877_500, rel=1e-3)  # Berlin to Paris
    assert geo_distance(0, 179.5, 0, -179.5) == pytest.approx(111_195, rel=1e-3)  # across the date line
    assert geo_distance(10, 20, 10, 20) == 0
    assert geo_distance(90, 0, -90, 0) == pytest.approx(math.pi * 6_371_008.8)
    assert geo_distance(91, 0, 0, 0) is None


def test_a_pane_is_as_unusual_as_its_mean_is_far_from_the_readings_before():
    before = [10.0, 12.0] * 50
    sums = (len(before), sum(before), sum(one * one for one in before))
    assert anomaly_score(11.0, *sums) == 0
    assert anomaly_score(14.0, *sums) == pytest.approx(3 / math.sqrt(100 / 99))
    assert anomaly_score(8.0, *sums) == -anomaly_score(14.0, *sums)


def test_nothing_is_unusual_where_nothing_says_what_is_usual():
    assert anomaly_score(1.0, 29, 29.0, 30.0) is None
    assert anomaly_score(2.0, 100, 0.1 * 100, 0.01 * 100) is None  # all alike, but for the last digits


@pytest.mark.parametrize("name", functions())
@given(data=st.data())
def test_bad_input_gives_null_and_never_raises(name, data):
    one = functions()[name]
    arguments = [data.draw(BAD) for _ in one.arguments]
    run = guarded(one, unheard)
    found = run(*arguments)
    assert found is None or isinstance(
        found, {"double": float, "string": str, "boolean": bool, "bigint": int}[one.result]
    )
    assert not isinstance(found, float) or math.isfinite(found)
    assert run(None, *arguments[1:]) is None
    assert run(math.nan, *arguments[1:]) is None


def test_decimals_of_sql_are_numbers():
    run = guarded(functions()["convert_unit"], unheard)
    assert run(Decimal("100"), "celsius", "fahrenheit") == pytest.approx(212)


def unheard(function, error, arguments):
    """For a test that does not ask what is told."""


@pytest.mark.parametrize(
    ("result", "value", "expected"),
    [
        ("double", 3, 3.0),
        ("double", 2.5, 2.5),
        ("double", Decimal("2.5"), 2.5),
        ("bigint", 7, 7),
        ("bigint", 7.0, 7),
        ("bigint", Decimal(7), 7),
        ("bigint", -(2**63), -(2**63)),
        ("string", "20 °C", "20 °C"),
        ("boolean", False, False),
        *((result, None, None) for result in ("double", "bigint", "string", "boolean")),
    ],
)
def test_what_fits_its_type_is_given_as_that_type(result, value, expected):
    found = as_declared(result, value)
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("result", "value", "why"),
    [
        ("double", "x", "expected a double, got str 'x'"),
        ("double", True, "expected a double, got bool True"),
        ("double", [1.0], "got list"),
        ("double", 10**400, "too large"),
        ("bigint", 7.5, "it is not whole"),
        ("bigint", 2**63, "beyond 64 bits"),
        ("bigint", True, "got bool"),
        ("bigint", "7", "got str"),
        ("string", 7, "expected a string, got int 7"),
        ("string", b"x", "got bytes"),
        ("string", "\ud800", "half of a character"),
        ("boolean", 1, "expected a boolean, got int 1"),
        ("boolean", "true", "got str"),
    ],
)
def test_what_does_not_fit_its_type_is_told_and_null(result, value, why):
    with pytest.raises(WrongResult, match=re.escape(why)):
        as_declared(result, value)
    told = []
    assert guarded(Function("made", lambda _: value, result), lambda *one: told.append(one))(1.0) is None
    [(name, error, arguments)] = told
    assert (name, type(error), arguments) == ("made", WrongResult, (1.0,))


def exits(value):
    sys.exit(f"at {value}")


def divides(value):
    return 1 / value


@pytest.mark.parametrize(("call", "kind"), [(divides, ZeroDivisionError), (exits, SystemExit)])
def test_what_a_function_raises_is_told_and_null_and_a_missing_argument_is_no_failure(call, kind):
    told = []
    run = guarded(Function(call.__name__, call, "double"), lambda *one: told.append(one))
    assert [run(0.0), run(None), run(math.inf)] == [None, None, None]
    [(name, error, arguments)] = told
    assert (name, type(error), arguments) == (call.__name__, kind, (0.0,))


def test_failures_are_told_at_most_once_a_second_and_each_is_counted(caplog):
    letters, failures, began = Letters("", "nowhere", "metric:m"), 0, time.monotonic()

    def told(name: str) -> list[str]:
        return [said for one in caplog.records if f": {name}(" in (said := one.getMessage())]

    while min(len(told("divides")), len(told("exits"))) < 3:
        assert time.monotonic() - began < 60
        for name in ("divides", "exits"):
            letters.failed(name, ValueError("no\nsuch thing"), [failures, "x" * 1_000])
        failures += 1
    letters.settle(60)
    seconds = time.monotonic() - began
    for name in ("divides", "exits"):
        said = told(name)
        counts = [int(found[1]) if (found := re.search(r"; (\d+) failures", one)) else 1 for one in said]
        assert sum(counts) == failures
        assert len(said) <= seconds + 2
        assert said[0].startswith(f"metric:m: {name}(0, 'xxx")
        assert "gave null: ValueError: no such thing" in said[0]
        assert all(len(one) < 300 for one in said)
    assert not letters.running


def test_letters_of_a_job_are_found_by_its_parameters_and_else_by_the_environment(monkeypatch):
    given = parameters("a:1,b:2", "metric:m", "again-")
    assert letters_of(json.loads(given)) is letters_of(json.loads(given))
    assert letters_of(json.loads(given)).to == ("a:1,b:2", "again-dead-letter")
    monkeypatch.setenv("HEADWATER_KAFKA", "c:3")
    assert letters_of({}).to == ("c:3", "dead-letter")


def test_every_function_says_what_it_is_for():
    assert set(functions()) >= {"anomaly_score", "convert_unit", "dew_point", "geo_distance", "quality"}
    assert all(one.says for one in functions().values())
