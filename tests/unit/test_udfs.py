import pytest

from udfs.units import TO_CELSIUS, temperature_in


@pytest.mark.parametrize(
    ("value", "unit", "wanted", "expected"),
    [
        (100.0, "celsius", "fahrenheit", 212.0),
        (32.0, "fahrenheit", "celsius", 0.0),
        (0.0, "kelvin", "celsius", -273.15),
    ],
)
def test_temperatures_are_converted(value, unit, wanted, expected):
    assert temperature_in(value, unit, wanted) == pytest.approx(expected)


@pytest.mark.parametrize("unit", TO_CELSIUS)
@pytest.mark.parametrize("wanted", TO_CELSIUS)
def test_a_conversion_and_back_is_the_same_temperature(unit, wanted):
    assert temperature_in(temperature_in(36.6, unit, wanted), wanted, unit) == pytest.approx(36.6)


@pytest.mark.parametrize(("value", "unit"), [(None, "celsius"), (1.0, "rankine"), (1.0, None)])
def test_what_cannot_be_converted_is_none_and_never_an_error(value, unit):
    assert temperature_in(value, unit, "celsius") is None
