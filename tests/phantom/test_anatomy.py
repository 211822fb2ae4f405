"""Brains of the phantom."""

from __future__ import annotations

import numpy as np

import gantk.phantom.anatomy as anatomy_module
from gantk.phantom.anatomy import Atlas, Deformation
from gantk.phantom.grid import Grid
from gantk.phantom.subject import Model
from phantoms import SEED


def test_fractions_fill_the_brain_and_nothing_else(models: list[Model]) -> None:
    for model in models:
        a, t = model.anatomy, model.tumour
        total = a.grey + a.white + a.csf
        np.testing.assert_allclose(total[a.brain], 1, atol=1e-4)
        assert not total[~a.brain].any()
        lesion = t.core + t.oedema + t.enhancing + t.cavity
        assert (t.clot <= t.core).all()
        assert lesion.min() >= 0
        assert lesion.max() <= 1 + 1e-5
        assert not lesion[~a.brain].any()
        assert not t.labels[~a.brain].any()
        for image in model.images().values():
            assert np.isfinite(image).all()
            assert not image[~a.brain].any()


def test_stripped_edges_are_sharp_at_one_millimetre(atlas: Atlas) -> None:
    assert not anatomy_module._rim(np.ones((3, 3, 3), bool), 1.0).any()
    dot = np.zeros((5, 5, 5), bool)
    dot[2, 2, 2] = True
    assert anatomy_module._rim(dot, 2.0).sum() == 26


def test_old_brains_hold_more_fluid(atlas: Atlas) -> None:
    grid = Grid.over_box(6.0)
    brains = [Deformation(SEED, k, atlas) for k in range(14)]
    fluid = [m.csf[m.brain].mean() for m in (b.tissue(grid) for b in brains)]
    assert np.corrcoef([b.age for b in brains], fluid)[0, 1] > 0.4
