"""Outputs of networks: images, features and additional outputs."""

from __future__ import annotations

import pytest
import torch

from gantk.errors import PluginError
from gantk.translation.protocols import Translation, no_extra, output_of

IMAGE, FEATURE, SPREAD = torch.ones(1, 1, 2, 2), torch.full((1, 3, 1, 1), 2.0), torch.full((1, 1, 2, 2), 3.0)


def test_an_answer_with_and_without_features_is_one_thing() -> None:
    plain = Translation.of(IMAGE)
    assert (plain.output, plain.features, plain.extra) == (IMAGE, {}, {})
    whole = Translation(IMAGE, {4: FEATURE})
    assert Translation.of(whole) is whole
    output, features = whole
    assert (output, features) == (IMAGE, {4: FEATURE})
    assert output_of(IMAGE) is output_of(whole) is IMAGE


def test_every_tensor_is_changed_alike() -> None:
    changed = Translation(IMAGE, {4: FEATURE}, {"spread": SPREAD}).changed(lambda tensor: -tensor)
    assert torch.equal(output_of(changed), -IMAGE)
    assert torch.equal(changed.features[4], -FEATURE)
    assert torch.equal(changed.extra["spread"], -SPREAD)
    assert Translation(None, {}).changed(torch.neg).output is None


def test_what_a_generator_does_not_make_is_said_with_what_it_makes() -> None:
    error = no_extra("spred", ["spread"], "generator 'g' of the plugin mine 1", "losses.x")
    assert isinstance(error, PluginError)
    assert str(error).startswith("losses.x: the generator 'g' of the plugin mine 1 has no further output 'spred'")
    assert "did you mean 'spread'?" in str(error)
    with pytest.raises(PluginError, match="none is known"):
        raise no_extra("spread", [], "generator")
