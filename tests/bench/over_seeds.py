"""A table of runs that differ in their seed alone: `python tests/bench/over_seeds.py RUN RUN ...`.

Prints Markdown: for each recipe and method the mean and the sample standard deviation, over runs, of each run's mean
over test patients. Runs with another split or other evaluation settings are refused.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections import defaultdict
from pathlib import Path


def main(folders: list[str]) -> None:
    values: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    shared = set()
    metrics: dict[str, str] = {}
    for folder in map(Path, folders):
        summary = json.loads((folder / "evaluation" / "summary.json").read_text())
        recipe = json.loads((folder / "status.json").read_text())["recipe"]
        shared.add((summary["split"], summary["settings"]))
        metrics |= {
            name: f"{m['title']} {m['region']} {'↑' if m['higher_is_better'] else '↓'}"
            for name, m in summary["metrics"].items()
        }
        for method, found in summary["methods"].items():
            for name, statistic in found.items():
                values[recipe, method][name].append(statistic["mean"])
    if len(shared) != 1:
        sys.exit(f"these runs do not compare, their (split, settings) differ: {sorted(shared)}")
    print("| recipe | method | runs | " + " | ".join(metrics.values()) + " |")
    print("|---" * (3 + len(metrics)) + "|")
    for (recipe, method), found in values.items():
        cells = [_cell(found[name], name) for name in metrics]
        print(f"| {recipe} | {method} | {len(next(iter(found.values())))} | " + " | ".join(cells) + " |")
    print(f"\nsplit {next(iter(shared))[0]}, evaluation settings {next(iter(shared))[1]}")


def _cell(values: list[float], name: str) -> str:
    digits = 2 if name.startswith("psnr") else 4
    spread = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.{digits}f}{spread}"


if __name__ == "__main__":
    main(sys.argv[1:])
