"""How often each network runs in a step: once per distinct input, and not at all if no term needs it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import nn

from gantk.training.optimizers import Optimizers
from gantk.training.update import Updater
from gantk.translation import Step, Term, View

PIX2PIX = [
    "data.crop=[16, 24]",
    "translators.generator.generator={use='unet', levels=3, channels=4}",
    "translators.generator.discriminator.channels=4",
]
DS3 = [
    "data.crop=[16, 24]",
    "translators.teacher.generator.channels=4",
    "translators.teacher.discriminator.channels=4",
]


@pytest.fixture
def passes(build: Callable[..., Any], make_group: Callable[..., Any]) -> Callable[..., Counter[str]]:
    """Counts what runs in one step of a recipe."""

    def count(name: str, *overrides: str, stage: str | None = None, accumulate: int = 1) -> Counter[str]:
        small = DS3 if "ds3" in name else PIX2PIX
        built = build(name, [*small, *overrides, f"training.accumulate={accumulate}"], stage=stage)
        counts: Counter[str] = Counter()

        def watch(label: str, module: nn.Module) -> None:
            module.register_forward_pre_hook(lambda *_: counts.update([label]))

        for role, translator in built.translators.items():
            watch(f"G {role}", translator.generator)
            watch(f"D {role}", translator.discriminator)
            if len(translator.heads):
                watch(f"H {role}", translator.heads["patch_nce"])
            for number, encoder in enumerate(getattr(translator.generator, "encoders", ())):
                watch(f"encoder {number} {role}", encoder[1])
            if hasattr(translator.generator, "decoder"):
                watch(f"decoder {role}", translator.generator.decoder[-1])
        groups = {group: make_group(2, seed=i, target=group == "paired") for i, group in enumerate(built.plan.groups)}
        optimizers = {
            role: Optimizers(translator, built.assembly.optimizers[role])
            for role, translator in built.translators.items()
        }
        updater = Updater(built.translators, optimizers, built.plan, built.recipe.training, nullcontext)
        updater.step([groups] * accumulate, dict.fromkeys(built.stage.roles, 1.0))
        return counts

    return count


# --- pix2pix ----------------------------------------------------------------------------------------


def test_pix2pix(passes: Callable[..., Counter[str]]) -> None:
    # G: the source. D: the real image and the synthesized one, each once for its own update; then, updated, the
    # synthesized one again for G's.
    assert passes("pix2pix.toml") == {"G generator": 1, "D generator": 3}


def test_pix2pix_in_either_order(passes: Callable[..., Counter[str]]) -> None:
    assert passes("pix2pix.toml", 'training.updates=["generator", "discriminator"]') == {
        "G generator": 1,
        "D generator": 3,
    }


def test_accumulating_two_batches_doubles_everything(passes: Callable[..., Counter[str]]) -> None:
    assert passes("pix2pix.toml", accumulate=2) == {"G generator": 2, "D generator": 6}


def test_pix2pix_without_the_adversarial_term_runs_no_discriminator(passes: Callable[..., Counter[str]]) -> None:
    assert passes("pix2pix.toml", "losses.adversarial.enabled=false") == {"G generator": 1}


def test_gradient_penalty_costs_one_judgement(passes: Callable[..., Counter[str]]) -> None:
    # D: real, synthesized, between the two; G: synthesized
    assert passes("pix2pix.toml", "losses.adversarial.use=wgan_gp") == {"G generator": 1, "D generator": 4}


# --- DS³-Net, both stages ------------------------------------------------------------------------------

# Encoders run for every image that enters, the decoder only where an output (or its first layer) is wanted.
TEACHER_ALONE = {
    "G teacher": 2,  # the paired source; the synthesized image, for the contrastive term
    **{f"encoder {i} teacher": 2 for i in range(3)},
    "decoder teacher": 1,  # the synthesized image is only encoded
    "H teacher": 2,  # queries and keys
    "D teacher": 3,  # real and synthesized for D, synthesized for G
}
JOINT = {
    "G teacher": 3,  # as above; and the unpaired source, for both distillations in one pass
    **{f"encoder {i} teacher": 3 for i in range(3)},
    "decoder teacher": 2,
    "H teacher": 2,
    "D teacher": 3,  # the difficulty map takes the scores that the adversarial term needs anyway
    "G student": 2,  # the unpaired source, with the features of the contrastive and distillation terms; its output
    **{f"encoder {i} student": 2 for i in range(3)},
    "decoder student": 1,
    "H student": 2,
    "D student": 3,
}


def test_ds3_first_stage(passes: Callable[..., Counter[str]]) -> None:
    assert passes("ds3_published.toml", stage="teacher") == TEACHER_ALONE


def test_ds3_second_stage(passes: Callable[..., Counter[str]]) -> None:
    assert passes("ds3_published.toml", stage="joint") == JOINT


def without(*names: str) -> list[str]:
    return [f"losses.{name}.enabled=false" for name in names]


def less(counts: dict[str, int], **removed: int) -> dict[str, int]:
    """Counts with some taken off; keys write `_` for a space and `encoders_` for each of the three."""
    left = Counter(counts)
    for key, number in removed.items():
        part, _, role = key.partition("_")
        names = [f"encoder {i} {role}" for i in range(3)] if part == "encoders" else [f"{part} {role}"]
        for name in names:
            left[name] -= number
    return {name: number for name, number in left.items() if number}


@pytest.mark.parametrize(
    ("switched_off", "expected"),
    [
        # the other distillation still needs the teacher's pass, but no more than that
        (without("feature_distillation"), JOINT),
        # features up to layer 21, the decoder's first, need no decoding
        (without("image_distillation"), less(JOINT, decoder_teacher=1)),
        (
            without("image_distillation", "feature_distillation"),
            less(JOINT, G_teacher=1, encoders_teacher=1, decoder_teacher=1),
        ),
        (without("teacher_patchwise"), less(JOINT, G_teacher=1, encoders_teacher=1, H_teacher=2)),
        (without("student_patchwise"), less(JOINT, G_student=1, encoders_student=1, H_student=2)),
        # the map still needs the scores of the synthesized image; D itself is no longer trained
        (without("teacher_adversarial"), less(JOINT, D_teacher=2)),
        ([*without("teacher_adversarial"), "maps.difficulty.enabled=false"], less(JOINT, D_teacher=3)),
        # the map is free where the adversarial term has the scores
        (["maps.difficulty.enabled=false"], JOINT),
        # the student's real image is the same teacher's output that distillation uses
        (['losses.student_adversarial.real="teacher.output"'], JOINT),
    ],
)
def test_a_term_switched_off_takes_its_passes_with_it(
    passes: Callable[..., Counter[str]], switched_off: list[str], expected: dict[str, int]
) -> None:
    assert passes("ds3_published.toml", *switched_off, stage="joint") == expected


# --- the memo -----------------------------------------------------------------------------------------


@pytest.fixture
def step(build: Callable[..., Any], make_group: Callable[..., Any]) -> Any:
    built = build("ds3_published.toml", DS3, stage="joint")
    built.batch = {"paired": make_group(2, seed=1), "unpaired": make_group(2, seed=2, target=False)}
    built.step = Step(built.translators, built.plan, built.batch)
    return built


def calls(module: nn.Module) -> list[int]:
    counted = [0]
    module.register_forward_pre_hook(lambda *_: counted.__setitem__(0, counted[0] + 1))
    return counted


def test_two_terms_that_need_the_same_tensor_get_the_same_tensor(step: Any) -> None:
    counted = calls(step.translators["teacher"].generator)
    one = View(step.step, "teacher", "paired", step.term("teacher_pixelwise"))
    other = View(step.step, "teacher", "paired", step.term("teacher_patchwise"))
    assert one.output is other.output
    of_a_map = View(step.step, "teacher", "paired")
    assert other.features(layers=(4, 8))[8] is of_a_map.features(layers=(8,))[8]
    assert one.fake is other.fake
    assert one.judge() is other.judge()
    assert one.weight is other.weight
    assert one.as_source(one.output) is other.as_source(other.output)
    assert counted == [1]


def test_without_gradient_is_taken_from_the_pass_with_gradient(step: Any) -> None:
    counted = calls(step.translators["student"].generator)
    view = View(step.step, "student", "unpaired", step.term("image_distillation"))
    with_gradient, without_gradient = view.output, view.translate(grad=False)
    assert counted == [1]
    assert with_gradient.requires_grad
    assert not without_gradient.requires_grad
    assert torch.equal(with_gradient, without_gradient)
    assert view.translate(grad=False) is without_gradient


def test_another_step_computes_anew(step: Any) -> None:
    view = View(step.step, "teacher", "paired")
    other = View(Step(step.translators, step.plan, step.batch), "teacher", "paired")
    assert view.output is not other.output


def test_judgements_are_forgotten_and_translations_kept(step: Any) -> None:
    view = View(step.step, "teacher", "paired", step.term("teacher_pixelwise"))
    output, judged, weight = view.output, view.judge(), view.weight
    step.step.forget_judgements()
    assert view.output is output
    assert view.judge() is not judged
    assert view.weight is not weight


class JudgesTheRealImage:
    """A game whose generator side looks at the real image's scores too, as relativistic losses do."""

    def __call__(self, view: View) -> torch.Tensor:
        return (view.judge(view.target) - view.judge()).mean()

    def discriminator(self, view: View) -> torch.Tensor:
        return view.judge(view.target).mean()


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("updates", [("discriminator", "generator"), ("generator", "discriminator")])
def test_scores_made_for_one_side_are_not_used_by_the_other(
    build: Callable[..., Any], make_group: Callable[..., Any], updates: tuple[str, str], accumulate: int
) -> None:
    built = build("pix2pix.toml", PIX2PIX)
    built.plan.terms[:] = [Term("game", "generator", "paired", JudgesTheRealImage())]
    counted = calls(built.translators["generator"].discriminator)
    before = [p.detach().clone() for p in built.translators["generator"].discriminator.parameters()]
    settings = built.recipe.training.model_copy(update={"updates": updates})
    optimizers = {"generator": Optimizers(built.translators["generator"], built.assembly.optimizers["generator"])}
    updater = Updater(built.translators, optimizers, built.plan, settings, nullcontext)
    updater.step([{"paired": make_group(2, seed=1)}] * accumulate, {"generator": 1.0})
    assert counted == [3 * accumulate]
    after = built.translators["generator"].discriminator.parameters()
    assert not all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
