"""`gantk predict`: one subject or a cohort, the arguments, and refused options."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import gantk
from command_line import call
from gantk.api import ensemble, predict
from gantk.api.preparing import Request


class Loaded:
    """A model of one run; a folder `cohort` has several subjects."""

    def __init__(self, run: Path, device: str) -> None:
        self.name, self.device = run.name, device

    def samples(self, number: int, role: str | None) -> list[str]:
        return [Sample(f"{self.name} {self.device} {role} {n}") for n in range(number)]


class Sample(str):
    def members(self, source: Path) -> list[Path] | None:
        return [source / "P1"] if source.name == "cohort" else None


@pytest.fixture
def asked(runs: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The calls that the command makes; in a cohort one subject is made, one is kept and those in `failed` fail."""
    calls: dict[str, Any] = {"failed": 0}

    class Ensemble:
        def __init__(self, models: list[str]) -> None:
            calls["models"] = models

        def predict(self, source: Path, out: Path, request: Request, *, overwrite: bool) -> list[Path]:
            calls.update(source=source, out=out, request=request, overwrite=overwrite)
            return [out, out.with_name("spread.nii.gz")]

    def predict_cohort(models: list[str], source: Path, out: Path, **options: Any) -> SimpleNamespace:
        calls.update(options, models=models, source=source, out=out)
        status = ["made", "kept", *["failed"] * calls["failed"]]
        rows = [SimpleNamespace(status=one, file=f"P{n}.nii.gz") for n, one in enumerate(status)]
        return SimpleNamespace(rows=rows, counts=Counter(status), table=out / "predictions.csv", failed=calls["failed"])

    monkeypatch.setattr(ensemble, "Ensemble", Ensemble)
    monkeypatch.setattr(predict, "predict_cohort", predict_cohort)

    def load(run: Path, device: str) -> Loaded:
        calls["loaded"] = run.name
        return Loaded(run, device)

    monkeypatch.setitem(vars(gantk), "load", load)
    return calls


def test_one_subject(asked: dict[str, Any]) -> None:
    options = ["--role", "teacher", "--target", "t1ce", "--flips", "--size", "64x96", "--given", "age=60"]
    result = call("predict", "abl-other", "P1", "-o", "made.nii.gz", "--device", "cpu", *options, "--also", "spread")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines() == ["made.nii.gz", "spread.nii.gz"]
    assert asked["models"] == ["abl-other cpu teacher 0"]
    assert (asked["source"], asked["out"], asked["overwrite"]) == (Path("P1"), Path("made.nii.gz"), False)
    assert asked["request"] == Request("teacher", "t1ce", (64, 96), True, {"age": "60"}, ["spread"])


def test_further_runs_and_samples_are_averaged(asked: dict[str, Any]) -> None:
    result = call("predict", "abl-other", "P1", "-o", "x.nii", "--ensemble", "abl", "--samples", "2", "--overwrite")
    assert result.exit_code == 0, result.stderr
    assert asked["models"] == [f"{run} auto None {n}" for run in ("abl-other", "abl") for n in (0, 1)]
    assert asked["overwrite"]


@pytest.mark.parametrize(("failed", "code"), [(0, 0), (2, 1)])
def test_a_cohort_is_told_and_ends_in_1_where_someone_failed(asked: dict[str, Any], failed: int, code: int) -> None:
    asked["failed"] = failed
    result = call("predict", "abl-other", "cohort", "-o", "out", "--suffix", "_s", "--given", "site=a=b")
    assert result.exit_code == code, result.stderr
    counted = ("2 failed, " if failed else "") + "1 kept, 1 made"
    assert result.stdout.splitlines() == [str(Path("out", "P0.nii.gz")), f"{counted}: {Path('out', 'predictions.csv')}"]
    assert (asked["suffix"], asked["given"], asked["size"]) == ("_s", {"site": "a=b"}, None)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (["--size", "64"], "'64' is not a size; write height and width, as in 256x384"),
        (["--size", "0x64"], "'0x64' is not a size"),
        (["--given", "age"], "write NAME=VALUE, not 'age'"),
        (["--given", "age="], "write NAME=VALUE, not 'age='"),
        (["--samples", "0"], "--samples"),
    ],
)
def test_words_that_mean_nothing_are_refused_before_a_model_is_loaded(
    asked: dict[str, Any], option: list[str], said: str
) -> None:
    result = call("predict", "abl-other", "P1", "-o", "x.nii", *option)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.replace("│", " ").split())
    assert not {"loaded", "request"} & set(asked)
