"""`gantk run`: train, evaluate, track and report."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gantk.cli import completion
from gantk.cli.console import console, write, write_json
from gantk.cli.options import AsJson, Device, Set, TrackingUri, found_recipe
from gantk.cli.plans import show_plans
from gantk.errors import EvaluationError, GantkError, Interrupted, UsageError
from gantk.launching.processes import run_processes
from gantk.ranks import world_size

if TYPE_CHECKING:
    from gantk.sweeps.sweep import SweepResult


def run(
    recipe: Annotated[
        Path | None,
        typer.Argument(
            metavar="RECIPE",
            help="Recipe: a TOML file, or the name of a recipe that comes with gantk; not needed with --resume.",
            callback=found_recipe,
            autocompletion=completion.recipes,
        ),
    ] = None,
    set_: Set = None,
    resume: Annotated[
        str | None,
        typer.Option(metavar="RUN", help="Resume a stopped run.", autocompletion=completion.runs),
    ] = None,
    extend: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE",
            help="With --resume: continue in a new run with a longer schedule, such as schedule.epochs=300. "
            "Repeatable.",
        ),
    ] = None,
    device: Device = "auto",
    out: Annotated[
        Path | None,
        typer.Option("--runs", "--out", metavar="DIR", help="Folder of the runs; default: ./runs."),
    ] = None,
    tracking_uri: TrackingUri = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Build the networks, list the patients, measure a step and show the plan.",
        ),
    ] = False,
    list_: Annotated[
        bool, typer.Option("--list", help="For sweeps: validate and list the runs without starting them.")
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, help="For sweeps: maximum number of simultaneous runs; default: 1."),
    ] = None,
    launcher: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="For sweeps: launcher of the runs, local or submitit; default: local.",
        ),
    ] = None,
    launch: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE",
            help="Parameter of the launcher, such as partition=gpu. Repeatable.",
        ),
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Train with N processes on this machine, one per GPU, as with torchrun; default: 1.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run a recipe: prepare the data, train, evaluate on the test patients, and write the report.

    A recipe with [variants.NAME] or [sweep] describes several runs. Finished runs are kept and the others are run.
    """
    if processes is not None and processes > 1 and world_size() == 1 and not (dry_run or list_):
        raise typer.Exit(run_processes(processes))
    if world_size() > 1:
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # about parameters that are or may be unused
    import gantk
    from gantk.launching.lifeline import hold
    from gantk.recipe.overrides import SetOptions

    with _documented(recipe, as_json):
        hold()
        overrides = SetOptions(set_ or ())
        if recipe is None and (resume is None or dry_run or list_):
            raise UsageError("there is nothing to run", mend="name a recipe, or a run with --resume")
        folder = _sweep_folder(resume, out)
        if extend and (resume is None or folder is not None or dry_run):
            raise UsageError("--extend continues one run", where="--extend", mend="name the run with --resume alone")
        if folder is not None or (resume is None and recipe is not None and _is_sweep(recipe, overrides)):
            if world_size() > 1:
                raise UsageError(
                    "the runs of a sweep have one process each",
                    where="--processes",
                    mend="omit it; --workers N trains several runs at once",
                )
            if dry_run and folder is None and recipe is not None:
                show_plans(gantk.dry_run(recipe, overrides, device=device, measure=True), as_json)
                return
            if folder is not None and (recipe is not None or overrides):
                raise UsageError("a sweep is resumed with its own recipe", mend="give the recipe or --resume, not both")
            if list_ and recipe is not None:
                _show_children(gantk.list_sweep(recipe, overrides, out=out), as_json)
                return
            given = {"workers": workers, "launcher": launcher or "local", "launch": launch or ()}
            common = {"resume": folder, "device": device, "out": out, "tracking_uri": tracking_uri}
            _run_sweep(recipe, overrides, as_json, {**given, **common})
            return
        if list_ or workers is not None or launcher or launch:
            raise UsageError(
                "--list, --workers, --launcher and --launch are for recipes with [variants.NAME] or [sweep]"
            )
        if dry_run:
            assert recipe is not None
            if tracking_uri is not None:
                from gantk.tracking.store import resolve_uri

                resolve_uri(Path(), tracking_uri)  # refuses what a run would refuse
            show_plans(gantk.dry_run(recipe, overrides, device=device, measure=True), as_json)
            return
        from gantk.cli.display import RunDisplay

        with RunDisplay(console()) as display:
            result = gantk.run(
                recipe,
                overrides,
                resume=resume,
                extend=extend or (),
                device=device,
                out=out,
                tracking_uri=tracking_uri,
                display=display,
            )
        if as_json:
            content = {"folder": result.folder, "state": result.state, "report": result.report}
            write_json({name: str(value) for name, value in content.items()} | {"summary": result.summary})
        else:
            _show_result(result)


