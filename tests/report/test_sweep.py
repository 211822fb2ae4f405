"""The page of a fabricated sweep: three variants over two seeds, one child failed, one not begun, names that bite."""

from __future__ import annotations

import html
import json
import re
import statistics
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from gantk.errors import EvaluationError, UsageError
from gantk.evaluation.examples import Examples
from gantk.evaluation.results import Column, Evaluation, Row
from gantk.report.sweep import write_sweep_report
from gantk.tables.statistics import paired_difference

SECTIONS = ["results", "differences", "slices", "spread", "curves", "patients", "runs", "recipe"]
HOSTILE = '<script>alert("x")</script> & $\\x$'
PATIENTS = ("p0", "p1", '"><b onload=x>p2</b>')
COLUMNS = {"ssim": Column("SSIM", "image", True), "mse_tumour": Column("MSE", "tumour", False)}
RECIPE = 'name = "{name}"\npredict = "student"\n[run]\nseed = {seed}\n[translators.teacher]\n[translators.student]\n'
SWEEP = f"""name = "abl"
[variants.full]
report = {{ teacher = "paired only", student = "full" }}
[variants.bare]
label = '{HOSTILE}'
[sweep]
"run.seed" = [0, 1]
# </pre><script>alert(2)</script>
"""
#: SSIM of the first patient with seed 0
LEVELS = {("full", "teacher"): 0.6, ("full", "student"): 0.7, ("bare", "teacher"): 0.5, ("bare", "student"): 0.65}


def ssim(variant: str, role: str, seed: int, patient: int) -> float:
    return LEVELS[variant, role] + seed / 50 + patient / 25


def evaluate(child: Path, variant: str, seed: int) -> None:
    rows = [
        Row(p, role, 4, {"ssim": ssim(variant, role, seed, i), "mse_tumour": (1 - ssim(variant, role, seed, i)) / 8})
        for i, p in enumerate(PATIENTS)
        for role in ("teacher", "student")
    ]
    rows += [
        Row(p, bound, 4, {"ssim": 1.0 - nothing, "mse_tumour": 0.5})
        for p in PATIENTS
        for bound, nothing in (("target:real", 0), ("input:t1", 0.1))
    ]
    Evaluation("5plit", "5e771n65", COLUMNS, rows).write(child / "evaluation")
    image = np.linspace(-1, 1, 2 * 24 * 20, dtype=np.float32).reshape(2, 24, 20)
    labels = np.zeros((2, 24, 20), np.uint8)
    labels[:, 8:15, 6:13] = 4
    outputs = {role: image * np.float32(LEVELS[variant, role]) for role in ("teacher", "student")}
    titles = ["p0, slice 3", f"{PATIENTS[2]}, slice 4"]
    Examples({"t1": -image}, image, outputs, {}, labels, titles).save(child / "evaluation" / "examples.npz")
    with (child / "metrics.jsonl").open("w") as file:
        for step in (10, 20):
            metrics = {f"validation/{role}/ssim": 0.3 + step / 100 for role in ("teacher", "student")}
            record = {"seq": step, "step": step, "epoch": 0, "stage": "joint", "time": 0, "metrics": metrics}
            file.write(json.dumps(record) + "\n")


def fabricate(folder: Path) -> Path:
    """`bare` with seed 1 failed, `late` was never started."""
    children = []
    for variant, seed in (("full", 0), ("full", 1), ("bare", 0), ("bare", 1), ("late", 0)):
        id_ = f"{variant}-seed-{seed}-12345678"
        children.append({"id": id_, "variant": variant, "changes": {"run.seed": seed}, "label": variant})
        child = folder / "children" / id_
        child.mkdir(parents=True)
        if variant == "late":
            continue
        (child / "recipe.toml").write_text(RECIPE.format(name=id_, seed=seed))
        failed = (variant, seed) == ("bare", 1)
        status = {"state": "failed" if failed else "finished", "seconds": 75.0}
        environment = {"device": "cpu", "packages": {"gantk": "0.2.0"}, "git": {"commit": "0123456789abcdef"}}
        (child / "environment.json").write_text(json.dumps(environment))
        (child / "status.json").write_text(json.dumps(status | ({"message": f"a loss {HOSTILE}"} if failed else {})))
        if not failed:
            evaluate(child, variant, seed)
            (child / "report.html").write_text("<html></html>")
            (child / "tracking.json").write_text(json.dumps({"uri": "sqlite:////x/mlflow.db", "run_id": f"id{seed}"}))
    head = {"name": "abl", "description": f"about {HOSTILE}", "recipe": "abl.toml", "children": children}
    (folder / "sweep.json").write_text(json.dumps(head))
    (folder / "recipe.toml").write_text(SWEEP)
    (folder / "status.json").write_text(json.dumps({"state": "failed", "started": 1.6e9, "seconds": 300.0}))
    tracked = {"uri": "https://me:secret@tracking.example:5000/", "run_id": "parent"}
    (folder / "tracking.json").write_text(json.dumps(tracked))
    return folder


