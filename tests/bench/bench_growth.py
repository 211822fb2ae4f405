"""How a run grows with its cohort: `python tests/bench/bench_growth.py [--subjects 50 200 800] [--voxel 6]`.

For each number of phantom subjects a process of its own prepares the data, reads it again, trains one pass over all
slices with a small U-Net, evaluates the fifth of them that is the test and writes the report. Printed are processor
seconds per subject (all of it per subject of the cohort), and the most memory that the process and its workers held.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

RECIPE = Path(__file__).parents[2] / "recipes" / "unet_l1.toml"
PHASES = ("prepare", "read again", "train", "evaluate", "report")


def spent() -> float:
    """Processor seconds of this process and of the workers that have ended."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def measure(subjects: int, voxel: float) -> dict[str, float]:
    """Measure all phases in this process: seconds by phase, and MiB."""
    import gantk.api.course as course
    import gantk.report.html as html
    from gantk import run
    from gantk.api.cohort import open_cohort
    from gantk.plugins import load_plugins
    from gantk.progress import QuietProgress
    from gantk.recipe import load_recipe

    found: dict[str, float] = {}

    def timed(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*given: Any, **named: Any) -> Any:
            began = spent()
            try:
                return work(*given, **named)
            finally:
                found[name] = spent() - began

        return watched

    changes = [
        f"data.subjects={subjects}", f"data.voxel={voxel}", f"data.spacing={voxel}", "data.crop=[32, 32]",
        "translators.generator.generator.channels=8", "translators.generator.generator.levels=3",
        "data.paired_fraction=1.0", "data.steps_per_epoch=100000", "schedule.epochs=1", "schedule.decay_epochs=0",
        "tracking.enabled=false",
    ]  # fmt: skip
    recipe, registry = load_recipe(RECIPE, changes), load_plugins().registry
    for name in PHASES[:2]:
        cohort = timed(name, open_cohort)(recipe, registry, QuietProgress())
    steps = sum(len(cohort.store[patient]) for patient in cohort.split.paired) // recipe.data.batch["paired"]
    changes[7] = f"data.steps_per_epoch={steps}"
    course.Engine.run = timed("train", course.Engine.run)  # type: ignore[method-assign]
    course.assess = timed("evaluate", course.assess)
    html.write_report = timed("report", html.write_report)
    run(RECIPE, changes, progress=QuietProgress(), device="cpu")
    held = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return {**found, "MiB": held / 1024}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subjects", type=int, nargs="+", default=[50, 200, 800])
    parser.add_argument("--voxel", type=float, default=6.0)
    parser.add_argument("--alone", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.alone:
        print(json.dumps(measure(args.alone, args.voxel)))
        return
    print(f"{'subjects':>8}  " + "  ".join(f"{name:>12}" for name in PHASES) + f"  {'MiB':>6}  per subject, seconds")
    for subjects in args.subjects:
        with tempfile.TemporaryDirectory() as folder:
            what = ["--alone", str(subjects), "--voxel", str(args.voxel)]
            command = [sys.executable, str(Path(__file__).resolve()), *what]
            began = time.perf_counter()
            made = subprocess.run(
                command,
                cwd=folder,
                env=os.environ | {"GANTK_CACHE": folder},
                capture_output=True,
                text=True,
                check=True,
            )
            took = time.perf_counter() - began
        found = json.loads(made.stdout.splitlines()[-1])
        each = "  ".join(f"{found[name] / subjects:12.4f}" for name in PHASES)
        print(f"{subjects:8d}  {each}  {found['MiB']:6.0f}  ({took:.0f} s by the clock)", flush=True)


if __name__ == "__main__":
    main()
