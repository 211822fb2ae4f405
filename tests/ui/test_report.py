"""The sweep's page in a browser: on a desk, in the dark, on a phone, with the keyboard alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from browser import Browser

WIDE = "document.documentElement.scrollWidth <= window.innerWidth"


@pytest.fixture(scope="module")
def page(runs: Path) -> str:
    path = runs / "example" / "report.html"
    assert path.is_file(), "the sweep wrote its report"
    return path.as_uri()


def test_on_a_desk(browser: Browser, page: str, pictures: Path):
    browser.open(page, 1280, 1500)
    browser.shows("Whole image", "DS³ without difficulty maps", "Difference from DS³, student", "Test examples")
    assert browser.run(WIDE)
    assert browser.run("performance.getEntriesByType('resource').filter(e => e.name.startsWith('http')).length") == 0
    assert browser.run("document.querySelectorAll('.chart svg').length") == 3
    browser.picture(pictures / "sweep-report.png")


@pytest.mark.parametrize("width", [1024, 1280, 1920])
def test_no_table_hides_a_column_on_a_desk(browser: Browser, page: str, width: int):
    browser.open(page, width, 900)
    browser.shows("Whole image")
    hidden = "[...document.querySelectorAll('.tables .scroll')].filter(box => box.scrollWidth > box.clientWidth)"
    assert browser.run(f"{hidden}.length") == 0


def test_in_the_dark(browser: Browser, page: str):
    """Text of tables and drawings stands out from the ground; a drawing keeps no white ground of its own."""
    browser.open(page, 1280, 900, dark=True)
    browser.shows("Whole image")
    light = "(c) => c.match(/[0-9.]+/g).slice(0, 3).reduce((sum, v) => sum + Number(v), 0) / 765"
    ground, text, drawn = (
        browser.run(f"({light})(getComputedStyle(document.querySelector('{where}')).{what})")
        for where, what in (("body", "backgroundColor"), ("td", "color"), (".drawing svg text", "fill"))
    )
    assert ground < 0.2
    assert text > 0.7
    assert drawn > 0.7


def test_on_a_phone(browser: Browser, page: str, pictures: Path):
    browser.open(page, 390, 844)
    browser.shows("Whole image")
    assert browser.run("window.innerWidth") == 390
    assert browser.run(WIDE)


def test_with_the_keyboard(browser: Browser, page: str, runs: Path):
    """A heading is a button: Enter sorts up, once more down, and the column says so."""
    browser.open(page, 1280, 900)
    browser.until("document.readyState === 'complete'")  # the script is the page's end
    head = "document.querySelectorAll('#patients th')[2]"
    column = "[...document.querySelectorAll('#patients tbody tr')].map(row => Number(row.cells[2].dataset.value))"
    browser.run(f"{head}.querySelector('button').focus()")
    browser.key("Enter")
    assert browser.run(f"{head}.getAttribute('aria-sort')") == "ascending"
    values = browser.run(column)
    assert values == sorted(values)
    browser.key("Enter")
    assert browser.run(f"{head}.getAttribute('aria-sort')") == "descending"
    assert browser.run(column) == values[::-1] or browser.run(column) == sorted(values, reverse=True)
    browser.key("Tab")
    assert browser.run(f"{head}.nextElementSibling.contains(document.activeElement)")
    links = browser.run("[...document.querySelectorAll('#runs a')].map(a => a.getAttribute('href'))")
    children = json.loads((runs / "example" / "sweep.json").read_text())["children"]
    assert [link for link in links if link.endswith("report.html")] == [
        f"children/{child['id']}/report.html" for child in children
    ]
    assert sum("/#/runs/" in link for link in links) == len(children)
