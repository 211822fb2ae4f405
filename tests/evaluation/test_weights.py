"""Where weight maps weigh, as evaluations recorded it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gantk.errors import EvaluationError
from gantk.evaluation.weights import light_in_tumours, read_weights


def evaluation(folder: Path, **maps: tuple[float | None, float | None]) -> Path:
    folder.mkdir()
    named = {f"{name}/student": dict(zip(("tumour", "brain"), means, strict=True)) for name, means in maps.items()}
    plain = {name: {key: mean for key, mean in means.items() if mean is not None} for name, means in named.items()}
    (folder / "weights.json").write_text(json.dumps(plain))
    return folder


def test_ratios_exist_where_both_regions_do(tmp_path: Path) -> None:
    found = read_weights(evaluation(tmp_path / "a", hard=(0.6, 0.4), half=(None, 0.4), zero=(0.5, 0.0)))
    assert [one.name for one in found] == ["hard/student", "half/student", "zero/student"]
    assert [str(round(one.ratio, 3)) for one in found] == ["1.5", "nan", "nan"]
    assert read_weights(tmp_path) == []


def test_maps_that_are_lower_in_tumors_are_told_once_for_all_runs(tmp_path: Path) -> None:
    one = evaluation(tmp_path / "a", hard=(0.9, 1.0), other=(2.0, 1.0), none=(None, 1.0))
    two = evaluation(tmp_path / "b", hard=(0.8, 1.0), other=(0.998, 1.0))
    assert list(light_in_tumours([one])) == [
        "weight map hard/student is lower in the tumor than in healthy brain (ratio 0.90)"
    ]
    assert list(light_in_tumours([one, two])) == [
        "weight map hard/student is lower in the tumor than in healthy brain in 2 of 2 runs (ratio 0.80 to 0.90)"
    ]  # a ratio that is written as 1.00 is not lower


@pytest.mark.parametrize("text", ["{", "[1]", '{"a": 1}', '{"a": {"tumour": "x"}}'])
def test_a_damaged_file_is_named_and_says_nothing_of_other_runs(text: str, tmp_path: Path) -> None:
    good, bad = evaluation(tmp_path / "a", hard=(0.9, 1.0)), evaluation(tmp_path / "b")
    (bad / "weights.json").write_text(text)
    with pytest.raises(EvaluationError, match=r"weights\.json.*evaluate the run again"):
        read_weights(bad)
    assert len(list(light_in_tumours([bad, good]))) == 1
