"""From a rule to the page: alerts are shown, told, acknowledged and cleared while somebody looks on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.visiting import Stack, Visit

PATIENT = 120_000
"""Wide: the alerting job may only be starting, on a busy machine. An alert is on the page within a second or two."""
MACHINE = "this-machine"
ALWAYS = """
rules:
  - rule: {rule}
    text: Nothing to be done, the test says so.
    severity: {severity}
    scope: {{device: this-machine}}
    when: {{kind: threshold, metric: cpu_percent, above: 0.5, clear: -5}}
"""


@contextmanager
def broken(stack: Stack, folder: Path, rule: str, severity: str) -> Iterator[None]:
    """A rule that this machine breaks at once, and that nothing but its deletion, at the end, clears."""
    file = folder / f"{rule}.yml"
    file.write_text(ALWAYS.format(rule=rule, severity=severity))
    stack.call("rules", "apply", str(file))
    try:
        yield
    finally:
        stack.call("rules", "delete", rule)


@pytest.fixture(scope="module")
def lasting(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A rule whose alert stays active."""
    with broken(stack, tmp_path_factory.mktemp("rules"), "page-lasting", "major"):
        yield "page-lasting"


def row_of(page: Page, rule: str) -> Locator:
    """The alerts of a rule, on whichever page."""
    return page.locator(f".alert-rows > li:has(button:text-is('{rule}'))")


def test_an_alert_comes_and_goes_while_the_page_is_open(desktop: Visit, stack: Stack, tmp_path: Path) -> None:
    page = desktop.open("/alerts")
    expect(page.locator("[data-state='alerts']")).to_be_visible(timeout=PATIENT)
    page.evaluate("() => { window.stillHere = true; }")
    row = row_of(page, "page-passing")
    with broken(stack, tmp_path, "page-passing", "critical"):
        expect(row).to_have_attribute("data-condition", "active", timeout=PATIENT)
        expect(row).to_contain_text("Critical")
        expect(row).to_contain_text(re.compile(r"cpu_percent\s+[\d.]+ %, above 0\.5 %"))
        expect(row.get_by_role("link", name=MACHINE)).to_be_visible()
        badge = page.locator("nav [data-active]")
        expect(badge).to_have_attribute("data-severity", "critical")
        expect(badge).to_contain_text(re.compile(r"[1-9]\d* critical"))
    expect(row).to_have_count(0, timeout=PATIENT)
    page.get_by_role("button", name="Cleared", exact=True).click()
    expect(row.first).to_contain_text("the rule was deleted", timeout=PATIENT)
    assert "condition=cleared" in page.url
    assert page.evaluate("() => window.stillHere"), "the page was loaded anew"
    assert desktop.complaints == []


def test_an_alert_tells_its_story_and_is_acknowledged_and_taken_back(desktop: Visit, lasting: str) -> None:
    page = desktop.open(f"/alerts?rule={lasting}")
    row = row_of(page, lasting)
    expect(row).to_be_visible(timeout=PATIENT)
    row.get_by_role("button", name=lasting).click()
    expect(row.locator(".story [data-happened='raised']")).to_contain_text("above 0.5 %", timeout=PATIENT)
    expect(row).to_contain_text("Nothing to be done")
    row.get_by_label("Your name").fill("shift-2")
    row.get_by_label("Comment").fill("we know")
    row.get_by_role("button", name="Acknowledge").click()
    expect(row.locator(".acknowledged")).to_contain_text("Acknowledged by shift-2", timeout=PATIENT)
    expect(row.locator(".seen")).to_contain_text("we know")
    page.reload()
    expect(row.locator(".acknowledged")).to_contain_text("we know", timeout=PATIENT)
    row.get_by_role("button", name="Take back").click()
    expect(row.get_by_label("Your name")).to_have_value("shift-2", timeout=PATIENT)
    expect(row.locator(".seen")).to_contain_text("not acknowledged")


def test_filters_are_in_the_address_and_an_address_is_a_filter(desktop: Visit, lasting: str) -> None:
    page = desktop.open("/alerts")
    row = row_of(page, lasting)
    expect(row).to_be_visible(timeout=PATIENT)
    page.get_by_label("Severity", exact=True).select_option("critical")
    expect(row).to_have_count(0)
    page.get_by_label("Severity", exact=True).select_option("major")
    expect(row).to_be_visible()
    page.get_by_label("Device", exact=True).fill(MACHINE)
    page.wait_for_url(re.compile(r"at_least=major.*device=this-machine"))
    page.reload()
    expect(row).to_be_visible(timeout=PATIENT)
    expect(page.get_by_label("Device", exact=True)).to_have_value(MACHINE)
    page.get_by_label("Site", exact=True).select_option("office")
    page.get_by_label("Model", exact=True).select_option("machine")
    page.get_by_label("Tag", exact=True).select_option("computer")
    page.wait_for_url(re.compile("site=office&model=machine&tag=computer"))
    expect(row).to_be_visible(timeout=PATIENT)
    page.get_by_label("Site", exact=True).select_option("north")
    expect(page.locator("[data-state='no-match']")).to_be_visible(timeout=PATIENT)
    page.get_by_label("Site", exact=True).select_option("")
    expect(row).to_be_visible(timeout=PATIENT)
    page.get_by_label("Acknowledged", exact=True).select_option("true")
    expect(page.locator("[data-state='no-match']")).to_be_visible(timeout=PATIENT)


