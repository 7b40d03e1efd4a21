"""The page in a real browser: by mouse and by keyboard, light and dark, wide and small."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.inspector.conftest import TOKEN

expect.set_options(timeout=20_000)


@pytest.fixture(params=["light", "dark", "small"])
def page(browser: Browser, server: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The inspector, open; anything in the browser's console fails the test."""
    small = request.param == "small"
    context = browser.new_context(
        viewport={"width": 380, "height": 760} if small else {"width": 1280, "height": 800},
        color_scheme="dark" if request.param == "dark" else "light",
    )
    page = context.new_page()
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(f"{server}/_sqlawait/?token={TOKEN}")
    expect(page.locator("#live")).to_have_text("live")
    yield page
    context.close()
    assert problems == []


def call(server: str, path: str) -> None:
    with urlopen(server + path) as answer:
        assert answer.status == 200


def test_a_request_appears_and_opens(page: Page, server: str) -> None:
    """Without a reload: a click shows its statements, one more click a statement's SQL, line and plan."""
    expect(page.get_by_text("No requests yet")).to_be_visible()
    call(server, "/mistakes/n-plus-one")
    row = page.get_by_role("option", name="/mistakes/n-plus-one")
    expect(row).to_contain_text("200")
    expect(row).to_contain_text("statements")
    row.click()
    expect(page.locator(".statement", has_text="FROM authors")).to_have_count(12)
    page.locator(".statement", has_text="FROM books").click()
    expect(page.locator(".more pre").first).to_contain_text("FROM books")
    expect(page.locator(".more")).to_contain_text("mistakes.py")
    page.get_by_role("button", name="Explain").click()
    expect(page.locator(".more pre").last).to_contain_text("SCAN books")


def test_an_n_plus_one_group_appears(page: Page, server: str) -> None:
    """The badge counts it, and its tab has the code to paste."""
    call(server, "/mistakes/n-plus-one-lazy")
    tab = page.get_by_role("tab", name=re.compile(r"N\+1"))
    expect(tab).to_contain_text("1")
    tab.click()
    panel = page.locator("#panel-groups")
    expect(panel).to_contain_text("12 executions")
    expect(panel.locator(".fix code")).to_have_text(".options(selectinload(Author.books))")


def test_by_keyboard_alone(page: Page, server: str) -> None:
    """Tabs by arrow keys, requests by arrow keys, Enter opens, Escape closes and comes back."""
    call(server, "/health")
    call(server, "/mistakes")
    options = page.get_by_role("option")
    expect(options).to_have_count(2)
    page.locator("#tab-requests").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#tab-groups")).to_be_focused()
    expect(page.locator("#panel-groups")).to_be_visible()
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#panel-requests")).to_be_visible()
    for _ in range(3):  # the filter, its button, the first request
        page.keyboard.press("Tab")
    expect(options.first).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(options.nth(1)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".detail h2")).to_contain_text("/health")
    page.keyboard.press("Escape")
    expect(page.locator(".detail h2")).to_have_count(0)
    expect(options.nth(1)).to_be_focused()


def test_every_tab_shows_what_it_knows(page: Page, server: str) -> None:
    """Slowest statements, the loop with the lines that blocked it, the pool and its holders, the findings."""
    for _ in range(5):  # on a busy machine the watch reports only what it could see for sure
        call(server, "/mistakes/blocking-call")
    call(server, "/mistakes/leaked-connection")
    shown = {
        "statements": "SELECT",
        "loop": "mistakes.py",
        "pools": "GET /mistakes/leaked-connection",
        "findings": "still out at the end",
    }
    for tab, text in shown.items():
        page.click(f"#tab-{tab}")
        expect(page.locator(f"#panel-{tab}")).to_contain_text(text)
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{tab} is wider than the window"


def test_the_theme_follows_the_system_and_can_be_changed(page: Page) -> None:
    """The choice is kept over a reload."""
    theme = "document.documentElement.dataset.theme"
    system = "dark" if page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") else "light"
    assert page.evaluate(theme) == system
    page.get_by_role("button", name="Light or dark").click()
    other = page.evaluate(theme)
    assert other != system
    page.reload()
    expect(page.locator("#live")).to_have_text("live")
    assert page.evaluate(theme) == other


def test_the_filter(page: Page, server: str) -> None:
    """By route, method or status, and by whether anything was found."""
    call(server, "/health")
    call(server, "/mistakes/n-plus-one")
    expect(page.get_by_role("option")).to_have_count(2)
    page.get_by_label("Filter requests").fill("health")
    expect(page.get_by_role("option")).to_have_count(1)
    page.get_by_label("Filter requests").fill("")
    page.get_by_role("button", name="Findings only").click()
    expect(page.get_by_role("option")).to_contain_text("n-plus-one")
    page.get_by_label("Filter requests").fill("nothing like it")
    expect(page.get_by_text("Nothing matches")).to_be_visible()
