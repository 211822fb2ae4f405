"""The step as a term sees it: images, precision, gradients, errors."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from gantk import PluginError, TrainingError
from gantk.translation import Step, Term, View

HALF = lambda: torch.autocast("cpu", torch.bfloat16)  # noqa: E731


def test_what_a_map_asks_first_in_bf16_has_gradient_for_the_term_that_asks_next(step: Callable[..., Step]) -> None:
    view = View(step(autocast=HALF, terms=[Term("t", "one", "paired", lambda v: v.output.mean())]), "one", "paired")
    with torch.no_grad():  # as weight maps are computed
        asked = [view.output, view.judge(), view.features(layers=(0,))[0]]
    assert all(tensor.dtype == torch.float32 and tensor.requires_grad for tensor in asked)


# --- features -------------------------------------------------------------------------------------------------


def test_features_alone_do_not_decode(step: Callable[..., Step]) -> None:
    here = step()
    View(here, "one", "paired").features(layers=(0,))
    assert here.translators["one"].generator.asked == [((0,), False)]


def test_features_come_with_the_translation_where_the_plan_knows_of_them(step: Callable[..., Step]) -> None:
    from gantk import Needs

    terms = [Term("t", "one", "paired", lambda view: view.output.mean(), needs=Needs(layers=(0, 1)))]
    for first in ("features", "output"):
        here = step(terms=terms)
        view = View(here, "one", "paired")
        asked = {"features": lambda v=view: v.features(layers=(1,)), "output": lambda v=view: v.output}
        for what in (first, *(asked.keys() - {first})):
            asked[what]()
        assert here.translators["one"].generator.asked == [((0, 1), True)]


def test_a_generator_without_features_takes_the_image_alone(step: Callable[..., Step]) -> None:
    here = step()
    here.translators["one"].generator = nn.Conv2d(3, 1, 1)
    assert View(here, "one", "paired").output.shape == (2, 1, 16, 24)


# --- precision and gradient -------------------------------------------------------------------------------------


def test_what_networks_give_in_half_precision_is_handed_out_in_single(step: Callable[..., Step]) -> None:
    view = View(step(autocast=HALF), "one", "paired")
    exact = View(step(), "one", "paired")
    assert view.output.dtype == view.judge().dtype == view.features(layers=(0,))[0].dtype == torch.float32
    assert not torch.equal(view.output, exact.output)  # the network did run in half precision
    torch.testing.assert_close(view.output, exact.output, rtol=0, atol=0.02)


def test_a_judgement_in_full_precision_is_another_than_that_in_half(step: Callable[..., Step]) -> None:
    here, image = step(autocast=HALF), torch.rand(2, 1, 16, 24)
    view = View(here, "one", "paired")
    with torch.no_grad():
        expected = here.translators["one"].discriminator(image)
    assert torch.equal(view.judge(image, full_precision=True), expected)
    assert not torch.equal(view.judge(image), expected)


def test_double_precision_stays(step: Callable[..., Step]) -> None:
    here = step()
    here.translators["one"].double()
    here.batch["paired"].source = here.batch["paired"].source.double()
    view = View(here, "one", "paired")
    assert view.output.dtype == view.judge().dtype == torch.float64


def test_inference_has_no_gradient(step: Callable[..., Step]) -> None:
    view = View(step(inference=True), "one", "paired")
    assert not view.output.requires_grad
    assert not view.features(layers=(0,))[0].requires_grad
    assert not view.judge().requires_grad


def test_asked_for_first_without_gradient_an_image_still_has_one_when_it_is_wanted(step: Callable[..., Step]) -> None:
    here = step()
    view = View(here, "one", "paired")
    with torch.no_grad():  # as when a weight map asks
        view.judge()
    assert view.judge().requires_grad
    assert view.output.requires_grad
    assert view.translate(grad=False).requires_grad is False


# --- errors -----------------------------------------------------------------------------------------------------


def test_a_group_that_is_not_in_the_batch(step: Callable[..., Step]) -> None:
    with pytest.raises(TrainingError, match=r"no group 'pared'; it has: paired, unpaired"):
        _ = View(step(), "one", "pared").source


@pytest.mark.parametrize("what", ["source", "target", "segmentation"])
def test_what_a_group_lacks(step: Callable[..., Step], what: str) -> None:
    here = step()
    setattr(here.batch["paired"], what, None)
    with pytest.raises(TrainingError, match=f"the batch group 'paired' has no {what}"):
        getattr(View(here, "one", "paired"), what)


def test_a_judgement_where_there_is_no_discriminator(step: Callable[..., Step]) -> None:
    with pytest.raises(PluginError, match="the judgement of 'one', which has no discriminator"):
        View(step(discriminator=False), "one", "paired").judge()
