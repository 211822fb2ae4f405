"""A slice that a figure translates is the slice that the run's evaluation kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import gantk
from gantk.api.figure import compare_slices
from gantk.errors import UsageError
from gantk.evaluation.examples import Examples
from gantk.progress import QuietProgress
from gantk.report.selection import SliceName

WAYS = {
    "plain": [],
    "averaged weights, outside the brain black": ["training.ema=0.5", 'evaluation.mask="foreground"'],
    "neighbouring slices, a hidden input": ["data.neighbours=1", 'evaluation.missing=["t2"]'],
}
SHORT = ["schedule.teacher_epochs=2", "schedule.joint_epochs=1", "evaluation.examples=3"]


@pytest.fixture(autouse=True)
def without_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing it takes longer than the run."""
    monkeypatch.setattr("gantk.report.html.write_report", lambda folder: folder / "report.html")


def assert_translated_as_kept(run: Path, roles: list[str]) -> None:
    path = run / "evaluation" / "examples.npz"
    kept = Examples.load(path)
    path.unlink()  # so that the figure has to translate
    for index, title in enumerate(kept.titles):
        name = SliceName.parse(title)
        found = compare_slices(
            [run], patient=name.patient, place=name.place, roles=roles, device="cpu", progress=QuietProgress()
        )
        assert found.title == title
        assert kept.target is not None
        np.testing.assert_array_equal(found.target, kept.target[index])
        np.testing.assert_array_equal(found.segmentation, kept.segmentation[index])
        assert found.inputs.keys() == kept.inputs.keys()
        for modality, image in found.inputs.items():
            np.testing.assert_array_equal(image, kept.inputs[modality][index])
        assert len(found.outputs) == len(roles)
        for role, output in zip(roles, found.outputs.values(), strict=True):
            # there it was one of a batch, whose sums are grouped differently
            np.testing.assert_allclose(output, kept.outputs[role][index], rtol=0, atol=2e-6)
    first, second = (kept.outputs[role] for role in roles)
    assert np.abs(first - second).max() > 1e-3  # so that a mix-up of roles would show


@pytest.mark.parametrize("way", WAYS)
def test_a_translated_slice_equals_the_kept_one(recipe: Path, tmp_path: Path, way: str) -> None:
    result = gantk.run(recipe, [*SHORT, *WAYS[way]], device="cpu", out=tmp_path, progress=QuietProgress())
    assert_translated_as_kept(result.folder, ["teacher", "student"])


def test_slices_that_are_not_there_are_refused(recipe: Path, tmp_path: Path) -> None:
    run = gantk.run(recipe, SHORT, device="cpu", out=tmp_path, progress=QuietProgress()).folder
    patient = SliceName.parse(Examples.load(run / "evaluation" / "examples.npz").titles[0]).patient
    with pytest.raises(UsageError, match=f"patient '{patient}' has no slice 99 with brain") as caught:
        compare_slices([run], patient=patient, place=99, device="cpu", progress=QuietProgress())
    assert "choose one from" in str(caught.value.mend)
