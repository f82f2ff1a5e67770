"""From the device to the browser: the real page, on the real stack."""

from __future__ import annotations

import os
import re
import signal

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.visiting import DEVICES, Stack, Visit

SECOND = 1_000
PATIENT = 60 * SECOND
"""How long a wait may take on a busy machine; what is waited for comes within a second on an idle one."""


def text_changes(page: Page, selector: str) -> None:
    """Waits until a text of those that `selector` finds has changed twice: once may be the first value."""
    page.wait_for_function("s => document.querySelector(s)?.textContent.trim()", arg=selector, timeout=PATIENT)
    page.evaluate(
        """selector => {
            window.changes = 0;
            const watch = new MutationObserver(() => { window.changes += 1; });
            for (const node of document.querySelectorAll(selector))
                watch.observe(node, { childList: true, characterData: true, subtree: true });
        }""",
        selector,
    )
    page.wait_for_function("() => window.changes >= 2", timeout=PATIENT)


def paints(page: Page, selector: str) -> None:
    """Waits until the pixels of a canvas are other than they were."""
    page.wait_for_function(
        """selector => {
            const canvas = document.querySelector(selector);
            if (!canvas?.width) return false;
            const now = canvas.toDataURL();
            const changed = window.seen !== undefined && window.seen !== now;
            window.seen = now;
            return changed;
        }""",
        arg=selector,
        timeout=PATIENT,
        polling=1_500,
    )


def test_this_machine_is_first_on_the_page_and_its_values_move(desktop: Visit) -> None:
    page = desktop.open()
    row = page.locator("[data-device]").first
    expect(row).to_have_attribute("data-device", "this-machine", timeout=PATIENT)
    expect(row).to_contain_text("This machine")
    # Any of its values: one of them, of a machine that is wholly busy, says 100 % again and again.
    text_changes(page, "[data-device='this-machine'] [data-metric] .now")
    paints(page, "[data-device='this-machine'] [data-metric='cpu_percent'] canvas")


def test_the_fleet_is_all_there_and_can_be_searched_and_filtered(desktop: Visit, stack: Stack) -> None:
    page = desktop.open()
    rows = page.locator("[data-device]")
    expect(rows.first).to_be_visible(timeout=PATIENT)
    expect(page.locator(".page-head")).to_contain_text("devices")
    page.get_by_label("Search devices, kinds and metrics").fill("sim-0003")
    expect(rows).to_have_count(1)
    page.get_by_label("Search devices, kinds and metrics").fill("")
    page.get_by_role("button", name="weather").click()
    expect(rows.first).to_contain_text("weather")
    assert "this-machine" not in rows.first.inner_text()
    if "HEADWATER_TEST_STACK" not in os.environ:
        expect(page.get_by_role("button", name=f"All {DEVICES + 1}")).to_be_visible()


def test_the_key_leaves_the_address_and_a_reload_still_has_it(desktop: Visit) -> None:
    page = desktop.open("/devices/this-machine")
    expect(page.locator("[data-line='live']")).to_be_visible(timeout=PATIENT)
    assert "key" not in page.url
    page.reload()
    expect(page.locator("[data-line='live']")).to_be_visible(timeout=PATIENT)


def test_a_device_draws_live_lines_from_a_deep_link(desktop: Visit) -> None:
    page = desktop.open("/devices/this-machine")
    expect(page.get_by_role("heading", name="this-machine")).to_be_visible(timeout=PATIENT)
    text_changes(page, "[data-live]")
    paints(page, "[data-metric='cpu_percent'] canvas")
    expect(page.locator("[data-fact='skew']")).to_be_visible()


@pytest.mark.parametrize("label", ["15 min", "1 h", "6 h", "24 h", "7 d", "30 d"])
def test_a_device_shows_its_history(desktop: Visit, label: str) -> None:
    page = desktop.open("/devices/this-machine")
    card = page.locator("article[data-metric='cpu_percent']")
    expect(card).to_be_visible(timeout=PATIENT)
    with page.expect_response(lambda r: "/series" in r.url and "cpu_percent" in r.url, timeout=PATIENT) as answer:
        page.get_by_role("button", name=label, exact=True).click()
    assert answer.value.ok, answer.value.text()
    expect(page.get_by_role("button", name=label, exact=True)).to_have_attribute("aria-pressed", "true")
    expect(card.locator(".failed")).to_have_count(0)


