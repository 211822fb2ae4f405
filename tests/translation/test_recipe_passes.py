"""Forward passes of one step, for every shipped recipe, stage by stage, beside those of the published code.

The unit is one pass of a batch group's images, so that two groups run through a network side by side are two:

    encode ROLE   images enter the generator
    decode ROLE   they reach its end; the others left it once the features wanted were had
    judge ROLE    images go through the discriminator
    project ROLE  features go through projection heads
    look          images go through a frozen feature network

Published counts are read from the codes of pix2pix and CycleGAN, CUT, pGAN, ResViT, MM-GAN and DiamondGAN. Where
there is none (DS³-Net, MedGAN, mustGAN, our own three) they follow from the paper, as each comment says.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from gantk.api.checks import make_scheduler
from gantk.plugins import Registry
from gantk.recipe import Recipe, dump_recipe, load_recipe, recipe_from_table
from gantk.recipe.variants import is_sweep, load_sweep
from gantk.training.optimizers import Optimizers
from gantk.training.update import Updater
from gantk.translation import Assembly, StagePlan, Translator, assemble
from small_recipes import BATCH, batch, small

pytestmark = pytest.mark.slow

RECIPES = Path(__file__).parents[2] / "recipes"

Passes = dict[str, int]


@dataclass(frozen=True)
class Step:
    """The passes of one step: ours, and those of the published code."""

    ours: Passes
    published: Passes


def translator(role: str, encode: int, decode: int, judge: int, project: int = 0) -> Passes:
    """The passes of one role, without those that are 0."""
    passes = {"encode": encode, "decode": decode, "judge": judge, "project": project}
    return {f"{what} {role}": number for what, number in passes.items() if number}


def both(passes: Passes) -> Step:
    """The same counts for ours and the published code."""
    return Step(passes, passes)


# --- with pairs -----------------------------------------------------------------------------------------

# G: the source. D: the real image and the translated one for its own update; updated, the translated one for G's.
PIX2PIX = translator("generator", 1, 1, 3)

COUNTS: dict[str, dict[str, Step]] = {
    "pix2pix": {"training": both(PIX2PIX)},
    "unet_l1": {"training": both(translator("generator", 1, 1, 0))},
    "unet_residual": {"training": both(translator("generator", 1, 1, 0))},
    # Each network once; then each of the committee also on the mirrored slices.
    # The student sees both groups, its average the unpaired slices mirrored.
    "mean_teacher": {"training": both(translator("student", 2, 2, 0) | translator("teacher", 1, 1, 0))},
    "unet_committee": {
        "teachers": both(translator("teacher", 1, 1, 0) | translator("first", 1, 1, 0) | translator("second", 1, 1, 0)),
        "student": both(translator("student", 1, 1, 0) | translator("first", 2, 2, 0) | translator("second", 2, 2, 0)),
    },
    # As pix2pix, and the target once more for its features; a judgment is of all scales.
    "pix2pixhd": {"training": both(translator("generator", 1, 1, 4))},
    # As pix2pix; the registration network is a module of the term.
    "reggan": {"training": both(PIX2PIX | {"project generator": 1})},
    # Both encode their own image and the other's output, and decode for themselves and for the other. The published
    # code encodes and translates again for the discriminators' update.
    "munit": {
        "training": Step(
            translator("a2b", 2, 2, 3) | translator("b2a", 2, 2, 3),
            translator("a2b", 3, 3, 3) | translator("b2a", 3, 3, 3),
        )
    },
    # There, back, and there again for the second update of D, which sees the real image, the translated one and one
    # between them in either; then the translated one for G's.
    "stargan": {"training": both(translator("generator", 3, 3, 2 * 3 + 1))},
    # One pass with a state; in steps at test alone.
    "flow_matching": {"training": both(translator("generator", 1, 1, 0))},
    # As pix2pix; the features of D are those of its judgments, and G's of the target is one more.
    "spade": {"training": both(translator("generator", 1, 1, 4))},
    # The VGG sees the target and the translated image.
    "pgan": {"training": both(PIX2PIX | {"look": 2})},
    # Phase by phase as pix2pix.
    "resvit": {
        "pretraining": both(translator("pretraining", 1, 1, 3)),
        "transformers": both(PIX2PIX),
    },
    # Three updates of G, each with its own translation, judged beside the target for the features of D, both seen by
    # the VGG; then one of D. The paper's algorithm translates once more for D; here D is shown the last translation.
    "medgan": {
        "training": Step(
            translator("generator", 3, 3, 3 * 2 + 2) | {"look": 3 * 2},
            translator("generator", 4, 4, 3 * 2 + 2) | {"look": 3 * 2},
        )
    },
    # G then D. The code translates again for D, with the updated G; here D is trained on the same outputs as G.
    "mmgan": {"training": Step(PIX2PIX, translator("generator", 2, 2, 3))},
    # No code: each stream, and then the joint network, whose streams run within its own pass, is trained as pGAN's
    # code trains.
    "mustgan": {
        "streams": both(
            translator("t1_stream", 1, 1, 3)
            | translator("t2_stream", 1, 1, 3)
            | translator("flair_stream", 1, 1, 3)
            | translator("many_stream", 1, 1, 3)
        ),
        "fusion": both(translator("fusion", 1, 1, 3)),
    },
    # Not a published method: pix2pix twice; the teacher runs up to its last distilled layer.
    "pix2pix_distilled": {
        "teacher": both(translator("teacher", 1, 1, 3)),
        "student": both(translator("student", 1, 1, 3, project=1) | {"encode teacher": 1}),
    },
    # --- without pairs ------------------------------------------------------------------------------------
    # Each G: what it translates, the other's output that it leads back, and the image of its own kind that it must
    # leave alone. Each D: the output for G; the real image and a pooled output for its own update.
    "cyclegan": {"training": both(translator("a2b", 3, 3, 3) | translator("b2a", 3, 3, 3))},
    # As CycleGAN without identity. The code translates once to train D, by `predict`, and again to train G.
    "diamondgan": {
        "training": Step(
            translator("forward", 2, 2, 3) | translator("backward", 2, 2, 3),
            translator("forward", 3, 3, 3) | translator("backward", 3, 3, 3),
        )
    },
    # Source and target are translated, and all four images' features compared. The code encodes source and target
    # to translate them and again for the keys; here the keys come from the pass that translates.
    "cut": {"training": Step(translator("generator", 4, 2, 3, project=4), translator("generator", 6, 2, 3, project=4))},
    # The same of the source alone, in steps without mirroring ...
    "fastcut": {
        "training": Step(translator("generator", 2, 1, 3, project=2), translator("generator", 3, 1, 3, project=2))
    },
    # ... and in those with it: the mirror image is one image more to encode.
    "fastcut, mirrored": {"training": both(translator("generator", 3, 1, 3, project=2))},
}
# The map takes the scores that the adversarial term needs.
COUNTS["cut_difficulty"] = COUNTS["cut"]


# --- DS³-Net, whose code is not published -----------------------------------------------------------------


def ds3(
    nce: bool = True, image: bool = True, features: bool = True, student_judge: int = 3, student: bool = True
) -> dict[str, Step]:
    """DS³-Net with or without some of its terms.

    As published counts what the paper's terms take as CUT's code, which its patchwise term is from, computes them: the
    encoder runs again for features, keys and queries each, while an image translated once is kept. That the
    difficulty map keeps the scores of the adversarial term is granted too.
    """
    teacher = Step(
        # the source; with the patchwise term the output, encoded
        translator("teacher", 1 + nce, 1, 3, 2 * nce),
        # the source; the output and the source again
        translator("teacher", 1 + 2 * nce, 1, 3, 2 * nce),
    )
    if not student:
        return {"teacher": teacher, "joint": teacher}
    joint = Step(
        # the teacher also on unpaired sources, for both distillations at once
        translator("teacher", 1 + nce + (image or features), 1 + image, 3, 2 * nce)
        | translator("student", 1 + nce, 1, student_judge, 2 * nce),
        translator("teacher", 1 + 2 * nce + image + features, 1 + image, 3, 2 * nce)
        | translator("student", 1 + 2 * nce + features, 1, student_judge, 2 * nce),
    )
    return {"teacher": teacher, "joint": joint}


def few_pairs() -> dict[str, Step]:
    """DS³-Net whose student follows its teacher and three others, each asked for the slices and their mirror images.

    The estimator learns the errors of the first and the second on the half of the pairs that they are not trained on.
    """
    published = ds3(image=False)
    learning = (
        translator("first", 2, 2, 0)
        | translator("second", 2, 2, 0)
        | translator("third", 1, 1, 0)
        | translator("estimator", 2, 2, 0)
    )
    asked = translator("estimator", 1, 1, 0)
    for role in ("first", "second", "third"):
        asked |= translator(role, 2, 2, 0)
    teacher, joint = published["teacher"], published["joint"]
    return {
        "teacher": Step(teacher.ours | learning, teacher.published | learning),
        "joint": Step(
            # the feature distillation needs the teacher's pass over the slices as they are, too
            joint.ours | asked | translator("teacher", 4, 3, 3, 2),
            joint.published | asked | translator("teacher", 6, 3, 3, 2),
        ),
    }


COUNTS |= {
    "ds3_published": ds3(),
    "ds3_semi": few_pairs(),
    "ds3_paired_only": ds3(student=False),
    "without feature distillation": ds3(features=False),
    "without image distillation": ds3(image=False),
    "without PatchNCE": ds3(nce=False),
    # the difficulty map alone asks for the scores of the student's output
    "without the student's adversarial term": ds3(student_judge=1),
}
DS3_LIKE = {name for name in COUNTS if name.startswith(("ds3", "without"))} - {"without PatchNCE", "ds3_semi"}
STRICTLY_UNDER = {"cut", "cut_difficulty", "fastcut", *DS3_LIKE}

# Which counts hold for recipes and variants that have no entry under their own name.
SAME = {
    "ds3_timm": "ds3_semi",
    "volumes_unet_l1": "unet_l1",
    "volumes_pix2pix": "pix2pix",
    "volumes_ds3_5pct": "ds3_semi",
    "ds3_5pct": "ds3_published",
    "ds3_5pct_improved": "ds3_semi",
    "ds3": "ds3_published",
    "ds3_all": "ds3_published",
    "ds3_few": "ds3_semi",
    "full": "ds3_published",
    "no_difficulty_maps": "ds3_published",
    "constant_weight": "ds3_published",
    "no_feature_distillation": "without feature distillation",
    "no_image_distillation": "without image distillation",
    "no_patch_nce": "without PatchNCE",
    "no_student_adversarial": "without the student's adversarial term",
}


# --- counting ---------------------------------------------------------------------------------------------


def cases() -> Iterator[Any]:
    """Every recipe and every variant, by the name of its counts."""
    for path in sorted(RECIPES.rglob("*.toml")):
        name = path.relative_to(RECIPES).as_posix()
        if not is_sweep(path):
            yield from outcomes(load_recipe(path), path.stem, name)
            continue
        for variant, recipe in {child.variant: child.recipe for child in load_sweep(path).children}.items():
            yield from outcomes(recipe, variant.replace("-", "_"), f"{name}:{variant}")


def outcomes(recipe: Recipe, name: str, id: str) -> Iterator[Any]:
    """The recipe; if a random choice decides the step, both outcomes."""
    table = tomllib.loads(dump_recipe(recipe))
    losses = [loss for loss in table["losses"].values() if 0 < loss.get("flip_equivariance", 0) < 1]
    if not losses:
        yield pytest.param(recipe, name, id=id)
        return
    for probability, outcome in ((0.0, ""), (1.0, ", mirrored")):
        for loss in losses:
            loss["flip_equivariance"] = probability
        yield pytest.param(recipe_from_table(table), name + outcome, id=id + outcome)


class Count:
    """Counts passes of a stage's networks while it lives as a context."""

    def __init__(self, assembly: Assembly, plan: StagePlan, size: tuple[int, int]) -> None:
        self.images: Counter[str] = Counter()
        self.handles: list[Any] = []
        for role, made in assembly.translators.items():
            image = torch.full((1, made.takes.size, *size), -1.0)
            first, last = ends(made, image)
            self._watch(first, f"encode {role}")
            self._watch(last, f"decode {role}")
            if made.discriminator is not None:
                self._watch(made.discriminator, f"judge {role}")
            for head in made.heads.values():
                self._watch(head, f"project {role}")
        looking = {id(n): n for t in plan.terms if isinstance(n := getattr(t.loss, "network", None), nn.Module)}
        for network in looking.values():
            self._watch(network, "look")

    def _watch(self, module: nn.Module, label: str) -> None:
        def count(_: nn.Module, given: tuple[Any, ...]) -> None:
            # heads are given features of the batch by layer, and count once for all of them
            self.images[label] += len(given[0]) if isinstance(given[0], torch.Tensor) else BATCH

        self.handles.append(module.register_forward_pre_hook(count))

    def __enter__(self) -> Count:
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self.handles:
            handle.remove()

    @property
    def passes(self) -> dict[str, float]:
        return {label: images / BATCH for label, images in self.images.items()}


