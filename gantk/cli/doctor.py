"""`gantk doctor`: check everything that a run needs, and say how to fix it."""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import typer

from gantk.cli.console import table, write, write_json
from gantk.cli.options import AsJson, RunsFolder, TrackingUri
from gantk.errors import GantkError, UsageError, redact
from gantk.files import leftovers
from gantk.runs.files import SPLIT, RunFiles, is_run, runs_in
from gantk.workers import cores

State = Literal["ok", "warn", "fail"]
GIB = 2**30


@dataclass(frozen=True)
class Check:
    """The outcome of one check."""

    name: str
    state: State
    found: str
    mend: str = ""


def doctor(
    runs: RunsFolder = Path("runs"),
    tracking_uri: TrackingUri = None,
    as_json: AsJson = False,
) -> None:
    """Check this computer: torch, device, memory, disk, leftovers, prepared slices, plugins and MLflow.

    The exit code is 1 if a check fails.
    """
    checks = list(_all_checks(runs, tracking_uri))
    if as_json:
        write_json([vars(check) for check in checks])
    else:
        _show(checks)
    if any(check.state == "fail" for check in checks):
        raise typer.Exit(1)


def _all_checks(runs: Path, tracking_uri: str | None) -> Iterator[Check]:
    looks: tuple[Callable[[], Iterator[Check]], ...] = (
        _python,
        _torch,
        _packages,
        _memory,
        lambda: _folders(runs),
        lambda: _left_behind(runs),
        lambda: _damaged_runs(runs),
        _slices,
        _plugins,
        lambda: _mlflow(runs, tracking_uri),
    )
    for look in looks:
        try:
            yield from look()
        except Exception as error:  # a broken part must not hide the other checks
            name = getattr(look, "__name__", "check").strip("_<>")
            mend = "reinstall gantk with its dependencies"
            yield Check(name, "fail", redact(f"{type(error).__name__}: {error}".splitlines()[0]), mend)


def _python() -> Iterator[Check]:
    import platform

    import gantk

    yield Check("gantk", "ok", gantk.__version__)
    yield Check("python", "ok", f"{platform.python_version()} on {platform.platform()}")


def _torch() -> Iterator[Check]:
    import torch

    yield Check("torch", "ok", torch.__version__)
    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        yield Check("device", "ok", f"cuda: {', '.join(names)}")
    elif torch.backends.mps.is_available():
        yield Check("device", "ok", "mps")
    else:
        yield Check("device", "ok", "cpu")
    threads, available = torch.get_num_threads(), cores()
    few = threads < available // 2
    mend = "unset OMP_NUM_THREADS, or set it to the number of cores" if few else ""
    yield Check("threads", "warn" if few else "ok", f"torch uses {threads} of {available} cores", mend)


def _packages() -> Iterator[Check]:
    from gantk.tracking.environment import versions

    found = {name: version for name, version in versions().items() if name not in ("gantk", "torch")}  # reported above
    missing = [name for name, version in found.items() if version is None]
    if missing:
        yield Check("packages", "fail", f"missing: {', '.join(missing)}", f"pip install {' '.join(missing)}")
    else:
        yield Check("packages", "ok", ", ".join(f"{name} {version}" for name, version in found.items()))


def _memory() -> Iterator[Check]:
    import psutil

    memory = psutil.virtual_memory()
    found = f"{memory.available / GIB:.1f} of {memory.total / GIB:.1f} GiB free"
    if memory.available < 2 * GIB:
        yield Check("memory", "warn", found, "close other programs, or make data.crop or training batches smaller")
    else:
        yield Check("memory", "ok", found)


def _folders(runs: Path) -> Iterator[Check]:
    for name, folder in (("cache", _cache_folder()), ("runs", runs.absolute())):
        there = next(parent for parent in (folder, *folder.parents) if parent.exists())
        try:
            with tempfile.TemporaryFile(dir=there):
                pass
        except OSError as error:
            mend = "set GANTK_CACHE to a writable folder" if name == "cache" else "choose another folder with --runs"
            yield Check(name, "fail", f"{folder} cannot be written: {error.strerror}", mend)
            continue
        free = shutil.disk_usage(there).free
        found = f"{folder}, {free / GIB:.1f} GiB free"
        little: State = "warn" if free < 5 * GIB else "ok"
        yield Check(name, little, found, "free some space: a run can take several GiB" if little == "warn" else "")


