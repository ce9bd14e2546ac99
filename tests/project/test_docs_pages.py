"""The pages about the API in a real browser, under a strict Content-Security-Policy: nothing is blocked."""

import asyncio
import mimetypes
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.contrib.staticfiles import finders
from django.test import Client
from playwright.async_api import expect

from tests.clients.browser import PHONE, open_page

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
NOTE = """window.blocked = [];
document.addEventListener("securitypolicyviolation", (event) =>
  blocked.push(`${event.effectiveDirective} ${event.blockedURI}`));"""
SCHEMES: dict[Any, re.Pattern[str]] = {"dark": re.compile(r"rgb\(\d\d,"), "light": re.compile(r"rgb\(2\d\d,")}
SITE = "http://testserver"


def answer(url):
    """What the site answers. No server is needed: these pages are the same for everybody."""
    address = urlsplit(url)
    if address.path.startswith("/static/"):
        path = Path(finders.find(address.path.removeprefix("/static/")))
        return {"body": path.read_bytes(), "content_type": mimetypes.guess_type(path)[0]}
    reply = Client().get(f"{address.path}?{address.query}", headers={"accept": "text/html, */*;q=0.5"})
    headers = {"content-type": reply["Content-Type"], "content-security-policy": POLICY}
    return {"status": reply.status_code, "headers": headers, "body": reply.content}


async def serve(route):
    await route.fulfill(**await asyncio.to_thread(answer, route.request.url))


async def test_nothing_is_blocked_under_a_strict_policy(browser):
    async with open_page(browser) as page:
        await page.add_init_script(NOTE)
        await page.route("**/*", serve)
        await page.goto(f"{SITE}/api/docs/socket#frame-chat")
        await page.set_viewport_size(PHONE)
        assert await page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
        await page.click(".menu summary")
        await page.click(".menu a[href='#closes']")
        assert await page.evaluate("blocked") == []
        await page.goto(f"{SITE}/api/docs")
        await page.click(".opblock-summary-control >> nth=0")
        await page.click(".try-out__btn >> nth=0")
        await page.wait_for_selector(".execute")
        await page.click(".model-toggle >> nth=0")
        assert await page.evaluate("blocked") == []


async def test_the_pages_follow_the_scheme_of_the_browser(browser):
    async with open_page(browser) as page:
        await page.route("**/*", serve)
        for address in ("/api/docs", "/api/docs/socket"):
            await page.goto(SITE + address)
            for scheme, background in SCHEMES.items():
                await page.emulate_media(color_scheme=scheme)
                await expect(page.locator("body")).to_have_css("background-color", background)
