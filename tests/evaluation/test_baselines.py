"""Baselines."""

from __future__ import annotations

import pytest
import torch

from gantk.data.layout import Layout
from gantk.errors import EvaluationError
from gantk.evaluation.baselines import baseline
from known_predictions import GROUPS, SIZE, group


def test_input_baseline():
    g = GROUPS["a"][0]
    answer = baseline("input:t2", Layout(("t1", "t2"), ("t1ce",)), 3, iter(()))(g)
    assert answer.shape == (2, 3, SIZE, SIZE)
    assert torch.equal(answer[:, 1], g.source[:, 1])
    for wrong in ("input:flair", "input:", "mean"):
        with pytest.raises(EvaluationError, match="baselines"):
            baseline(wrong, Layout(("t1", "t2"), ("t1ce",)), 1, iter(()))


def test_training_mean_baseline():
    left = group("a", [0.2, 0.4], [False, False])
    left.source[1, :, 0] = -1  # the first row is brain in the first slice alone
    left.target[1, :, 0] = -1
    test = group("b", [0.9], [False])
    test.source[0, :, -1] = 0  # never brain in training
    answer = baseline("training_mean", Layout(("t1", "t2"), ("t1ce",)), 1, iter([left]))(test)[0, 0]
    assert answer[0].tolist() == pytest.approx([0.2] * SIZE)
    assert answer[1].tolist() == pytest.approx([0.3] * SIZE)
    assert answer[SIZE // 2].tolist() == [-1] * SIZE
    rows = SIZE // 2
    overall = (0.2 * rows + 0.4 * (rows - 1)) / (2 * rows - 1)
    assert answer[-1].tolist() == pytest.approx([overall] * SIZE)
    with pytest.raises(EvaluationError, match="paired"):
        baseline("training_mean", Layout(("t1",), ("t1ce",)), 1, iter(()))