def _left_behind(runs: Path) -> Iterator[Check]:
    """Leftovers of killed processes: half-written files, and folders of runs that never started."""
    partial = [path for root in (runs, _cache_folder()) for path in _half_written(root)]
    if partial:
        found = f"{_counted(partial, 'half-written file')} of killed processes"
        yield Check("leftovers", "warn", found, _removal(partial))
    begun = [path for path in runs.glob("[!.]*") if path.is_dir() and _never_began(path)]
    if begun:
        yield Check("leftovers", "warn", f"{_counted(begun, 'folder')} of runs that never began", _removal(begun))


def _half_written(root: Path) -> Iterator[Path]:
    for folder, below, _ in os.walk(root):
        yield from leftovers(Path(folder))
        below[:] = [name for name in below if not name.startswith(".")]


def _never_began(folder: Path) -> bool:
    """Whether a folder has only the first files of a run, and no recipe to resume from."""
    return not is_run(folder) and {path.name for path in folder.iterdir()} <= {SPLIT, ".lock"}


def _damaged_runs(runs: Path) -> Iterator[Check]:
    for folder in runs_in(runs):
        for damage in RunFiles(folder).damages():
            yield Check(f"run {folder.name}", "warn", str(damage))


def _slices() -> Iterator[Check]:
    """Prepared slices that differ from what was written, for example after a bit flip on the disk."""
    from gantk.data.store import damaged_patients
    from gantk.progress import default_progress

    count, damaged = damaged_patients(_cache_folder(), default_progress())
    if damaged:
        found = f"{len(damaged)} of {count} prepared patients differ from their checksums"
        yield Check("slices", "warn", found, f"the next run rebuilds them; to remove them: {_removal(damaged)}")
    else:
        yield Check("slices", "ok", f"{count} prepared patients, all undamaged")


def _counted(paths: Sequence[Path], what: str) -> str:
    return f"{len(paths)} {what}{'' if len(paths) == 1 else 's'}"


def _removal(paths: Sequence[Path]) -> str:
    return f"rm -r {' '.join(shlex.quote(str(path.absolute())) for path in paths)}"


def _cache_folder() -> Path:
    from gantk.data.cache import gantk_cache_dir

    return gantk_cache_dir()


def _plugins() -> Iterator[Check]:
    from gantk.plugins import load_plugins

    for plugin in load_plugins(strict=False).plugins:
        name = f"plugin {plugin.name}"
        if plugin.state == "failed":
            mend = f"repair or uninstall it, or set GANTK_DISABLE_PLUGINS={plugin.name}"
            yield Check(name, "fail", plugin.reason, mend)
        elif plugin.state == "disabled":
            yield Check(name, "warn", f"disabled: {plugin.reason}")
        else:
            yield Check(name, "ok", f"{plugin.distribution} {plugin.version}")


def _mlflow(runs: Path, tracking_uri: str | None) -> Iterator[Check]:
    from gantk.tracking.store import Store, probe, resolve_uri

    try:
        uri = resolve_uri(runs, tracking_uri)
    except UsageError as error:
        yield Check("mlflow", "fail", f"{error.where}: {error.why}", error.mend or "")
        return
    store = Store(uri)
    try:
        probe(uri)
        if store.database is not None and not store.database.exists():
            yield Check("mlflow", "ok", f"{uri} (the first run creates it)")
            return
        store.client()
    except GantkError as error:
        mend = "runs continue without it; upload later with `gantk sync RUN`"
        yield Check("mlflow", "warn", str(error), mend)
    else:
        yield Check("mlflow", "ok", uri)


def _show(checks: list[Check]) -> None:
    from rich.text import Text

    styles = {"ok": "green", "warn": "yellow", "fail": "bold red"}
    rows = [(Text(check.state, styles[check.state]), check.name, check.found, check.mend) for check in checks]
    write(table(("", "check", "found", "mend"), rows))
