"""Finished runs measured anew: with other metrics, regions or baselines, and without training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gantk.api.assessment import assess, cohort_metrics
from gantk.api.checks import rebuild
from gantk.api.cohort import check_same_data, check_same_split, open_cohort
from gantk.api.runner import RunResult
from gantk.api.runs import Status, recipe_to_measure, resolve_run, spoken
from gantk.api.sweep_results import write_page, write_table
from gantk.errors import TrackingError, UsageError
from gantk.files import write_text
from gantk.names import path_in
from gantk.plugins import load_plugins
from gantk.plugins.absent import made_with
from gantk.progress import Progress, default_progress
from gantk.recipe import dump_recipe
from gantk.recipe.model import TrackingSettings
from gantk.runs.files import RECIPE, RunFiles, is_sweep, warn_of_damage
from gantk.runs.lock import alone
from gantk.runs.sweeps import sweep_head
from gantk.tracking.feed import check_uri
from gantk.tracking.feeder import sync
from gantk.tracking.folder import RunFolder
from gantk.training.best import evaluated_checkpoint
from gantk.training.checkpoint import newest_checkpoint, restore
from gantk.training.device import pick_device
from gantk.training.state import TrainingState

__all__ = ["evaluate", "evaluate_sweep"]


def evaluate(
    run: str | Path,
    overrides: Sequence[str] = (),
    *,
    device: str = "auto",
    progress: Progress | None = None,
    tracking_uri: str | None = None,
) -> RunResult:
    """Measure a trained run on its test patients again and write its evaluation, recipe and report anew.

    Until the new results are there, the old ones stay.

    Args:
        run: its folder or id.
        overrides: `evaluation.KEY=value`, laid over the run's recipe.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        progress: shows the work; a rich display or plain lines where absent.
        tracking_uri: MLflow's address, above the recipe's.

    Raises:
        UsageError: there is no such run, it is not trained to its end, or an override is not of `[evaluation]`.
        GantkError: anything else that the user can mend.
    """
    from gantk.report.html import write_report  # matplotlib takes a second to import

    progress = progress or default_progress()
    folder = resolve_run(run)
    if is_sweep(folder):
        raise UsageError("this is a sweep, not one run", where=folder, mend="use gantk.evaluate_sweep")
    warn_of_damage(folder)
    recipe = recipe_to_measure(folder, overrides)
    tracking_uri = check_uri(recipe.tracking, tracking_uri, folder)
    session = load_plugins()
    with alone(folder):
        with made_with(RunFiles(folder).plugins, session):
            assembly, scheduler = rebuild(recipe, session.registry)
        checkpoint = newest_checkpoint(folder / "checkpoints")
        if checkpoint is None or checkpoint.position.stage < len(scheduler.stages(list(assembly.translators))):
            raise UsageError(
                "the run is not trained to its end",
                where=folder,
                mend=f"go on with: gantk run --resume {spoken(folder)}",
            )
        cohort = open_cohort(recipe, session.registry, progress)
        check_same_split(cohort.split, RunFiles(folder))
        check_same_data(cohort, checkpoint.facts.get("data"), folder)
        state = TrainingState(recipe, assembly, scheduler, pick_device(device))
        restore(state, evaluated_checkpoint(folder / "checkpoints", recipe.evaluation.checkpoint) or checkpoint)
        metrics = cohort_metrics(recipe, session.registry, cohort, progress)
        evaluation = assess(state, cohort, metrics, folder, progress)
        write_text(folder / RECIPE, dump_recipe(recipe))
        RunFiles(folder).mend(cohort.split)
        Status(folder).update(state="finished", message="")
        report = write_report(folder)
        _track(folder, recipe.tracking, tracking_uri, progress)
    return RunResult(folder, "finished", evaluation.to_dict() if evaluation.rows else {}, report)


def evaluate_sweep(
    sweep: str | Path,
    overrides: Sequence[str] = (),
    *,
    device: str = "auto",
    progress: Progress | None = None,
    tracking_uri: str | None = None,
) -> list[RunResult]:
    """Measure the finished runs of a sweep again, as `evaluate` does each, and write its table and page anew.

    Raises:
        UsageError: there is no such sweep, none of its runs is finished, or an override is not of `[evaluation]`.
        GantkError: anything else that the user can mend; what was measured before stays so.
    """
    progress = progress or default_progress()
    folder = resolve_run(sweep)
    runs = [path_in(folder / "children", child["id"]) for child in sweep_head(folder)["children"]]
    finished = [child for child in runs if RunFiles(child).status().get("state") == "finished"]
    if not finished:
        raise UsageError("none of its runs is finished", where=folder, mend="run the sweep first")
    with alone(folder):
        results = []
        for number, child in enumerate(finished, 1):
            progress.note(f"[{number}/{len(finished)}] {child.name}")
            results.append(evaluate(child, overrides, device=device, progress=progress, tracking_uri=tracking_uri))
        write_table(folder)
        write_page(folder, progress.note)
        settings = TrackingSettings.model_validate(RunFolder(folder).tracking)
        _track(folder, settings, tracking_uri, progress)
    if len(finished) < len(runs):
        left = len(runs) - len(finished)
        which = "1 run of it is" if left == 1 else f"{left} runs of it are"
        progress.note(f"{which} not finished, and will be measured as before: evaluate the sweep again then")
    return results


def _track(folder: Path, settings: TrackingSettings, uri: str | None, progress: Progress) -> None:
    """Feed MLflow; a store that cannot be fed costs the results nothing."""
    if settings.enabled:
        try:
            sync(folder, uri, progress)
        except TrackingError as error:
            progress.note(f"{error}\nfeed it later with: gantk sync {spoken(folder)}")