@dataclass
class Element:
    tag: str
    attributes: dict[str, str | None]
    children: list[Element] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return " ".join(part.strip() for part in [*self.texts, *(c.text for c in self.children)] if part.strip())

    def all(self, *tags: str) -> list[Element]:
        """The elements below this one, in order; default: of any tag."""
        found = [child for child in self.children if not tags or child.tag in tags]
        return [one for child in self.children for one in ([child] if child in found else []) + child.all(*tags)]


class Page(HTMLParser):
    """A page as elements; checks that all are closed."""

    VOID = frozenset({"meta", "link", "input", "img", "br"})

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.root = Element("root", {})
        self.open = [self.root]
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source.replace("<wbr>", ""))  # where a name may be broken
        assert self.open == [self.root]

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        element = Element(tag, dict(attributes))
        self.open[-1].children.append(element)
        if tag not in self.VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.open[-1].children.append(Element(tag, dict(attributes)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        self.open[-1].texts.append(data)

    @property
    def sections(self) -> dict[str, Element]:
        return {str(section.attributes["id"]): section for section in self.root.all("section")}

    def table(self, section: str, number: int = 0) -> dict[str, list[str]]:
        """A table's lines by the text of their heading or first cell."""
        lines = [row.all("th", "td") for row in self.sections[section].all("table")[number].all("tr")][1:]
        return {cells[0].text: [cell.text for cell in cells[1:]] for cells in lines}


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    return fabricate(tmp_path / "runs" / "abl")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    folder = fabricate(tmp_path_factory.mktemp("runs") / "abl")
    path = write_sweep_report(folder)
    assert path == folder / "report.html"
    return Page(path)


def test_every_section_is_there_and_in_reach(page: Page) -> None:
    assert list(page.sections) == SECTIONS
    (navigation,) = page.root.all("nav")
    assert [link.attributes["href"] for link in navigation.all("a")] == [f"#{name}" for name in SECTIONS]
    for section in page.sections.values():
        assert section.attributes["aria-labelledby"] in [h.attributes.get("id") for h in section.all("h2")]
    header = page.root.all("header")[0].text
    assert "3 of 5 finished" in header
    assert "5 min 00 s" in header
    for fact in ("seeds 0, 1", "started 2020-09-13 12:26 UTC", "device cpu", "gantk 0.2.0", "commit 0123456789"):
        assert fact in header, fact
    assert f"about {HOSTILE}" in header


def test_the_tables_numbers(page: Page) -> None:
    table = page.table("results")
    assert list(table) == ["paired only", "full", HOSTILE, "baseline/target:real", "baseline/input:t1"]
    for title, variant, role, seeds in (
        ("paired only", "full", "teacher", (0, 1)),
        ("full", "full", "student", (0, 1)),
        (HOSTILE, "bare", "student", (0,)),
    ):
        means = [statistics.fmean(ssim(variant, role, seed, i) for i in range(3)) for seed in seeds]
        spread = f" ± {statistics.stdev(means):.3f}" if len(means) > 1 else ""
        assert table[title] == [str(len(seeds)), f"{statistics.fmean(means):.3f}{spread}"]
    best = [c.text for c in page.sections["results"].all("td") if c.attributes.get("class") == "best"]
    assert best[0] == table["full"][1]  # not the bound, which is better
    assert len(best) == 2
    said = page.sections["results"].text
    assert "3 test patients" in said
    assert "Split 5plit; evaluation settings 5e771n65" in said
    assert "seed 1 missing" in said
    assert f"a loss {HOSTILE}" in said


def test_the_differences_numbers(page: Page) -> None:
    lines = [[c.text for c in row.all("th", "td")] for row in page.sections["differences"].all("tr")[1:]]
    assert page.sections["differences"].all("h2")[0].text == "Difference from full"
    (line,) = [line for line in lines if line[:2] == ["paired only", "SSIM ↑"]]
    ours, theirs = (
        {str(i): statistics.fmean(ssim("full", role, seed, i) for seed in (0, 1)) for i in range(3)}
        for role in ("teacher", "student")
    )
    by_hand = paired_difference(ours, theirs)
    assert line[2:4] == ["3 a,b", f"{by_hand.mean:+.3f}".replace("-", "−")]
    assert [f"a: {by_hand.remarks[0]}", f"b: {by_hand.remarks[1]}"] == [
        item.text for item in page.sections["differences"].all("li")[:2]
    ]
    assert "full" not in {line[0] for line in lines}  # from itself


def test_the_reference_is_the_recipes_or_the_one_asked_for(sweep: Path) -> None:
    path = sweep / "sweep.json"
    head = json.loads(path.read_text())
    path.write_text(json.dumps(head | {"reference": "paired only"}))

    def title(page: Page) -> str:
        return page.sections["differences"].all("h2")[0].text

    assert title(Page(write_sweep_report(sweep))) == "Difference from paired only"
    assert title(Page(write_sweep_report(sweep, reference="full/student"))) == "Difference from full"
    with pytest.raises(UsageError, match="did you mean 'full'"):
        write_sweep_report(sweep, reference="ful")
    path.write_text(json.dumps(head | {"reference": "paired onyl"}))
    page = Page(write_sweep_report(sweep))
    assert "differences" not in page.sections
    assert "Nothing was tested: reference: no row is called 'paired onyl'" in page.sections["results"].text


def test_every_patients_numbers(page: Page) -> None:
    lines = [row.all("td") for row in page.sections["patients"].all("tr")[1:]]
    found = {(cells[0].text, cells[1].text): cells for cells in lines}
    assert len(found) == len(lines) == 3 * 5
    for i, patient in enumerate(PATIENTS):
        cell = found[patient, "full"][2]
        mean = statistics.fmean(ssim("full", "student", seed, i) for seed in (0, 1))
        assert float(str(cell.attributes["data-value"])) == pytest.approx(mean)
        assert float(cell.text) == pytest.approx(mean, abs=1e-4)


def test_drawings_are_there_and_say_what_they_show(page: Page) -> None:
    drawings = {name: page.sections[name].all("svg") for name in ("slices", "spread", "curves")}
    assert {name: len(found) for name, found in drawings.items()} == {"slices": 2, "spread": 2, "curves": 1}
    for svg in (one for found in drawings.values() for one in found):
        assert svg.attributes["role"] == "img"
        assert svg.attributes["aria-label"]
    assert drawings["slices"][0].attributes["aria-label"].endswith(f"of paired only, full, {HOSTILE}")
    legend = [text.text for text in drawings["curves"][0].all("text")]
    assert {"paired only", "full", HOSTILE} <= set(legend)
    clips = [clip.attributes["id"] for clip in page.root.all("clippath")]
    assert len(set(clips)) == len(clips)  # what one drawing clips is not clipped by another's shape


def test_runs_are_named_with_state_reason_and_links(page: Page) -> None:
    runs = page.table("runs")
    assert runs["full-seed-0-12345678"] == ["full", "0", "finished", "1 min 15 s", "open"]
    assert runs["bare-seed-1-12345678"] == [HOSTILE, "1", f"failed a loss {HOSTILE}", "1 min 15 s", "–"]
    assert runs["late-seed-0-12345678"] == ["late", "0", "waiting not run yet", "", "–"]
    links = [link.attributes["href"] for link in page.sections["runs"].all("a")]
    ids = ("full-seed-0", "full-seed-1", "bare-seed-0")
    assert links == [
        address
        for id_ in ids
        for address in (f"children/{id_}-12345678/report.html", f"http://127.0.0.1:5000/#/runs/id{id_[-1]}")
    ]
    assert "gantk ui" in page.sections["runs"].text


def test_a_failed_child_that_was_evaluated_still_says_why(sweep: Path) -> None:
    status = sweep / "children" / "bare-seed-0-12345678" / "status.json"
    status.write_text(json.dumps({"state": "failed", "message": "the disk is full"}))
    runs = Page(write_sweep_report(sweep)).table("runs")
    assert runs["bare-seed-0-12345678"][2] == "failed the disk is full, but its evaluation exists and is shown"


def test_headings_sort_by_keyboard(page: Page) -> None:
    """A heading's first child is a button, as the script wants it; tests/ui presses them in a browser."""
    tables = [table for table in page.root.all("table") if table.attributes.get("class") == "sortable"]
    assert len(tables) == 2
    for table in tables:
        heads = table.all("thead")[0].all("th")
        assert len({len(row.all("td")) for row in table.all("tbody")[0].all("tr")} | {len(heads)}) == 1
        for head in heads:
            assert [child.tag for child in head.children] == ["button"]
            assert head.children[0].attributes == {"type": "button"}
            assert head.attributes["scope"] == "col"
    scrolled = [one for one in page.root.all("div") if (one.attributes.get("class") or "").startswith("scroll")]
    assert scrolled
    assert all(one.attributes["tabindex"] == "0" and one.attributes["role"] == "region" for one in scrolled)
    (script,) = page.root.all("script")
    assert "aria-sort" in script.text
    assert "tabindex" not in script.text  # buttons are in reach by themselves


def test_nothing_is_loaded_from_elsewhere(page: Page) -> None:
    loading = [one for one in page.root.all() if one.tag not in ("a", "use")]
    addresses = [one.attributes[k] for one in loading for k in ("src", "href", "srcset") if k in one.attributes]
    assert addresses
    assert all(str(address).startswith("data:") for address in addresses)
    links = {str(one.attributes["href"]) for one in page.root.all("a")}
    assert {link for link in links if "://" in link} == {
        "http://127.0.0.1:5000/#/runs/id0",
        "http://127.0.0.1:5000/#/runs/id1",
        "https://tracking.example:5000/#/runs/parent",  # without the password
    }
    rest = re.sub(r'href="https?://[^"]*"', "", page.source)
    assert not re.search(r"https?://|@import|url\((?!#)|secret", rest)


def test_hostile_names_are_text(page: Page) -> None:
    assert len(page.root.all("script")) == 1  # the page's own
    assert not page.root.all("b", "img")
    for element in page.root.all():
        assert not [name for name in element.attributes if name.startswith("on")]
    assert html.escape("</pre><script>alert(2)</script>", quote=False) in page.source
    assert PATIENTS[2] in page.sections["patients"].text


def test_unfinished_and_no_sweep(sweep: Path, tmp_path: Path) -> None:
    for child in (sweep / "children").iterdir():
        for path in child.glob("evaluation/*"):
            path.unlink()
    page = Page(write_sweep_report(sweep))
    assert list(page.sections) == ["results", "curves", "runs", "recipe"]
    assert "nothing was evaluated yet" in page.sections["results"].text
    assert {"paired only", "full", HOSTILE} <= {text.text for text in page.sections["curves"].all("text")}
    with pytest.raises(EvaluationError, match="no sweep"):
        write_sweep_report(tmp_path)
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize("where", ["gantk.report.sweep._curves", "gantk.files._sync"])
def test_the_old_page_stays_until_the_new_one_is_whole(
    sweep: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    (sweep / "report.html").write_text("the old page")
    before = sorted(sweep.iterdir())

    def fail(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(where, fail)
    with pytest.raises((OSError, EvaluationError), match="no space"):
        write_sweep_report(sweep)
    assert (sweep / "report.html").read_text() == "the old page"
    assert sorted(sweep.iterdir()) == before
