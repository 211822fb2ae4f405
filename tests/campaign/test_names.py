"""Hostile names in every place of a recipe and of a data set: refused in words, or files stay where they belong.

What is accepted is trained, evaluated and reported. Nothing outside of the run's folder may change, and a name must not
become a part of the report's HTML.
"""

from __future__ import annotations

import random
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from tiny_runs import write_cohort

HOSTILE = [
    "", ".", "..", "../../evil", "/tmp/evil", "a/b", "a\\b", "C:evil", "a\0b", "a\nb", "\x1b[31mred", "\u202eevil",
    " a", "a ", "a.", ".hidden", "-rf", "x" * 300, "a:b", "a*", "<b>", 'say "a"', "con", "NUL", "a;b", "$(id)", "{a}",
    "%s", "ä" * 60, "<script>alert(1)</script>", "'", "a,b", "#", "[bold]a", "=1+1", "__proto__", "input:t1", "image",
]  # fmt: skip
PLACES = [
    "name", "description", "predict", "translators", "losses", "maps", "transforms", "data.inputs", "data.target",
    "data.batch", "data.intensities", "losses.pixelwise.on", "losses.pixelwise.map", "losses.pixelwise.stages",
    "losses.pixelwise.use", "evaluation.metrics", "evaluation.regions", "evaluation.roles", "evaluation.baselines",
    "tracking.experiment", "tracking.uri", "variants", "schedule.teacher", "schedule.monitor",
]  # fmt: skip


def renamed(table: dict[str, Any], place: str, name: str) -> dict[str, Any]:
    """The recipe with the name at that path: instead of a value, or as the key of an additional table."""
    *outer, last = place.split(".")
    inside = table
    for key in outer:
        inside = inside.setdefault(key, {})
    more = {
        "translators": {"like": "teacher"},
        "losses": {"use": "l1", "on": "student", "group": "paired"},
        "maps": {"use": "uniform"},
        "transforms": {"use": "flip"},
        "data.batch": 1,
        "data.intensities": {"unit": "relative"},
        "variants": {"run.seed": 1},
    }
    if place in more:
        inside.setdefault(last, {})[name] = more[place]
    elif isinstance(inside.get(last), list) or last in ("stages", "roles", "baselines"):
        inside[last] = [*inside.get(last, []), name]
    else:
        inside[last] = name
    return table


def mutated(draw: random.Random) -> str:
    """A hostile name, or a combination of two."""
    return draw.choice(HOSTILE) if draw.random() < 0.7 else draw.choice(HOSTILE) + draw.choice(HOSTILE)


def around(folder: Path) -> set[str]:
    """Every file outside of runs."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if "runs" not in path.parts}


def assert_in_words(process: Any) -> None:
    """Assert that the command succeeded, or was refused in one paragraph."""
    code, said = process.wait(), process.output
    assert code in (0, 1, 2), (code, said)
    assert "Traceback" not in said
    assert "unexpectedly" not in said
    if code:
        assert len([line for line in said.splitlines() if line.startswith("error: ")]) == 1, said


def test_recipes(harms: Any, server: Any, recipe: Path, tmp_path: Path) -> None:
    inner = tmp_path / "outer" / "inner"
    drawn = "import importlib, gantk.report.html as html; importlib.reload(html)"
    for one in harms.tries(5, 300):
        with harms.trying(one):
            shutil.rmtree(tmp_path / "outer", ignore_errors=True)
            inner.mkdir(parents=True)
            place, name = one.random.choice(PLACES), mutated(one.random)
            one.done = f"{place}: {name!r}"
            table = tomllib.loads(recipe.read_text())
            table["schedule"] |= {"teacher_epochs": 1, "joint_epochs": 1, "rewind": 0}
            table["data"]["steps_per_epoch"] = 1
            (inner / "recipe.toml").write_text(tomli_w.dumps(renamed(table, place, name)), encoding="utf-8")
            before = around(tmp_path / "outer")
            checked = server.start(inner, "validate", "recipe.toml")
            assert_in_words(checked)
            if "error: " in checked.output:
                harms.count("refused")
            else:
                reported = drawn if place == "description" else ""  # takes seconds
                assert_in_words(server.start(inner, "run", "recipe.toml", "--device", "cpu", before=reported))
                harms.count("accepted")
                for report in inner.glob("runs/*/report.html"):
                    assert "<script>alert(1)" not in report.read_text()
            assert around(tmp_path / "outer") <= before | {"inner/output.txt"}
            assert not Path("/tmp/evil").exists()


@pytest.fixture
def template(tmp_path: Path) -> Path:
    return write_cohort(tmp_path / "template", 8)


def test_patients(harms: Any, server: Any, recipe: Path, template: Path, tmp_path: Path) -> None:
    """Folders of patients with names that a file system has and a script would not expect."""
    inner = tmp_path / "outer" / "inner"
    table = tomllib.loads(recipe.read_text())
    table["schedule"] |= {"teacher_epochs": 1, "joint_epochs": 1, "rewind": 0}
    table["data"] |= {"steps_per_epoch": 1, "paired_fraction": 1.0}
    for one in harms.tries(1, 40):
        with harms.trying(one):
            shutil.rmtree(tmp_path / "outer", ignore_errors=True)
            inner.mkdir(parents=True)
            fit = [name for name in HOSTILE if 0 < len(name.encode()) < 200 and not set(name) & {"/", "\0"}]
            names = [name for name in one.random.sample(fit, 8) if name.strip(".")]
            one.done = f"patients {names}"
            root = Path(shutil.copytree(template, inner / "patients"))
            for number, name in enumerate(names):
                for path in (root / f"P{number}").iterdir():
                    path.rename(path.with_name(path.name.replace(f"P{number}", name, 1)))
                (root / f"P{number}").rename(root / name)
            table["data"]["root"] = root.as_posix()
            (inner / "recipe.toml").write_text(tomli_w.dumps(table), encoding="utf-8")
            before = around(tmp_path / "outer")
            process = server.start(inner, "run", "recipe.toml", "--device", "cpu")
            assert_in_words(process)
            harms.count("refused" if "error: " in process.output else "accepted")
            assert around(tmp_path / "outer") <= before | {"inner/output.txt"}
