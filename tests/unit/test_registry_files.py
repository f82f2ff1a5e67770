"""Devices, sites and models as files: all of it or nothing, and out and in again without a change."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.model.device import Attributes, MetricOfModel
from headwater.model.errors import BadFields
from headwater.registry.entries import DEVICES, MODELS, SITES, Device, Model, Site
from headwater.registry.files import Format, read, write


def faults(text: str, form: Format = Format.CSV, tenant: str = "") -> dict[str, str]:
    with pytest.raises(BadFields) as refused:
        read(text, form, DEVICES, tenant)
    return {fault.field: fault.message for fault in refused.value.faults}


def test_a_file_of_earlier_releases_needs_no_heading():
    found = read("demo,a\n\ndemo, b ,boiler\n", Format.CSV, DEVICES)
    assert [(line.number, line.tenant, line.name, line.given) for line in found] == [
        (1, "demo", "a", {}),
        (3, "demo", "b", {"kind": "boiler"}),
    ]


def test_columns_come_in_any_order_and_a_blank_cell_takes_away():
    text = "device,tags,site,server.serial,shared.name,version\nd,x;y,,7,Pump 7,3\n"
    [line] = read("\ufeff" + text, Format.CSV, DEVICES, "demo")
    assert (line.tenant, line.name) == ("demo", "d")
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
        read("tenant,device,sit\ndemo,a,n\n", Format.CSV, DEVICES)


@pytest.mark.parametrize(
    ("text", "field"),
    [("{", "line 1"), ("\n[1]", "line 2"), ('{"device": "a", "tenat": "x"}', "line 1: tenant"), ('{"device": 7}', "")],
)
def test_a_wrong_line_of_ndjson_is_named(text, field):
    if field:
        assert field in faults(text, Format.NDJSON)
    else:
        assert read(text, Format.NDJSON, DEVICES, "demo")[0].name == "7"


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
    [line] = read("".join(write([device], form, DEVICES)), form, DEVICES)
    said = {name: getattr(device, name) for name in ("kind", "site", "model", "tags")}
    attributes = {scope: dict(getattr(device.attributes, scope)) for scope in ("server", "shared", "client")}
    given = {**line.given, "attributes": {**{scope: {} for scope in attributes}, **line.given.get("attributes", {})}}
    assert (line.tenant, line.name, given) == ("demo", device.device, {**said, "attributes": attributes})


numbers = st.none() | st.floats(0.5, 1e9)
metrics = st.builds(MetricOfModel, unit=words, scale=st.floats(0.5, 9), sensitivity=numbers, low=numbers, title=words)
models = st.builds(Model, st.just("demo"), names, title=words.map(str.strip), metrics=st.dictionaries(names, metrics))
sites = st.builds(
    Site,
    st.just("demo"),
    names,
    title=words.map(str.strip),
    zone=st.sampled_from(["UTC", "Europe/Berlin"]),
    place=words.map(str.strip),
)


@given(st.tuples(st.just(MODELS), models) | st.tuples(st.just(SITES), sites), st.sampled_from(Format))
def test_sites_and_models_that_go_out_come_in_unchanged(entry, form):
    kind, one = entry
    [line] = read("".join(write([one], form, kind)), form, kind)
    assert (line.tenant, line.name) == ("demo", getattr(one, kind.table))
    assert line.given == {name: getattr(one, name) for name in kind.checks}
