"""Devices as files: all of it or nothing, and out and in again without a change."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.model.device import Attributes
from headwater.model.errors import BadFields
from headwater.registry.entries import Device
from headwater.registry.files import Format, plain, read, write


def faults(text: str, form: Format = Format.CSV, tenant: str = "") -> dict[str, str]:
    with pytest.raises(BadFields) as refused:
        read(text, form, tenant)
    return {fault.field: fault.message for fault in refused.value.faults}


def test_a_file_of_earlier_releases_needs_no_heading():
    found = read("demo,a\n\ndemo, b ,boiler\n", Format.CSV)
    assert [(line.number, line.tenant, line.device, line.given) for line in found] == [
        (1, "demo", "a", {}),
        (3, "demo", "b", {"kind": "boiler"}),
    ]


def test_columns_come_in_any_order_and_a_blank_cell_takes_away():
    text = "device,tags,site,server.serial,shared.name,version\nd,x;y,,7,Pump 7,3\n"
    [line] = read("\ufeff" + text, Format.CSV, "demo")
    assert (line.tenant, line.device) == ("demo", "d")
    attributes = {"server": {"serial": 7}, "shared": {"name": "Pump 7"}}
    assert line.given == {"tags": ["x", "y"], "site": None, "attributes": attributes}


def test_every_wrong_line_is_named_with_its_field():
    found = faults("tenant,device,tags,site\ndemo,a,ok,\ndemo,_b,x#y,\nde/mo,c,,a/b\ndemo,a,,\ndemo,d,,,,\n")
    assert list(found) == [
        "line 3: device",
        "line 3: tags",
        "line 4: tenant",
        "line 4: site",
        "line 5: device",
        "line 6",
    ]
    assert "on line 2 too" in found["line 5: device"]


def test_unknown_columns_are_named_with_the_nearest_known():
    found = faults("tenant,device,sit,servr.serial,server.\ndemo,a,n,1,2\n")
    assert found["line 1"].startswith("expected a known field, got 'server.'")
    with pytest.raises(BadFields, match="'sit'; nearest: site"):
        read("tenant,device,sit\ndemo,a,n\n", Format.CSV)


@pytest.mark.parametrize(
    ("text", "field"),
    [("{", "line 1"), ("\n[1]", "line 2"), ('{"device": "a", "tenat": "x"}', "line 1: tenant"), ('{"device": 7}', "")],
)
def test_a_wrong_line_of_ndjson_is_named(text, field):
    if field:
        assert field in faults(text, Format.NDJSON)
    else:
        assert read(text, Format.NDJSON, "demo")[0].device == "7"


words = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=12)
scalars = words | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
names = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=8)
facts = st.dictionaries(names, scalars, max_size=3)


@given(
    st.builds(
        Device,
        st.just("demo"),
        names,
        kind=names,
        site=st.none() | names,
        model=st.none() | names,
        tags=st.lists(names, unique=True, max_size=3).map(sorted),
        attributes=st.builds(Attributes, server=facts, shared=facts, client=facts),
    ),
    st.sampled_from(Format),
)
def test_what_goes_out_comes_in_unchanged(device, form):
    [line] = read("".join(write([device], form)), form)
    said = plain(device)
    attributes = {scope: dict(getattr(device.attributes, scope)) for scope in ("server", "shared", "client")}
    given = {**line.given, "attributes": {**{scope: {} for scope in attributes}, **line.given.get("attributes", {})}}
    assert {"tenant": line.tenant, "device": line.device, **given} == {**said, "attributes": attributes}