def test_the_readout_follows_the_cursor_and_the_arrow_keys(desktop: Visit) -> None:
    page = desktop.open("/devices/this-machine")
    card = page.locator("article[data-metric='cpu_percent']")
    expect(card.locator(".readout")).to_contain_text("mean", timeout=PATIENT)
    card.locator(".chart").focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(card.locator(".readout")).to_contain_text(re.compile(r"\d\d:\d\d:\d\d"), timeout=PATIENT)


@pytest.mark.parametrize("path", ["/", "/nowhere"])
def test_the_bar_says_how_the_line_does(desktop: Visit, path: str) -> None:
    page = desktop.open(path)
    expect(page.locator("[data-line='live']")).to_be_visible(timeout=PATIENT)
    delay = page.locator("[data-stat='Delay'] .value")
    expect(delay).to_contain_text(re.compile(r"\d+ ?m?s"), timeout=PATIENT)
    page.locator("[data-stat='Dead letters']").click()
    expect(page.get_by_role("dialog", name="Dead letters")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Dead letters")).to_be_hidden()


def test_a_wrong_key_is_refused_and_the_right_one_opens(desktop: Visit) -> None:
    page = desktop.open("/", key="wrong")
    expect(page.locator("[data-state='refused']")).to_be_visible(timeout=PATIENT)
    page.get_by_label("Access key").fill(desktop.key)
    page.get_by_role("button", name="Open").click()
    expect(page.locator("[data-device='this-machine']")).to_be_visible(timeout=PATIENT)


def test_no_key_asks_for_one(desktop: Visit) -> None:
    desktop.page.goto(desktop.origin)
    expect(desktop.page.get_by_label("Access key")).to_be_visible(timeout=PATIENT)


def test_a_device_that_nobody_knows_is_said_to_be_unknown(desktop: Visit) -> None:
    page = desktop.open("/devices/nobody-knows-me")
    expect(page.locator("[data-state='unknown']")).to_contain_text("headwater devices add", timeout=PATIENT)


def test_a_killed_api_is_said_and_survived_without_a_reload(desktop: Visit, stack: Stack) -> None:
    page = desktop.open()
    expect(page.locator("[data-line='live']")).to_be_visible(timeout=PATIENT)
    text_changes(page, "[data-device='this-machine'] [data-metric] .now")
    # The banner stands until the API is back, which may be sooner than a busy test looks.
    page.evaluate(
        """() => {
            window.stillHere = true;
            window.said = "";
            const watch = new MutationObserver(() => {
                window.said += document.querySelector("[data-banner='disconnected']")?.textContent ?? "";
            });
            watch.observe(document.body, { childList: true, characterData: true, subtree: true });
        }"""
    )
    os.kill(stack.pid("api"), signal.SIGKILL)
    page.wait_for_function("() => window.said.includes('What you see is from')", timeout=PATIENT)
    expect(page.locator("[data-line='live']")).to_be_visible(timeout=3 * PATIENT)
    text_changes(page, "[data-device='this-machine'] [data-metric] .now")
    assert page.evaluate("() => window.stillHere"), "the page was loaded anew"


@pytest.mark.parametrize("path", ["/", "/devices/this-machine"])
def test_a_phone_needs_no_horizontal_scroll(phone: Visit, path: str) -> None:
    page = phone.open(path)
    expect(page.locator("[data-line='live']")).to_be_visible(timeout=PATIENT)
    expect(page.locator("[data-metric='cpu_percent']").first).to_be_visible(timeout=PATIENT)
    wide = page.evaluate("() => [document.documentElement.scrollWidth, window.innerWidth]")
    assert wide[0] <= wide[1]


@pytest.mark.parametrize("path", ["/", "/devices/this-machine"])
def test_the_page_complains_of_nothing_and_asks_nobody_else(desktop: Visit, path: str) -> None:
    page = desktop.open(path)
    expect(page.locator("[data-line='live']")).to_be_visible(timeout=PATIENT)
    text_changes(page, "[data-metric] .now, [data-live]")
    assert desktop.complaints == []
    assert desktop.foreign == []


def test_a_device_says_whether_it_is_connected_and_what_has_happened_to_it(desktop: Visit) -> None:
    page = desktop.open()
    expect(page.locator("[data-device='this-machine'] .plug")).to_contain_text("connected since", timeout=PATIENT)
    page = desktop.open("/devices/this-machine")
    expect(page.locator("[data-fact='connection']")).to_contain_text("connected since", timeout=PATIENT)
    for kind in ("provisioned", "first-seen", "connected"):
        expect(page.locator(f".events li[data-kind='{kind}']").first).to_be_visible(timeout=PATIENT)
    assert not desktop.complaints
