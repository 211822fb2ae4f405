"""Going on from a run's end with a longer schedule, and starting from the weights of a run or a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import gantk
from gantk.errors import RecipeError, UsageError
from gantk.progress import QuietProgress
from gantk.tracking.folder import RunFolder
from gantk.tracking.journal import Journal
from gantk.training.checkpoint import newest_checkpoint
from tiny_runs import RECIPE, toml
from told import Told

ONE = """
[translators.only]
generator = { use = "ds3", channels = 4, blocks = 1, dropout = 0.2 }

[losses.only]
use = "l1"
on = "only"

[training]
keep_checkpoints = 9

[evaluation]
metrics = ["mse"]
regions = ["image"]
examples = 1

[tracking]
enabled = false
"""


@pytest.fixture(scope="module")
def make(cohort: Path, recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Trains in this process, each run once; `recipe` has put the slices into the cache."""
    folder = tmp_path_factory.mktemp("extension")
    path = folder / "one.toml"
    head = RECIPE.format(root=toml(cohort)).split("[translators.teacher]")[0].replace('predict = "student"', "")
    path.write_text(f'{head}{ONE}\n[schedule]\nuse = "constant"\nepochs = 1\n')

    def run(*changes: str, **options: Any) -> gantk.RunResult:
        given = () if "resume" in options else (path, changes)
        return gantk.run(*given, out=folder / "runs", **{"progress": QuietProgress(), "device": "cpu", **options})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gantk.report.html.write_report", lambda folder: folder / "report.html")
        yield run


def weights(run: gantk.RunResult) -> dict[str, torch.Tensor]:
    checkpoint = newest_checkpoint(run.folder / "checkpoints")
    assert checkpoint is not None
    return checkpoint.tensors()


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def short(make: Any) -> gantk.RunResult:
    return make()


def test_an_extended_run_is_what_the_longer_one_would_have_been(make: Any, short: gantk.RunResult) -> None:
    told, before = Told(), {p: p.read_bytes() for p in short.folder.rglob("*") if p.is_file()}
    longer = make(resume=short.folder, extend=["schedule.epochs=2"], progress=told)
    assert longer.folder != short.folder
    assert {p: p.read_bytes() for p in short.folder.rglob("*") if p.is_file()} == before
    assert any("this is what one run of the longer schedule would have been" in note for note in told.notes)
    assert same(weights(longer), weights(make("schedule.epochs=2")))
    recipe = gantk.load(longer.folder).recipe
    assert (recipe.schedule.parameters["epochs"], recipe.parent.run, recipe.parent.step) == (2, short.folder.name, 3)
    assert RunFolder(longer.folder).tags()["gantk.parent"] == short.folder.name
    assert {record["step"] for record in Journal(longer.folder / "metrics.jsonl").records()} == set(range(6))
    with pytest.raises(RecipeError, match="belongs to a run that extended"):  # from nothing, it would be another run
        gantk.run(longer.folder / "recipe.toml", progress=QuietProgress())


def test_a_schedule_that_would_have_begun_otherwise_is_told(make: Any, short: gantk.RunResult) -> None:
    told = Told()
    changes = ["schedule.use=linear_decay", "schedule.epochs=2", "schedule.decay_epochs=2"]
    make(resume=short.folder, extend=changes, progress=told)
    assert any("earlier epochs differ" in note for note in told.notes)


def test_what_cannot_be_extended_is_refused(make: Any, short: gantk.RunResult) -> None:
    for changes, match in (
        (["schedule.epochs=1"], "does not change"),
        (["losses.only.weight=2"], r"'losses' cannot change.*weights ="),
        (["schedule.use=phases", "schedule.phases=[{name='p', roles=['only'], epochs=3}]"], "does not continue"),
    ):
        with pytest.raises(UsageError, match=match):
            make(resume=short.folder, extend=changes)


def test_weights_of_a_run_and_of_a_file(make: Any, short: gantk.RunResult, tmp_path: Path) -> None:
    told, name = Told(), short.folder.name
    start = {n.removeprefix("only.generator."): t for n, t in weights(short).items() if n.startswith("only.gen")}
    still = ["translators.only.optimizer={rates={generator=1e-30}}"]
    run = make(f"translators.only.weights='{name}:only'", *still, progress=told)
    assert torch.allclose(weights(run)["only.generator." + next(iter(start))], next(iter(start.values())))
    assert any(f"starts with {len(start)} weights of" in note for note in told.notes)
    said = gantk.load(run.folder).recipe.translators["only"].weights
    assert said.source == f"{short.folder}:only"
    assert len(said.sha256) == 64

    some = dict(list(start.items())[:3])
    save_file(some, tmp_path / "some.safetensors")
    with pytest.raises(RecipeError, match=r"do not fit.*shared = true"):
        make(f"translators.only.weights='{tmp_path / 'some.safetensors'}'")
    shared = f"translators.only.weights={{source='{tmp_path / 'some.safetensors'}', shared=true}}"
    run = make(shared, *still, progress=told)
    first = next(iter(some))
    assert torch.allclose(weights(run)[f"only.generator.{first}"], some[first])
    assert any(f"; {len(start) - 3} are drawn anew" in note for note in told.notes)
    save_file({n: t + 1 for n, t in load_file(tmp_path / "some.safetensors").items()}, tmp_path / "some.safetensors")
    with pytest.raises(RecipeError, match="not the weights that the recipe was run with"):
        gantk.run(run.folder / "recipe.toml", progress=QuietProgress())
    with pytest.raises(RecipeError, match=r"no translator 'onli'.*'only'"):
        make(f"translators.only.weights='{name}:onli'")
