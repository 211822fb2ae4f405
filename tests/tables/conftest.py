"""The sweeps behind the two tables of a paper."""

from __future__ import annotations

from pathlib import Path

import pytest

from gantk.data.split import Split
from written_sweeps import PATIENTS, SweepFolder, evaluate


@pytest.fixture
def ablation(tmp_path: Path) -> SweepFolder:
    """Table 2: two rows of one variant, one of another, over three seeds."""
    variants = (
        '[variants.full]\nlabel = "DS³ & co_1"\nreport = ["teacher", "student"]\n'
        '[variants.bare]\nlabel = "DS³ without maps"\n"maps.difficulty.enabled" = false\n'
    )
    sweep = SweepFolder(tmp_path / "table2", variants)
    for variant, student in (("full", 0.9), ("bare", 0.8)):
        for seed in range(3):
            evaluate(sweep.child(variant, seed), {"teacher": 0.7, "student": student}, seed)
    return sweep


@pytest.fixture
def fractions(tmp_path: Path) -> SweepFolder:
    """Table 1: two methods over paired fractions, one with its own, one without any; each with its own split."""
    variants = (
        '[variants.cut]\nlabel = "CUT"\n[variants.ds3]\nlabel = "DS³"\n'
        '[variants.only]\nlabel = "paired only"\n'
        '[variants.pix2pix]\nlabel = "Pix2Pix"\nsweep = { "data.paired_fraction" = [1.0] }\n'
    )
    sweep = SweepFolder(tmp_path / "table1", variants, '"data.paired_fraction" = [0.5, 0.05]\n"run.seed" = [0, 1]')
    training = [f"t{i}" for i in range(20)]

    def run(variant: str, changes: dict, mean: float) -> None:
        fraction = changes.get("data.paired_fraction", 1.0)
        paired = round(20 * fraction)
        split = Split(tuple(training[:paired]), tuple(training[paired:]), ("v",), tuple(PATIENTS))
        for seed in range(2):
            folder = sweep.child(variant, seed, changes)
            evaluate(folder, {"student": mean}, seed, fraction=fraction, split=split.hash)
            split.to_csv(folder / "split.csv")

    run("cut", {}, 0.6)
    for variant, means in (("ds3", (0.85, 0.8)), ("only", (0.86, 0.7))):
        for fraction, mean in zip((0.5, 0.05), means, strict=True):
            run(variant, {"data.paired_fraction": fraction}, mean)
    run("pix2pix", {"data.paired_fraction": 1.0}, 0.88)
    return sweep
