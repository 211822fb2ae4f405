"""`[evaluation]`: metrics by name or as tables."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from gantk.recipe.evaluation import EvaluationSettings


def test_metrics_are_names_or_tables_with_parameters() -> None:
    settings = EvaluationSettings.model_validate({"metrics": ["psnr", {"use": "lpips", "net": "vgg"}]})
    assert settings.measures == {"psnr": {}, "lpips": {"net": "vgg"}}
    assert list(EvaluationSettings().measures) == ["ssim", "psnr", "mse"]


@pytest.mark.parametrize(
    ("metrics", "said"),
    [
        ([3], 'each metric must be a name, or a table such as { use = "lpips", net = "vgg" }'),
        ([{"net": "vgg"}], "each metric must be a name, or a table"),
        ([""], "each metric must be a name, or a table"),
        (["psnr", {"use": "psnr"}], "entries must not be repeated"),
        ([], "at least 1 item"),
        ("psnr", "list"),
    ],
)
def test_what_is_no_metric_is_said_plainly(metrics: Any, said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        EvaluationSettings.model_validate({"metrics": metrics})
    (error,) = caught.value.errors()
    assert said in error["msg"]


@pytest.mark.parametrize("wrong", [{"regions": ["head"]}, {"regions": []}, {"batch": 0}, {"examples": 65}, {"x": 1}])
def test_other_keys_have_ranges(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        EvaluationSettings.model_validate(wrong)
