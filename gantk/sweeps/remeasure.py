"""Evaluating the finished runs of a sweep again, without training."""

from __future__ import annotations

from pathlib import Path

from gantk.api.remeasure import evaluate, track
from gantk.api.result import RunResult
from gantk.errors import UsageError
from gantk.progress import Progress, default_progress
from gantk.recipe.model import TrackingSettings
from gantk.recipe.overrides import Changes
from gantk.runs.files import RunFiles
from gantk.runs.folders import resolve_run
from gantk.runs.lock import alone
from gantk.runs.sweeps import child_folder, sweep_head
from gantk.sweeps.course import write_page, write_table
from gantk.tracking.folder import RunFolder

__all__ = ["evaluate_sweep"]


def evaluate_sweep(
    sweep: str | Path,
    overrides: Changes = (),
    *,
    device: str = "auto",
    progress: Progress | None = None,
    tracking_uri: str | None = None,
) -> list[RunResult]:
    """Evaluate the finished runs of a sweep again, each as `evaluate` does, and rewrite the table and the report.

    Raises:
        UsageError: there is no such sweep, none of its runs is finished, or an override is outside `[evaluation]`.
        GantkError: any other error that the user can fix; evaluations completed before the error are kept.
    """
    progress = progress or default_progress()
    folder = resolve_run(sweep)
    runs = [child_folder(folder, child["id"]) for child in sweep_head(folder)["children"]]
    finished = [child for child in runs if RunFiles(child).status().get("state") == "finished"]
    if not finished:
        raise UsageError("no run of this sweep has finished", where=folder, mend="run the sweep first")
    with alone(folder):
        results = []
        for number, child in enumerate(finished, 1):
            progress.note(f"[{number}/{len(finished)}] {child.name}")
            results.append(evaluate(child, overrides, device=device, progress=progress, tracking_uri=tracking_uri))
        write_table(folder)
        write_page(folder, progress.note)
        settings = TrackingSettings.model_validate(RunFolder(folder).tracking)
        track(folder, settings, tracking_uri, progress)
    if len(finished) < len(runs):
        left = len(runs) - len(finished)
        which = "1 run of the sweep is" if left == 1 else f"{left} runs of the sweep are"
        progress.note(
            f"{which} not finished and will use the old evaluation settings; evaluate the sweep again afterwards"
        )
    return results