@contextmanager
def _documented(recipe: Path | None, as_json: bool) -> Iterator[None]:
    """A context whose errors are also written as the command's JSON document, if one is requested."""
    try:
        yield
    except GantkError as error:
        if as_json and not hasattr(error, "result"):  # its document was already written
            state = "interrupted" if isinstance(error, Interrupted) else "failed"
            write_json({"recipe": None if recipe is None else str(recipe), "state": state, "error": str(error)})
        raise


def _is_sweep(recipe: Path, overrides: Sequence[str]) -> bool:
    """Whether a recipe describes several runs; mistakes are reported before torch, which is slow, is imported."""
    from gantk.recipe.variants import Sweep, described

    return isinstance(described(recipe, overrides), Sweep)


def _sweep_folder(resume: str | None, runs: Path | None) -> Path | None:
    """The folder of the sweep that `--resume` names: a path, or a name in the folder of the runs."""
    from gantk.runs.files import is_sweep

    places = [] if resume is None else [Path(resume), (runs or Path("runs")) / resume]
    return next((place for place in places if is_sweep(place)), None)


def _run_sweep(recipe: Path | None, overrides: Sequence[str], as_json: bool, options: dict[str, Any]) -> None:
    import gantk
    from gantk.cli.sweep import LiveSweep
    from gantk.sweeps.sweep import SweepFailed

    try:
        with LiveSweep(console()) as display:
            result = gantk.run_sweep(recipe, overrides, **options, display=display)
    except SweepFailed as failed:
        _show_children(failed.result, as_json, error=str(failed))
        raise
    _show_children(result, as_json)
    if not as_json:
        show_table(result.folder)
        here = result.folder.parent == Path("runs").absolute()
        name = result.folder.name if here else result.folder
        write(f"sweep   {result.folder}\n\nNext:\n  gantk table {name}\n  gantk report {name}")


def _show_children(result: SweepResult, as_json: bool, **more: str) -> None:
    from gantk.cli.sweep import children_table

    if as_json:
        write_json({**result.to_dict(), **more})
    else:
        write(children_table(result))


def show_table(sweep: Path) -> None:
    """Show the sweep's table as `gantk table` does; nothing if the sweep has no results."""
    from gantk.cli.table import show
    from gantk.tables.paper import reference_of, result_table
    from gantk.tables.significance import with_tests

    with suppress(EvaluationError):
        table, usual = result_table([sweep]), reference_of([sweep])
        show(with_tests(table, usual) if usual else table)


def _show_result(result: Any) -> None:
    """Print the test results, the paths of run and report, and useful next commands."""
    from rich.text import Text

    from gantk.tracking.folder import RunFolder

    runs = RunFolder(result.folder).runs
    here = result.folder.parent == Path("runs").absolute()
    name = result.folder.name if here else _near(result.folder)
    if result.summary:
        show_results(result.folder)
    write(
        Text(
            f"run     {result.folder}\n"
            f"report  {result.report}\n\n"
            "Next:\n"
            f"  gantk predict {name} INPUT -o OUTPUT\n"
            f"  gantk compare {name} OTHER_RUN\n"
            f"  gantk ui{'' if here else f' --runs {runs}'}"
        )
    )


def _near(path: Path) -> Path:
    """A path relative to the working folder, if it lies inside."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def show_results(run: Path) -> None:
    """Metrics by method, mean ± standard deviation over the test patients, each metric's best in bold."""
    from gantk.tables.grids import to_rich
    from gantk.tables.run import run_table

    write(to_rich(run_table(run).grid().transposed()))
