import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.doors.limits import name_allowed
from headwater import registry
from headwater.model.errors import BadRequest


@pytest.mark.parametrize("name", ["a", "Pump 7", "Straße", "x" * 128, "a_b", "温度"])
def test_names_that_can_travel_are_taken(name):
    assert registry.check_name(name, "device") == name


@pytest.mark.parametrize("name", ["", "x" * 129, "_pulse", "a/b", "a+", "#", "a\n", "\x7f", "\ud800"])
def test_names_that_cannot_travel_are_refused_with_the_field(name):
    with pytest.raises(BadRequest) as refused:
        registry.check_name(name, "device")
    assert refused.value.field == "device"


@given(st.text(max_size=140))
def test_doors_and_registry_agree_on_every_name(name):
    try:
        registry.check_name(name, "device")
        taken = True
    except BadRequest:
        taken = False
    assert taken == name_allowed(name)


def test_tokens_are_long_and_never_the_same():
    tokens = {registry.new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(len(token) >= 43 for token in tokens)


def test_a_token_is_stored_as_its_sha_256():
    assert registry.token_sha256("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
