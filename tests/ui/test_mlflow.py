"""A sweep in MLflow's interface, as a researcher sees it."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from gantk.tracking.folder import RunFolder
from gantk.tracking.names import child_name

if TYPE_CHECKING:
    from browser import Browser

METRICS = ("mse", "psnr", "ssim", "ssim_brain", "ssim_tumour")
#: The numbers on the line of a name, from left to right; those of other boxes precede the name in the document.
IN_LINE = """(name) => {
  const all = [...document.querySelectorAll('*')];
  const middle = (e) => { const box = e.getBoundingClientRect(); return box.y + box.height / 2; };
  const found = all.filter((e) => e.textContent.trim() === name).at(-1);
  return all
    .filter((e) => !e.childElementCount && /^[-0-9.e+]+$/.test(e.textContent.trim()))
    .filter((e) => e.getBoundingClientRect().x > found.getBoundingClientRect().x)
    .filter((e) => found.compareDocumentPosition(e) & Node.DOCUMENT_POSITION_FOLLOWING)
    .filter((e) => Math.abs(middle(e) - middle(found)) < 10)
    .sort((a, b) => a.getBoundingClientRect().x - b.getBoundingClientRect().x)
    .map((e) => e.textContent.trim());
}"""
SEARCH = "document.querySelector('input[placeholder=\"Search metric charts\"]')"


def id_of(folder: Path) -> str:
    return str(json.loads((folder / "tracking.json").read_text())["run_id"])


@pytest.fixture(scope="module")
def sweep(runs: Path) -> Path:
    return runs / "example"


@pytest.fixture(scope="module")
def children(sweep: Path) -> list[Path]:
    """The sweep's children, in the order of tables."""
    return [sweep / "children" / child["id"] for child in json.loads((sweep / "sweep.json").read_text())["children"]]


@pytest.fixture(scope="module")
def names(children: list[Path]) -> list[str]:
    """The children's names in MLflow, which are their changes."""
    found = [child_name(RunFolder(child)) for child in children]
    assert len(set(found)) == len(found)
    return found


@pytest.fixture(scope="module")
def experiment(server: str, browser: Browser, sweep: Path) -> str:
    """The experiment's address, found as a reader of the sweep's report finds it: by its link to the parent."""
    browser.open(f"{server}/#/runs/{id_of(sweep)}")
    address = browser.until("location.hash.includes('/experiments/') && location.href")
    close_assistant(browser)
    return str(address).partition("/runs/")[0]


def close_assistant(browser: Browser) -> None:
    """MLflow offers a chat that takes a third of the window."""
    browser.until(
        "document.querySelector('button[aria-label=\"Close\"]') || !document.body.innerText.includes('Ollama')"
    )
    browser.run("document.querySelectorAll('button[aria-label=\"Close\"]').forEach(button => button.click())")
    browser.until("!document.querySelector('button[aria-label=\"Close\"]')")


def expand(browser: Browser, child: str) -> None:
    """Show the parent's children, unless MLflow remembers that they are shown."""
    browser.until("document.querySelector('.ag-row button')")
    settled(browser)
    if child not in browser.text():
        browser.run("document.querySelector('.ag-row button').click()")


def settled(browser: Browser, pause: float = 2.0) -> None:
    """Charts are drawn without saying when they are done."""
    time.sleep(pause)


def test_the_parent_is_described_by_its_table(experiment, browser, sweep, names, tmp_path):
    browser.open(f"{experiment}/runs/{id_of(sweep)}", 1400, 760)
    browser.shows("DS³ with and without difficulty maps", "SSIM ↑", "DS³, teacher", "±", *names)
    more = "[...document.querySelectorAll('button, a, [role=button]')].find(e => e.innerText.trim() === 'Show more')"
    browser.run(f"{more}?.click()")
    assert browser.run("document.querySelectorAll('table td').length") > 20
    settled(browser)
    browser.picture(tmp_path / "mlflow-parent.png")  # it shows paths


def test_the_parent_shows_its_children(experiment, browser, names, pictures):
    browser.open(f"{experiment}/runs", 1280, 620)
    browser.shows("5 matching runs")
    assert names[0] not in browser.text()
    expand(browser, names[0])
    browser.shows(*names)
    settled(browser)
    browser.picture(pictures / "mlflow-sweep.png")


