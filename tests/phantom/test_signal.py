"""The signal of tissue, with and without contrast agent."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import gantk.phantom.tumour as tumour_module
from gantk.phantom.anatomy import Atlas
from gantk.phantom.fields import stream
from gantk.phantom.signal import render
from gantk.phantom.subject import Model, build_model
from phantoms import SEED, high_grade, without_agent


def test_contrasts_are_in_the_right_order(models: list[Model]) -> None:
    for model in models:
        a, t = model.anatomy, model.tumour
        left = np.zeros(a.brain.shape, np.float32)
        left[a.brain] = sum(part for name, part in model.content.apart.items() if name != "csf")
        healthy = (t.core + t.oedema + t.enhancing + t.cavity < 0.01) & (left < 0.01)
        means = {
            name: {
                "grey": image[healthy & (a.grey > 0.95)].mean(),
                "white": image[healthy & (a.white > 0.95) & (a.periventricular < 0.05)].mean(),
                "csf": image[healthy & (a.csf > 0.95) & (a.depth > 10)].mean(),
                "oedema": image[t.oedema > 0.85].mean() if (t.oedema > 0.85).any() else None,
            }
            for name, image in model.images().items()
        }
        for name in ("t1", "t1ce"):
            assert means[name]["white"] > 1.05 * means[name]["grey"]
            assert means[name]["grey"] > 1.3 * means[name]["csf"]
        assert means["t2"]["csf"] > 1.5 * means["t2"]["grey"]
        assert means["t2"]["grey"] > 1.2 * means["t2"]["white"]
        assert means["flair"]["grey"] > means["flair"]["white"] > 3 * means["flair"]["csf"]
        if means["t2"]["oedema"] is not None:
            assert means["t2"]["oedema"] > 1.15 * means["t2"]["grey"]
            assert means["flair"]["oedema"] > 1.15 * means["flair"]["grey"]
            assert means["t1"]["oedema"] < means["t1"]["white"]


def test_contrast_agent_acts_where_it_is_and_nowhere_else(models: list[Model]) -> None:
    for model in models:
        before, after = without_agent(model), model.images()["t1ce"][model.anatomy.brain]
        apart, uptake = model.content.apart, model.content.uptake
        quiet = (uptake == 0) & (apart["blood"] == 0) & (apart["dura"] == 0)
        assert quiet.mean() > 0.6
        np.testing.assert_array_equal(after[quiet], before[quiet])
        rim = (model.tumour.labels == 4)[model.anatomy.brain]
        if rim.sum() > 20:
            assert after[rim].mean() > 1.05 * before[rim].mean()


def test_permeability_is_latent(models: list[Model]) -> None:
    """Another permeability changes T1ce alone; T1, T2 and FLAIR foretell only a part of the enhancement."""
    model = high_grade(models)[0]
    more = replace(model.content, uptake=2 * model.content.uptake)
    a, b = (render(c, model.tissues, model.protocol) for c in (model.content, more))
    for name in ("t1", "t2", "flair"):
        np.testing.assert_array_equal(a[name], b[name])
    assert (a["t1ce"] != b["t1ce"]).any()

    seen, felt = [], []
    for m in high_grade(models):
        images = render(m.content, m.tissues, m.protocol)
        white = (m.anatomy.white > 0.95)[m.anatomy.brain]
        rim = (m.tumour.enhancing > 0.95)[m.anatomy.brain]
        seen.append(np.stack([images[n][rim] / images[n][white].mean() for n in ("t1", "t2", "flair")]))
        felt.append(images["t1ce"][rim] / images["t1ce"][white].mean())
    x, y = np.concatenate(seen, 1), np.concatenate(felt)
    design = np.vstack([x, x**2, np.ones_like(y)]).T
    left = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
    explained = 1 - left.var() / y.var()
    assert 0.02 < explained < 0.8


def test_the_hidden_field_moves_t1ce_alone(atlas: Atlas, monkeypatch: pytest.MonkeyPatch) -> None:
    def otherwise(seed: int, subject: int, purpose: str) -> np.random.Generator:
        return stream(seed + 99 if purpose.startswith("permeability") else seed, subject, purpose)

    before = build_model(SEED, 0, 6.0, atlas)
    monkeypatch.setattr(tumour_module, "stream", otherwise)
    after = build_model(SEED, 0, 6.0, atlas)
    np.testing.assert_array_equal(before.tumour.labels, after.tumour.labels)
    a, b = before.images(), after.images()
    for name in ("t1", "t2", "flair"):
        np.testing.assert_array_equal(a[name], b[name])
    assert (a["t1ce"] != b["t1ce"]).any()
