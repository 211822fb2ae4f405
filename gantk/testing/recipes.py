"""Recipes run for a few steps."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from dataclasses import replace as replaced
from pathlib import Path
from typing import Any, Literal
from unittest import mock

import tomli_w

import gantk.api.runner
from gantk.plugins import Component, Session, load_plugins
from gantk.progress import QuietProgress
from gantk.recipe import Recipe, dump_recipe, load_recipe
from gantk.testing.cohort import write_cohort
from gantk.testing.failures import expect
from gantk.tracking.journal import Journal
from gantk.training.scheduler import Stage

__all__ = ["RecipeRun", "run_recipe"]


@dataclass(frozen=True)
class RecipeRun:
    """The results of a recipe that was run for a few steps.

    Attributes:
        folder: the run's folder, with checkpoints and evaluation; in a temporary folder unless one was given.
        losses: of each step in order, by `ROLE/TERM`; discriminator losses by `ROLE/TERM (D)`.
        stages: of each step, its stage.
        summary: of the evaluation, as in `evaluation/summary.json`; without methods if nothing can be measured.
    """

    folder: Path
    losses: list[dict[str, float]]
    stages: list[str]
    summary: dict[str, Any]
    _keep: Any = field(default=None, repr=False)  # keeps the temporary folder until this object is deleted


def run_recipe(
    recipe: str | Path | Mapping[str, Any] | Recipe,
    overrides: Sequence[str] = (),
    steps: int = 2,
    *,
    cohort: Path | Literal["tiny", "own"] = "tiny",
    session: Session | None = None,
    folder: Path | None = None,
) -> RecipeRun:
    """Train every stage of a recipe for a few steps on the CPU, and evaluate; without MLflow and report.

    Every stage lasts one epoch. Checks that losses are finite and that checkpoints and evaluation are written.

    Args:
        recipe: a file, TOML text (with a line break in it), a table or a recipe.
        overrides: `key.of.table=value`, laid over the recipe: make crops and networks small.
        steps: of each stage.
        cohort: a folder of patients that replaces the recipe's own data; "tiny" writes ten patients
            with the recipe's modalities, "own" leaves the recipe's data.
        session: plugins (see `gantk.testing.session`); default: the installed plugins.
        folder: for the run's folder and, unless GANTK_CACHE is set, the slice cache.

    Raises:
        GantkError: the recipe, the data or a component is wrong.
        ConformanceError: not every stage was trained for so many steps, or there is no evaluation.
    """
    temporary = None
    if folder is None:
        temporary = tempfile.TemporaryDirectory(prefix="gantk-")
        folder = Path(temporary.name)
    path = _file(recipe, folder)
    short = [
        f"data.steps_per_epoch={steps}",
        "tracking.enabled=false",
        "training.validation_slices=2",
        "training.panel_slices=1",
        "evaluation.examples=1",
    ]
    if cohort != "own":
        modalities = load_recipe(path, overrides).data.modalities
        root = write_cohort(folder / "patients", modalities=modalities) if cohort == "tiny" else Path(cohort)
        short += ['data.dataset="brats"', f"data.root={root.as_posix()!r}"]
    shortened = _shortened(session or load_plugins())
    with _alone(folder, shortened):
        result = gantk.api.runner.run(
            path, [*short, *overrides], device="cpu", out=folder / "runs", progress=QuietProgress()
        )
    taken = load_recipe(result.folder / "recipe.toml")
    made = shortened.registry.get("scheduler", taken.schedule.use).build(taken.schedule.parameters, "schedule")
    records = [r for r in Journal(result.folder / "metrics.jsonl").records() if _losses(r)]
    run = RecipeRun(
        result.folder, [_losses(r) for r in records], [r["stage"] for r in records], result.summary, temporary
    )
    wanted = [stage.name for stage in made.stages(taken.learning) for _ in range(steps)]
    expect(
        run.stages == wanted,
        f"steps of the stages {run.stages} were done, not {wanted}",
        "look at data.steps_per_epoch",
    )
    finite = all(math.isfinite(value) for losses in run.losses for value in losses.values())
    expect(finite, f"losses are not finite: {run.losses}", "lower the rates, or look for divisions by 0")
    found = [
        run.folder / "evaluation" / name for name in ("summary.json", "examples.npz")
    ]  # without pairs, pictures alone
    evaluated = any(path.is_file() for path in found)
    expect(evaluated, "there is no evaluation", "look at the run's status.json for what stopped it")
    return run


def _file(recipe: str | Path | Mapping[str, Any] | Recipe, folder: Path) -> Path:
    if isinstance(recipe, Path) or (isinstance(recipe, str) and "\n" not in recipe):
        return Path(recipe)
    path = folder / "recipe.toml"
    text = (
        recipe
        if isinstance(recipe, str)
        else dump_recipe(recipe)
        if isinstance(recipe, Recipe)
        else tomli_w.dumps(recipe)
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def _losses(record: Mapping[str, Any]) -> dict[str, float]:
    return {k.removeprefix("train/"): v for k, v in record["metrics"].items() if k.startswith("train/")}


def _shortened(session: Session) -> Session:
    """The session with schedulers whose stages last one epoch."""
    made = Session(session.manager, plugins=session.plugins)
    for component in session.registry:
        made.registry.add(_brief(component) if component.kind == "scheduler" else component)
    return made


def _brief(component: Component) -> Component:
    class Brief(component.cls):  # type: ignore[misc, name-defined]
        def stages(self, roles: Sequence[str]) -> list[Stage]:
            return [replaced(stage, epochs=1) for stage in super().stages(roles)]

    return replaced(component, cls=Brief)


@contextmanager
def _alone(folder: Path, session: Session) -> Iterator[None]:
    """A context for runs with these plugins and a cache in the folder, without processes and report, which are slow."""
    environment = {} if "GANTK_CACHE" in os.environ else {"GANTK_CACHE": str(folder / "cache")}
    with (
        mock.patch.dict(os.environ, environment),
        mock.patch("gantk.api.runner.load_plugins", return_value=session),
        mock.patch("gantk.workers.cores", return_value=1),
        mock.patch("gantk.report.html.write_report", lambda run: run / "report.html"),
    ):
        yield