def test_metrics_stand_side_by_side(experiment, browser, children, names, pictures):
    """In the runs' charts, where the prefix of their names groups them, and in the compare view's table."""
    browser.open(f"{experiment}/runs?compareRunsMode=CHART", 1280, 1150)
    browser.until(f"{SEARCH} !== null")
    expand(browser, names[0])
    browser.shows(*names, "validation/student", "test/teacher", "train/student")
    sections = ("test", "test/teacher", "train/student", "train/teacher", "validation", "validation/student")
    places = [re.search(rf"^{name}\n\(\d+\)$", browser.text(), re.MULTILINE) for name in sections]
    starts = [found.start() for found in places if found]
    assert len(starts) == len(sections)
    assert starts == sorted(starts)
    browser.run(f"{SEARCH}.select()")
    browser.type("^test/[a-z_]+$")
    browser.shows(*(f"test/{metric}" for metric in METRICS))
    browser.until("!document.body.innerText.includes('train/student')")
    settled(browser, 4)
    # tools over a chart show where a mouse is; where there is none they show always
    browser.run("document.head.insertAdjacentHTML('beforeend', '<style>.modebar { display: none !important }</style>')")
    browser.picture(pictures / "mlflow-charts.png")

    ids = quote(json.dumps([id_of(child) for child in children]))
    number = experiment.rpartition("/")[2]
    base = experiment.partition("/#/")[0]
    browser.open(f"{base}/#/compare-runs?runs={ids}&experiments={quote(json.dumps([number]))}", 1280, 900)
    browser.shows("Comparing 4 Runs", *names, "baseline/input:t1/mse")
    browser.run(
        "[...document.querySelectorAll('h1, h2, h3, [role=button]')].find(e => e.innerText.trim() === 'Metrics')"
        ".scrollIntoView({ block: 'start' })"
    )
    settled(browser)
    # Not scrolled: MLflow 3.17 keeps names and values in boxes of their own, and a wheel over one leaves the other
    # where it is, so that values stand beside other metrics' names. For the same reason there is no picture of it.
    summaries = [json.loads((child / "evaluation" / "summary.json").read_text()) for child in children]
    for metric in ("psnr", "psnr_brain"):  # MLflow draws the rows in sight alone
        means = [summary["methods"]["input:t1"][metric]["mean"] for summary in summaries]
        shown = browser.run(f"({IN_LINE})('baseline/input:t1/{metric}')")
        assert [float(text) for text in shown] == pytest.approx(means, abs=6e-3)


def test_panels_are_there_by_step(experiment, browser, children, names, pictures):
    steps = sorted(int(path.stem.removeprefix("step-")) for path in children[0].glob("panels/validation/*.png"))
    browser.open(f"{experiment}/runs?compareRunsMode=CHART", 1280, 1000)
    browser.until(f"{SEARCH} !== null")
    expand(browser, names[0])
    browser.shows(*names)
    browser.run(f"{SEARCH}.select()")
    browser.type("^validation/panels$")
    browser.until("document.querySelector('[role=slider]') && !document.body.innerText.includes('test/teacher')")
    begun = "[...document.images].filter(i => i.naturalWidth && i.src.includes('panels%2Bstep%2B0%2B')).length"
    browser.until(f"{begun} >= {len(children)}")  # the chart opens at step 0, which has a picture of each run
    full = "[...document.querySelectorAll('button')].findLast(b => b.outerHTML.toLowerCase().includes('fullscreen'))"
    browser.until(f"{full} !== undefined")
    browser.run(f"{full}.click()")
    browser.until("document.querySelector('[role=dialog] input[type=number]')")
    assert browser.run("Number(document.querySelector('[role=dialog] input[type=number]').max)") == steps[-1]
    browser.run("document.querySelector('[role=dialog] input[type=number]').select()")
    browser.type(str(steps[-1]))
    browser.run("document.activeElement.blur()")
    settled(browser)
    there = f"[...document.images].filter(i => i.naturalWidth && i.src.includes('panels%2Bstep%2B{steps[-1]}%2B'))"
    browser.until(f"new Set({there}.map(i => new URL(i.src).searchParams.get('run_uuid'))).size === {len(children)}")
    browser.run(f"{there}.filter(i => i.closest('[role=dialog]')).at(0)?.scrollIntoView()")
    settled(browser, 4)
    browser.picture(pictures / "mlflow-panels.png")