@torch.no_grad()
def ends(translator: Translator, image: torch.Tensor) -> tuple[nn.Module, nn.Module]:
    """The layers of a generator that run first and last."""
    network = translator.generator
    order: list[nn.Module] = []
    layers = [module for module in network.modules() if not list(module.children())]
    handles = [layer.register_forward_pre_hook(lambda layer, _: order.append(layer)) for layer in layers]
    network.eval()(image, **translator.blank(image))
    network.train()
    for handle in handles:
        handle.remove()
    assert order.count(order[0]) == order.count(order[-1]) == 1
    return order[0], order[-1]


def counted(recipe: Recipe, registry: Registry) -> dict[str, dict[str, float]]:
    """The passes of one step of each stage."""
    assembly = assemble(recipe, registry, 3 if recipe.data.dataset == "images" else 1)
    found = {}
    for stage in make_scheduler(recipe, registry).stages(recipe.learning):
        plan = assembly.plan(stage.name, stage.roles)
        optimizers = {
            role: Optimizers(assembly.translators[role], slot, stage.name) for role, slot in assembly.optimizers.items()
        }
        updater = Updater(assembly.translators, optimizers, plan, recipe.training, nullcontext)
        with Count(assembly, plan, recipe.data.image_size) as count:
            updater.step([batch(recipe, assembly, plan)], dict.fromkeys(stage.roles, 1.0))
        found[stage.name] = count.passes
    return found


@pytest.mark.parametrize(("recipe", "name"), cases())
def test_passes_of_every_recipe(recipe: Recipe, name: str, registry: Registry) -> None:
    expected = COUNTS[SAME.get(name, name)]
    assert counted(small(recipe), registry) == {stage: step.ours for stage, step in expected.items()}


@pytest.mark.parametrize("name", COUNTS)
def test_no_more_passes_than_published(name: str) -> None:
    for stage, step in COUNTS[name].items():
        assert step.ours.keys() == step.published.keys(), stage
        assert all(number <= step.published[what] for what, number in step.ours.items()), stage


@pytest.mark.parametrize("name", sorted(STRICTLY_UNDER))
def test_cut_and_ds3_take_fewer(name: str) -> None:
    for step in COUNTS[name].values():
        for what, number in step.published.items():
            fewer = what.startswith("encode")
            assert step.ours[what] < number if fewer else step.ours[what] == number
