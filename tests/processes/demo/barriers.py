"""What keeps people from using a page: what axe finds in both schemes, and what is too wide, too large or moves."""

import os
from typing import Any

import pytest
from playwright.async_api import Page

from tests.clients.browser import DESK, PHONE
from tests.sites.processes import ROOT

AXE = ROOT / "client/node_modules/axe-core/axe.min.js"
WIDTHS = (320, 360, PHONE["width"], 700, DESK["width"])
# Another scheme changes nothing but colours.
LOOK = """async (rules) => {
    const report = await axe.run(rules.length ? { runOnly: rules } : {});
    return report.violations.filter(({ impact }) => ["serious", "critical"].includes(impact))
        .map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]);
}"""
FIRST_VIEW_BYTES = 100 * 1024
# All of them that there have been: how much, and what moved.
SHIFTS = """new Promise((resolve) => {
    const list = (entries) => entries.map(({ value, sources }) => [value, sources.map(({ node }) => node?.id)]);
    const observer = new PerformanceObserver((seen) => resolve(list(seen.getEntries())));
    observer.observe({ type: "layout-shift", buffered: true });
    setTimeout(() => resolve([]), 100);
})"""


def has_axe() -> bool:
    """Whether `make client` has installed it. CI has to have it."""
    if not AXE.exists() and os.environ.get("CI") == "true":
        pytest.fail(f"{AXE} is missing")
    return AXE.exists()


async def expect_no_barriers(page: Page) -> None:
    """Axe finds nothing serious in what the page shows now, and all contrasts are right in both schemes.

    Without axe nothing is looked at: `test_it_is_still_and_accessible` is skipped then, and says so.
    """
    if not has_axe():
        return
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(AXE.read_text())
    rules: list[str] = []
    scheme: Any
    for scheme in ("light", "dark"):
        # A colour that is still changing would be the wrong one.
        await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        assert await page.evaluate(LOOK, rules) == [], scheme
        rules = ["color-contrast"]


async def find_pale(page: Page, selector: str) -> list[str]:
    """The HTML of what is too pale or too dark to be read, within the first element with this selector.

    Skips the test without axe.
    """
    if not has_axe():
        pytest.skip(f"{AXE} is missing")
    await page.evaluate(AXE.read_text())
    found = await page.evaluate("(selector) => axe.run(selector, { runOnly: ['color-contrast'] })", selector)
    return [node["html"] for violation in found["violations"] for node in violation["nodes"]]


async def expect_to_fit(page: Page) -> None:
    """From phone to desk, nothing is wider than the page."""
    for width in WIDTHS:
        await page.set_viewport_size({"width": width, "height": 760})
        assert await page.evaluate("document.documentElement.scrollWidth") == width


async def expect_no_shifts(page: Page) -> None:
    """Nothing has moved since the page began, but by scrolling."""
    found = await page.evaluate(SHIFTS)
    assert found == [], found


async def expect_small(page: Page) -> dict[str, int]:
    """What the page has got is small. Returns the bytes of all answers, with their headers, by address."""
    sizes: dict[str, int] = await page.evaluate(
        "Object.fromEntries([...performance.getEntriesByType('navigation'),"
        " ...performance.getEntriesByType('resource')].map((entry) => [entry.name, entry.transferSize]))"
    )
    assert sum(sizes.values()) < FIRST_VIEW_BYTES, sizes
    return sizes
