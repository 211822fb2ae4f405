"""Baselines."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gantk.data.batch import Group
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


def drawn(seed: int, *, targets: int = 2, spatial: tuple[int, ...] = (6, 5)) -> Group:
    generator = torch.Generator().manual_seed(seed)
    source = 2 * torch.rand(3, 3, *spatial, generator=generator) - 1
    noise = torch.randn(3, targets, *spatial, generator=generator)
    target = (0.5 * source[:, :1] - 0.2 * source[:, 1:2] + 0.1 + 0.1 * noise).clamp(-1, 1)
    source[:, :, 0], target[:, :, 0] = -1, -1
    return Group(source, target, torch.zeros(3, 1, *spatial, dtype=torch.uint8), ("a",) * 3, (0, 1, 2))


@pytest.mark.parametrize("spatial", [(6, 5), (4, 6, 5)])
def test_linear_fit_against_numpy(spatial):
    training, test = [drawn(seed, spatial=spatial) for seed in (1, 2)], drawn(3, spatial=spatial)
    training.insert(1, Group(training[0].source, None, None, ("u",) * 3, (0, 1, 2)))
    layout = Layout(("t1", "t2", "flair"), ("t1ce", "other"))
    answer = baseline("linear_fit", layout, 2, iter(training))(test)

    def columns(images, inside):
        return np.moveaxis(images.numpy(), 1, -1)[inside]

    paired = [g for g in training if g.target is not None]
    seen = np.concatenate([columns(g.source, g.foreground.numpy()[:, 0]) for g in paired])
    wanted = np.concatenate([columns(g.target, g.foreground.numpy()[:, 0]) for g in paired])
    fit, *_ = np.linalg.lstsq(np.c_[seen, np.ones(len(seen))], wanted, rcond=None)
    inside = test.foreground.numpy()[:, 0]
    expected = np.c_[columns(test.source, inside), np.ones(inside.sum())] @ fit
    np.testing.assert_allclose(columns(answer, inside), expected.clip(-1, 1), atol=1e-5)
    assert set(columns(answer, ~inside).ravel()) == {-1}


def test_linear_fit_of_equal_channels_and_categories():
    training, test = drawn(1, targets=1), drawn(3, targets=1)
    alone = baseline("linear_fit", Layout(("t1", "t2", "flair"), ("t1ce",)), 1, iter([training]))(test)
    for group_ in (training, test):  # the first channel again, and a label map
        labels = torch.rand(group_.source[:, :1].shape, generator=torch.Generator().manual_seed(4))
        labels[:, :, 0] = -1
        group_.source = torch.cat([group_.source, group_.source[:, :1], labels], 1)
        group_.categories = (4,)
    layout = Layout(("t1", "t2", "flair", "again", "labels"), ("t1ce",))
    twice = baseline("linear_fit", layout, 1, iter([training]))(test)
    torch.testing.assert_close(twice[test.target > -1], alone[test.target > -1], atol=1e-5, rtol=0)


def test_linear_fit_needs_pairs():
    with pytest.raises(EvaluationError, match="linear_fit needs paired"):
        baseline("linear_fit", Layout(("t1",), ("t1ce",)), 1, iter(()))
