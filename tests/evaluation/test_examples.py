"""Example slices in a file."""

from __future__ import annotations

import numpy as np
import pytest

from gantk.errors import EvaluationError
from gantk.evaluation.examples import Examples
from known_predictions import GROUPS, brighter


def test_examples_round_trip(tmp_path):
    g = GROUPS["a"][0]
    output = brighter(0.1)(g)
    inputs = {"t1": g.source[:, :1], "t2": g.source[:, 1:2]}
    examples = Examples.of(g, inputs, g.target, {"a/b": output}, {"difficulty/a": output[:, :1] + 1})
    examples.save(tmp_path / "deep" / "examples.npz")
    again = Examples.load(tmp_path / "deep" / "examples.npz")
    assert again.titles == ["a, slice 0", "a, slice 1"]
    assert list(again.inputs) == ["t1", "t2"]
    assert list(again.outputs) == ["a/b"]
    np.testing.assert_array_equal(again.inputs["t2"], g.source[:, 1].numpy())
    np.testing.assert_array_equal(again.weights["difficulty/a"], output[:, 0].numpy() + 1)
    assert again.segmentation.dtype == np.uint8
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["examples.npz"]
    (tmp_path / "broken.npz").write_bytes((tmp_path / "deep" / "examples.npz").read_bytes()[:200])
    for path in (tmp_path / "broken.npz", tmp_path / "missing.npz"):
        with pytest.raises(EvaluationError):
            Examples.load(path)
