"""From a recipe to networks and terms: construction, sharing, and errors before the first step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gantk import GantkError, Needs, PluginError, RecipeError
from gantk.data.layout import Domain
from gantk.plugins import Component, Registry
from gantk.recipe import recipe_from_table
from gantk.translation import Assembly, StagePlan, Term, Translator, assemble

Build = Callable[..., Any]

SMALL = [
    "translators.teacher.generator.channels=4",
    "translators.teacher.discriminator.channels=4",
    "data.crop=[16, 24]",
]


def ds3(build: Build, *overrides: str, stage: str = "joint") -> Any:
    return build("ds3_published.toml", [*SMALL, *overrides], stage=stage)


def weights(module: nn.Module) -> list[Tensor]:
    return [p.detach().clone() for p in module.parameters()]


def equal(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(weights(one), weights(other), strict=True))


# --- what is built --------------------------------------------------------------------------------------


def test_channels_come_from_the_data(build: Build) -> None:
    conditional = build("pix2pix.toml", ["data.crop=[32, 32]"])
    assert conditional.translators["generator"].discriminator.in_channels == 4  # three inputs and the image
    built = ds3(build, 'data.inputs=["t1", "flair"]', "evaluation.baselines=[]")
    assert len(built.translators["teacher"].generator.encoders) == 2
    assert built.translators["teacher"].discriminator.in_channels == 1
    heads = built.translators["teacher"].heads["patch_nce"].layers
    assert {layer: head[0].in_features for layer, head in heads.items()} == {
        "0": 1,
        "4": 8,
        "8": 16,
        "12": 16,
        "16": 16,
    }


def test_the_seed_decides_the_weights(build: Build) -> None:
    one, same, other = ds3(build), ds3(build), ds3(build, "run.seed=1")
    for role in ("teacher", "student"):
        assert equal(one.translators[role], same.translators[role])
        assert not equal(one.translators[role].generator, other.translators[role].generator)
    assert not equal(one.translators["teacher"].generator, one.translators["student"].generator)


def test_a_network_does_not_depend_on_its_neighbours(build: Build) -> None:
    one = ds3(build)
    other = ds3(build, "translators.teacher.discriminator.layers=1", "losses.teacher_patchwise.width=16")
    assert equal(one.translators["teacher"].generator, other.translators["teacher"].generator)
    assert equal(one.translators["student"].heads, other.translators["student"].heads)
    small = [*SMALL, "data.crop=[32, 32]"]
    alone, beside = (build(recipe, small) for recipe in ("ds3_paired_only.toml", "ds3_semi.toml"))
    assert equal(alone.translators["teacher"], beside.translators["teacher"])


def test_building_leaves_networks_in_training_mode_and_without_gradients(build: Build) -> None:
    for translator in ds3(build).translators.values():
        assert all(module.training for module in translator.modules())
        assert all(p.grad is None for p in translator.parameters())


# --- heads ------------------------------------------------------------------------------------------------


SECOND = "losses.again={use='patch_nce', on='teacher', layers=%s, width=%d}"


def test_terms_of_one_loss_and_shape_share_their_heads(build: Build) -> None:
    built = ds3(build, SECOND % ([0, 4, 8, 12, 16], 256))
    assert built.term("again").head == built.term("teacher_patchwise").head == "patch_nce"
    assert list(built.translators["teacher"].heads) == ["patch_nce"]


@pytest.mark.parametrize(("layers", "width"), [([4, 8], 256), ([0, 4, 8, 12, 16], 32)])
def test_other_layers_or_widths_have_heads_of_their_own(build: Build, layers: list[int], width: int) -> None:
    built = ds3(build, SECOND % (layers, width))
    assert built.term("again").head == "patch_nce:again"
    assert equal(built.translators["teacher"].heads["patch_nce"], ds3(build).translators["teacher"].heads["patch_nce"])
    head = built.translators["teacher"].heads["patch_nce:again"]
    assert list(head.layers) == [str(layer) for layer in layers]


def test_a_term_that_is_switched_off_has_no_heads(build: Build) -> None:
    built = ds3(build, "losses.teacher_patchwise.enabled=false")
    assert len(built.translators["teacher"].heads) == 0
    assert "teacher_patchwise" not in [term.name for term in built.assembly.terms]


# --- the plan of a stage ------------------------------------------------------------------------------------


def test_a_stage_has_the_terms_of_its_roles_and_the_maps_of_its_name(build: Build) -> None:
    built = ds3(build)
    first = built.assembly.plan("teacher", ("teacher",))
    assert [term.name for term in first.terms] == ["teacher_pixelwise", "teacher_patchwise", "teacher_adversarial"]
    assert first.maps == {}
    assert first.groups == ("paired",)
    assert len(built.plan.terms) == 7
    assert list(built.plan.maps) == ["difficulty"]
    assert built.plan.groups == ("paired", "unpaired")


def test_a_group_that_only_a_real_image_comes_from_is_read(build: Build) -> None:
    built = ds3(build)
    plan = StagePlan("joint", ("student",), built.assembly.terms, built.assembly.maps, built.assembly.translators)
    assert plan.groups == ("paired", "unpaired")  # real = "paired.target"
    other = ds3(build, 'losses.student_adversarial.real="teacher.output"')
    plan = StagePlan("joint", ("student",), other.assembly.terms, other.assembly.maps, other.assembly.translators)
    assert plan.groups == ("unpaired",)


def test_a_group_that_only_a_map_reads_is_read(build: Build) -> None:
    built = build("pix2pix.toml", [
        "data.crop=[32, 32]",
        "data.batch={paired=1, target=1}",
        "maps.edges={use='edges', of='target.target'}",
        "losses.pixelwise.map=edges",
    ])  # fmt: skip
    assert built.plan.groups == ("paired", "target")


def test_a_part_of_a_group_has_what_the_group_has(build: Build) -> None:
    part = ["data.batch.unpaired:1/2=1", "data.batch.paired:2/2=1", "data.batch.target:1/3=1"]
    real = "losses.student_adversarial.real='target:1/3.target'"
    built = ds3(build, *part, real, "losses.teacher_pixelwise.group=paired:2/2")
    assert built.plan.groups == ("paired", "paired:2/2", "target:1/3", "unpaired")
    with pytest.raises(RecipeError, match="needs the target of the group 'unpaired:1/2', which has none"):
        ds3(build, *part, "losses.teacher_pixelwise.group=unpaired:1/2")


def test_terms_may_be_limited_to_stages(build: Build) -> None:
    built = ds3(build, 'losses.teacher_patchwise.stages=["joint"]')
    assert [t.name for t in built.assembly.plan("teacher", ("teacher",)).terms] == [
        "teacher_pixelwise",
        "teacher_adversarial",
    ]
    assert "teacher_patchwise" in [t.name for t in built.plan.terms]


@dataclass
class Wants:
    needs: Needs

    def __call__(self, view: Any) -> Tensor:
        return view.output.mean()


def test_layers_of_all_terms_on_one_source_are_taken_together() -> None:
    terms = [
        Term("a", "t", "paired", Wants(Needs(layers=(8, 0))), needs=Needs(layers=(8, 0))),
        Term("b", "t", "paired", Wants(Needs(layers=(4,), output=False)), needs=Needs(layers=(4,), output=False)),
        Term("c", "s", "unpaired", Wants(Needs()), needs=Needs(layers=(2,), roles=("t",), output=False)),
    ]
    translators = {
        role: Translator(role, Domain("source", None, 3), Domain("target", None, 1), nn.Identity(), None, False)
        for role in ("s", "t")
    }
    plan = StagePlan("x", ("s", "t"), terms, {}, translators)
    assert {(role, known.group): (w.layers, w.output) for (role, known), w in plan.wanted.items()} == {
        ("t", "paired"): ((0, 4, 8), True),
        ("s", "unpaired"): ((2,), False),
        ("t", "unpaired"): ((2,), False),
    }


# --- what is refused ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "where", "message"),
    [
        (
            "losses.teacher_pixelwise.on=techer",
            "losses.teacher_pixelwise.on",
            "no translator 'techer'; did you mean 'teacher'",
        ),
        (
            "losses.teacher_pixelwise.map=dificulty",
            "losses.teacher_pixelwise.map",
            "no map 'dificulty'; did you mean 'difficulty'",
        ),
        ("losses.teacher_pixelwise.group=pared", "losses.teacher_pixelwise", "no batch group 'pared'"),
        ("losses.teacher_pixelwise.use=l3", "losses.teacher_pixelwise.use", "no plugin supplies the loss 'l3'"),
        (
            "losses.teacher_pixelwise.use=os.system",
            "losses.teacher_pixelwise.use",
            "no plugin supplies the loss 'os.system'",
        ),
        (
            "losses.teacher_pixelwise.wieght=1",
            "losses.teacher_pixelwise.wieght",
            "no parameter 'wieght'; did you mean 'weight'",
        ),
        ("losses.teacher_patchwise.temprature=1", "losses.teacher_patchwise.temprature", "did you mean 'temperature'"),
        (
            "losses.teacher_pixelwise.group=unpaired",
            "losses.teacher_pixelwise",
            "needs the target of the group 'unpaired', which has none",
        ),
        (
            "losses.student_adversarial.real=target",
            "losses.student_adversarial",
            "needs the target of the group 'unpaired'",
        ),
        (
            "losses.student_adversarial.real=unpaired.target",
            "losses.student_adversarial",
            "needs the target of the group 'unpaired'",
        ),
        ("losses.student_adversarial.real=pared.target", "losses.student_adversarial", "no batch group 'pared'"),
        (
            "losses.student_adversarial.real=paired:1/2.target",
            "losses.student_adversarial",
            'add data.batch."paired:1/2" = SLICES',
        ),
        (
            "losses.student_adversarial.real=techer.output",
            "losses.student_adversarial.real",
            "'techer.output' names no image",
        ),
        ("losses.student_adversarial.real=picture", "losses.student_adversarial.real", "'picture' names no image"),
        ("losses.image_distillation.teacher=techer", "losses.image_distillation.teacher", "no translator 'techer'"),
        ("maps.difficulty.backround=0.1", "maps.difficulty.backround", "did you mean 'background'"),
        ("maps.difficulty.use=dificulty", "maps.difficulty.use", "no plugin supplies the weight_map"),
        ("maps.edges={use='edges', of='picture'}", "maps.edges.of", "'picture' names no image"),
        ("data.crop=[16, 26]", "data.crop", "multiples of 4"),
        ("translators.teacher.generator.use=ds4", "translators.teacher.generator.use", "did you mean 'ds3'"),
        ("translators.teacher.generator.blocks=many", "translators.teacher.generator.blocks", "parameter 'blocks'"),
        (
            "translators.student.discriminator.use=patchgn",
            "translators.student.discriminator.use",
            "did you mean 'patchgan'",
        ),
    ],
)
def test_mistakes_are_found_when_the_recipe_is_built(build: Build, override: str, where: str, message: str) -> None:
    with pytest.raises(RecipeError) as raised:
        ds3(build, override)
    assert where in str(raised.value.where)
    assert message in str(raised.value)


def test_a_map_that_wants_a_target_where_there_is_none(build: Build) -> None:
    with pytest.raises(RecipeError, match="needs the target of the group 'unpaired'"):
        ds3(build, "maps.edges={use='edges'}", "losses.image_distillation.map=edges")


def test_a_layer_that_the_generator_lacks(build: Build) -> None:
    with pytest.raises(GantkError, match="layer 99"):
        ds3(build, "losses.teacher_patchwise.layers=[0, 99]")


def test_features_of_a_generator_that_offers_none(registry: Registry) -> None:
    class Plain(nn.Module):
        def __init__(self, in_channels: int, out_channels: int) -> None:
            super().__init__()
            self.layer = nn.Conv2d(in_channels, out_channels, 1)

        def forward(self, image: Tensor) -> Tensor:
            return self.layer(image)

    with pytest.raises(
        RecipeError, match=r"losses\.nce: the generator of 'one' does not offer the layers \[0, 4\].*'plain'"
    ):
        made(
            registry,
            Plain,
            "generator",
            {"nce": {"use": "patch_nce", "on": "one", "layers": [0, 4]}},
            generator="plain",
        )


def test_an_adversarial_loss_needs_a_discriminator(registry: Registry) -> None:
    with pytest.raises(RecipeError, match=r"'lsgan' needs a discriminator, but translators\.one has none"):
        made(registry, None, "", {"gan": {"use": "lsgan", "on": "one"}})


def test_a_loss_that_cannot_be_called_is_the_plugins_error(registry: Registry) -> None:
    class Mute:
        pass

    with pytest.raises(PluginError, match="plugin mine: the loss 'plain' has no side: it cannot be called"):
        made(registry, Mute, "loss", {"mute": {"use": "plain", "on": "one"}})


def test_something_must_be_trained(build: Build) -> None:
    with pytest.raises(RecipeError, match="every loss is disabled"):
        build(
            "pix2pix.toml", ["data.crop=[32, 32]", "losses.pixelwise.enabled=false", "losses.adversarial.enabled=false"]
        )


def test_what_is_switched_off_is_still_checked(build: Build) -> None:
    with pytest.raises(RecipeError, match="temperature"):
        ds3(build, "losses.teacher_patchwise.enabled=false", "losses.teacher_patchwise.temprature=1")


def made(
    registry: Registry, cls: type | None, kind: str, losses: dict[str, Any], generator: str = "resnet"
) -> Assembly:
    """A recipe of one role, assembled; `cls` registered as `plain` beside the installed components."""
    mine = Registry()
    mine.add(*registry)
    if cls is not None:
        mine.add(Component("plain", kind, cls, "mine", "1"))
    table = {
        "name": "tiny",
        "data": {"dataset": "phantom", "inputs": ["t1"], "target": "t1ce", "crop": [8, 8]},
        "translators": {"one": {"generator": {"use": generator}}},
        "losses": losses,
        "schedule": {"use": "constant"},
    }
    if generator == "resnet":
        table["translators"]["one"]["generator"] |= {"channels": 2, "blocks": 1}  # type: ignore[index]
    return assemble(recipe_from_table(table), mine)


def test_what_is_switched_off_is_checked_and_not_built(registry: Any) -> None:
    class Costly:
        def __init__(self, size: int = 3) -> None:
            raise AssertionError("it was built")

        def __call__(self, *arguments: Any) -> Any: ...

    mine = Registry()
    mine.add(
        *registry, *(Component("costly", kind, Costly, "mine", "1") for kind in ("loss", "weight_map", "transform"))
    )
    off = {"use": "costly", "enabled": False}

    def table(**changes: Any) -> Any:
        return recipe_from_table(
            {
                "name": "off",
                "data": {"dataset": "phantom", "inputs": ["t1"], "target": "t1ce", "crop": [16, 16]},
                "translators": {"one": {"generator": {"use": "unet", "levels": 1, "channels": 2}}},
                "losses": {"l1": {"use": "l1", "on": "one"}, "off": {**off, "on": "one", **changes}},
                "maps": {"off": off},
                "transforms": {"off": off},
                "schedule": {"use": "constant"},
            }
        )

    built = assemble(table(), mine)
    assert [term.name for term in built.terms] == ["l1"]
    assert (built.maps, built.transforms) == ({}, [])
    with pytest.raises(RecipeError, match=r"losses\.off\.siz: .*did you mean 'size'"):
        assemble(table(siz=4), mine)
    with pytest.raises(RecipeError, match=r"losses\.off\.weight\.use: no plugin supplies the weight.schedule 'rmp'"):
        assemble(table(weight={"use": "rmp"}), mine)
