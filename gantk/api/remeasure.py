"""Evaluating finished runs again, with other metrics, regions or baselines, without training."""

from __future__ import annotations

from pathlib import Path

from gantk.api.assessment import assess, cohort_metrics
from gantk.api.checks import rebuild
from gantk.api.cohort import check_same_data, check_same_split, open_cohort
from gantk.api.result import RunResult
from gantk.errors import TrackingError, UsageError
from gantk.files import write_text
from gantk.plugins import load_plugins
from gantk.plugins.absent import made_with
from gantk.progress import Progress, default_progress
from gantk.recipe import dump_recipe
from gantk.recipe.model import TrackingSettings
from gantk.recipe.overrides import Changes
from gantk.runs.files import RECIPE, RunFiles, is_sweep, warn_of_damage
from gantk.runs.folders import Status, recipe_to_measure, resolve_run, spoken
from gantk.runs.lock import alone
from gantk.runs.names import CHECKPOINTS
from gantk.tracking.feeder import sync
from gantk.tracking.store import check_uri
from gantk.training.best import evaluated_checkpoint
from gantk.training.checkpoint import newest_checkpoint, restore
from gantk.training.device import pick_device
from gantk.training.state import TrainingState

__all__ = ["evaluate", "track"]


def evaluate(
    run: str | Path,
    overrides: Changes = (),
    *,
    device: str = "auto",
    progress: Progress | None = None,
    tracking_uri: str | None = None,
) -> RunResult:
    """Evaluate a trained run on its test patients again and rewrite its evaluation, recipe and report.

    Until the new results are there, the old ones stay.

    Args:
        run: its folder or id.
        overrides: `evaluation.KEY=value`, `inference.KEY=value`, or values by dotted key, laid over the run's recipe.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        progress: shows the work; default: a rich display or plain lines.
        tracking_uri: MLflow's address; takes precedence over the recipe's.

    Raises:
        UsageError: there is no such run, its training is not finished, or an override is of another table.
        GantkError: any other problem that the user can fix.
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
        checkpoint = newest_checkpoint(folder / CHECKPOINTS)
        if checkpoint is None or checkpoint.position.stage < len(scheduler.stages(recipe.learning)):
            raise UsageError(
                "the training of the run is not finished",
                where=folder,
                mend="continue with",
                command=f"gantk run --resume {spoken(folder)}",
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
        track(folder, recipe.tracking, tracking_uri, progress)
    return RunResult(folder, "finished", evaluation.to_dict() if evaluation.rows else {}, report)


def track(folder: Path, settings: TrackingSettings, uri: str | None, progress: Progress) -> None:
    """Upload to MLflow; a failure leaves the results as they are."""
    if settings.enabled:
        try:
            sync(folder, uri, progress)
        except TrackingError as error:
            progress.note(f"{error}\nupload it later with:\n  gantk sync {spoken(folder)}")
