"""Sites and models on the page: their readings together, live, and the way there and back."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.e2e.test_page import PATIENT, paints, text_changes
from tests.e2e.visiting import Visit

MACHINE = "this-machine"


def test_the_fleet_by_site_leads_to_the_readings_of_a_site_which_are_live(desktop: Visit) -> None:
    page = desktop.open("/?group=site")
    page.locator("[data-group='north']").get_by_role("link", name="north").click()
    page.wait_for_url(re.compile(r"/sites/north"))
    expect(page.locator("[data-state='fleet-of']")).to_be_visible(timeout=PATIENT)
    expect(page.locator("h1")).to_have_text("north")
    expect(page.locator("[data-fact='title']")).to_have_text("Plant north", timeout=PATIENT)
    page.reload()
    card = "article[data-metric='temperature_celsius']"
    text_changes(page, f"{card} [data-live]")
    paints(page, f"{card} canvas")
    page.get_by_role("button", name="24 h", exact=True).click()
    expect(page.locator(".failed")).to_have_count(0)
    members = page.locator(".members [data-device]")
    expect(members.first).to_have_text(re.compile("^sim-"), timeout=PATIENT)
    page.get_by_role("link", name="In the fleet").click()
    page.wait_for_url(re.compile(r"/\?site=north"))
    expect(page.locator(".device-row").first).to_be_visible(timeout=PATIENT)
    expect(page.locator(f"[data-device='{MACHINE}']")).to_have_count(0)
    expect(page.locator("[data-device^='_site']")).to_have_count(0)
    assert desktop.complaints == []


def test_a_device_leads_to_its_model_and_back(desktop: Visit) -> None:
    page = desktop.open(f"/devices/{MACHINE}")
    page.locator("[data-fact='model'] a").click(timeout=PATIENT)
    page.wait_for_url(re.compile(r"/models/machine"))
    text_changes(page, "[data-live]")
    page.locator(f".members [data-device='{MACHINE}']").click(timeout=PATIENT)
    expect(page.locator("[data-state='device']")).to_be_visible(timeout=PATIENT)


@pytest.mark.parametrize("by", ["site", "model"])
def test_a_site_or_model_that_there_is_not_says_so(desktop: Visit, by: str) -> None:
    page = desktop.open(f"/{by}s/no.where")
    expect(page.locator("[data-state='unknown'] h1")).to_have_text(f"No {by} is called no.where", timeout=PATIENT)


def test_a_phone_shows_a_site_without_a_horizontal_scroll(phone: Visit) -> None:
    page = phone.open("/sites/north")
    expect(page.locator("article[data-metric]").first).to_be_visible(timeout=PATIENT)
    expect(page.locator(".members [data-device]").first).to_be_visible(timeout=PATIENT)
    wide = page.evaluate("() => [document.documentElement.scrollWidth, window.innerWidth]")
    assert wide[0] <= wide[1]