def test_a_device_shows_its_alerts_and_where_its_rules_lie(desktop: Visit, lasting: str) -> None:
    page = desktop.open(f"/devices/{MACHINE}")
    card = page.locator("article[data-metric='cpu_percent']")
    expect(card).to_have_attribute("data-alert", "major", timeout=PATIENT)
    expect(card.locator(".limits [data-level='0.5']")).to_contain_text("Major above 0.5 %, clears at", timeout=PATIENT)
    row = row_of(page, lasting)
    expect(row).to_have_attribute("data-condition", "active", timeout=PATIENT)
    expect(page.locator("[data-fact='site']")).to_contain_text("office", timeout=PATIENT)
    expect(page.locator("[data-fact='tags']")).to_contain_text("computer")
    assert desktop.complaints == []


def test_a_chart_draws_a_level_among_its_values_and_tells_of_one_far_away(
    desktop: Visit, stack: Stack, tmp_path: Path
) -> None:
    page = desktop.open(f"/devices/{MACHINE}")
    now = page.locator("[data-live='memory_percent'] b")
    expect(now).to_have_text(re.compile(r"[\d.]+"), timeout=PATIENT)
    level = float(now.inner_text())
    file = tmp_path / "levels.yml"
    when = "kind: threshold, metric: memory_percent"
    file.write_text(
        "rules:\n"
        f"  - {{rule: page-near, severity: minor, when: {{{when}, above: {level}, hold_ms: 3600000}}}}\n"
        f"  - {{rule: page-far, severity: minor, when: {{{when}, above: 90000, hold_ms: 3600000}}}}\n"
    )
    stack.call("rules", "apply", str(file))
    try:
        limits = page.locator("article[data-metric='memory_percent'] .limits")
        expect(limits.locator(f"[data-level='{level:g}']")).to_have_attribute("data-shown", "true", timeout=PATIENT)
        expect(limits.locator("[data-level='90000']")).to_have_attribute("data-shown", "false", timeout=PATIENT)
        expect(limits.locator("[data-level='90000']")).to_contain_text("beyond the chart")
    finally:
        for rule in ("page-near", "page-far"):
            stack.call("rules", "delete", rule)


def test_the_fleet_shows_who_has_an_alert_and_is_filtered_and_grouped_by_site(desktop: Visit, lasting: str) -> None:
    page = desktop.open()
    expect(page.locator(f"[data-device='{MACHINE}']")).to_have_attribute(
        "data-alert", re.compile("major|critical"), timeout=PATIENT
    )
    page.get_by_label("Group", exact=True).select_option("site")
    expect(page.locator("[data-group='office']")).to_contain_text("1 device", timeout=PATIENT)
    page.get_by_label("Site", exact=True).select_option("north")
    expect(page.locator(f"[data-device='{MACHINE}']")).to_have_count(0)
    expect(page.locator("[data-group='north']")).to_be_visible()
    assert "site=north" in page.url
    assert "group=site" in page.url
    page.locator("[data-device]").first.click()
    page.get_by_role("link", name="Fleet", exact=True).first.click()
    expect(page.locator("[data-group='north']")).to_be_visible(timeout=PATIENT)
    page.reload()
    expect(page.locator("[data-group='north']")).to_be_visible(timeout=PATIENT)


@pytest.mark.parametrize(
    "path", ["/alerts", "/alerts?condition=any", f"/devices/{MACHINE}", "/?group=site&site=office"]
)
def test_a_phone_shows_alerts_without_a_horizontal_scroll(phone: Visit, lasting: str, path: str) -> None:
    page = phone.open(path)
    expect(page.locator("nav [data-active]")).to_be_visible(timeout=PATIENT)
    expect(page.locator("[data-alert]").first).to_be_visible(timeout=PATIENT)
    wide = page.evaluate("() => [document.documentElement.scrollWidth, window.innerWidth]")
    assert wide[0] <= wide[1]
