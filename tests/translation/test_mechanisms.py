"""What methods need of the core beside one forward pass each: directions, subsets, features of D, pools, heads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gantk import ImageRef, Judgement, Needs, RecipeError, Role
from gantk.plugins import Component, Registry
from gantk.recipe import recipe_from_table
from gantk.translation import Assembly, Step, View, assemble

CHANNELS = {"source": 3, "target": 1}


class Mean:
    """The mean of an image of the step, without any network."""

    needs = Needs(output=False)

    def __init__(self, image: ImageRef = ImageRef("source")) -> None:
        self.image = image

    def __call__(self, view: View) -> Tensor:
        return view.image(self.image).mean()


class Cycle:
    def __init__(self, back: Role) -> None:
        self.back = back

    def __call__(self, view: View) -> Tensor:
        return (view.translate(view.output, role=self.back) - view.source).abs().mean()


class Watching(nn.Module):
    """A discriminator that notes what it is given, with one layer of features."""

    def __init__(self, in_channels: int, target_channels: int) -> None:
        super().__init__()
        self.layer, self.last = nn.Conv2d(in_channels, 4, 1), nn.Conv2d(4, target_channels, 1)
        self.seen: list[tuple[Tensor, tuple[int, ...]]] = []

    def forward(self, image: Tensor, layers: tuple[int, ...] = ()) -> Tensor | Judgement:
        self.seen.append((image.detach(), layers))
        feature = self.layer(image)
        scores = self.last(feature)
        return Judgement(scores, dict.fromkeys(layers, feature)) if layers else scores


class Matching:
    needs = Needs(target=True, judged=(0,))

    def __call__(self, view: View) -> Tensor:
        real, fake = (view.judge_features(image, layers=(0,))[0] for image in (view.target, None))
        return (real.detach() - fake).abs().mean()


class Pooled:
    def __init__(self, size: int = 2) -> None:
        self.needs = Needs(pool=size) if size else Needs()

    def __call__(self, view: View) -> Tensor:
        return view.judge().mean()

    def discriminator(self, view: View) -> Tensor:
        return view.judge(view.pooled(view.fake)).mean() - view.judge(view.image("target")).mean()


class Between:
    """A loss whose head needs the channels of two translators."""

    def __init__(self, teacher: Role) -> None:
        self.needs = Needs(layers=(1,), roles=(teacher,))
        self.teacher = teacher

    def build_head(self, channels: Mapping[int, int], others: Mapping[str, Mapping[int, int]]) -> nn.Module:
        return nn.Conv2d(channels[1], others[self.teacher][1], 1)

    def __call__(self, view: View) -> Tensor:
        return view.output.mean()


MINE = {"mean": Mean, "back": Cycle, "matching": Matching, "pooled": Pooled, "between": Between}
NETWORK = {"use": "resnet", "channels": 2, "blocks": 1}


@pytest.fixture
def made(registry: Registry) -> Any:
    def make(
        losses: dict[str, Any],
        translators: dict[str, Any] | None = None,
        data: dict[str, Any] | None = None,
        inputs: tuple[str, ...] = ("t1", "t2", "flair"),
    ) -> Assembly:
        mine = Registry()
        mine.add(*registry, *(Component(f"my-{n}", "loss", cls, "mine", "1") for n, cls in MINE.items()))
        mine.add(Component("watching", "discriminator", Watching, "mine", "1"))
        table = {
            "name": "tiny",
            "data": {"dataset": "phantom", "inputs": list(inputs), "target": "t1ce", "crop": [8, 12], **(data or {})},
            "translators": translators or {"one": {"generator": NETWORK, "discriminator": {"use": "watching"}}},
            "losses": losses,
            "schedule": {"use": "constant"},
        }
        return assemble(recipe_from_table(table), mine)

    return make


def begin(assembly: Assembly, make_group: Any, groups: tuple[str, ...] = ("paired",)) -> Step:
    plan = assembly.plan("training", tuple(assembly.translators))
    return Step(assembly.translators, plan, {g: make_group(2, shape=(8, 12), seed=n) for n, g in enumerate(groups)})


def test_a_translator_may_take_some_inputs_and_give_others(made: Any, make_group: Any) -> None:
    translators = {
        "stream": {"generator": NETWORK, "takes": ["t2"]},
        "back": {"generator": NETWORK, "takes": ["t1ce"], "gives": ["flair", "t1"]},
    }
    assembly = made({"a": {"use": "my-mean", "on": "stream"}}, translators)
    step = begin(assembly, make_group)
    group = step.batch["paired"]
    stream, back = (View(step, role, "paired") for role in translators)
    assert torch.equal(stream.source, group.source[:, 1:2])
    assert torch.equal(stream.target, group.target)
    assert torch.equal(back.source, group.target)
    assert torch.equal(back.target, group.source[:, [2, 0]])
    assert stream.output.shape == (2, 1, 8, 12)
    assert back.output.shape == (2, 2, 8, 12)
    assert stream.source is stream.source, "one tensor, or what is computed from it would be computed twice"


def test_a_translator_that_goes_back_is_trained_on_the_targets_group(made: Any, make_group: Any) -> None:
    both = {"a2b": {"generator": NETWORK}, "b2a": {"generator": NETWORK, "takes": ["t1ce"], "gives": ["t1"]}}
    sizes = {"batch": {"source": 2, "target": 2}}
    losses = {
        "forward": {"use": "my-back", "on": "a2b", "group": "source", "back": "b2a"},
        "backward": {"use": "my-back", "on": "b2a", "group": "target", "back": "a2b"},
    }
    assembly = made(losses, both, sizes, inputs=("t1",))
    assert assembly.plan("training", ("a2b", "b2a")).groups == ("source", "target")
    step = begin(assembly, lambda size, **options: make_group(size, inputs=1, **options), ("source", "target"))
    forward, backward = (View(step, t.role, t.group, t) for t in step.plan.terms)
    wanted = assembly.translators["b2a"].generator(assembly.translators["a2b"].generator(step.batch["source"].source))
    assert torch.allclose(step.plan.terms[0].loss(forward), (wanted - step.batch["source"].source).abs().mean())
    assert torch.equal(backward.source, step.batch["target"].target)
    with pytest.raises(RecipeError, match="wants the target of the group 'source', which has none"):
        made({"backward": {**losses["backward"], "group": "source"}}, both, sizes, inputs=("t1",))


def test_features_of_the_discriminator_come_from_the_pass_that_judges(made: Any, make_group: Any) -> None:
    losses = {"match": {"use": "my-matching", "on": "one"}, "gan": {"use": "lsgan", "on": "one"}}
    assembly = made(losses)
    step = begin(assembly, make_group)
    term = step.plan.terms[0]
    view = View(step, "one", "paired", term)
    term.loss(view)
    view.judge(), view.judge(view.target)
    judge = assembly.translators["one"].discriminator
    assert [layers for _, layers in judge.seen] == [(0,), (0,)]
    assert torch.equal(judge.seen[0][0], step.batch["paired"].target)
    plain = begin(made({"gan": losses["gan"]}), make_group)
    View(plain, "one", "paired").judge()
    assert [layers for _, layers in plain.translators["one"].discriminator.seen] == [()]


def test_a_discriminator_may_score_every_target_by_itself(made: Any, make_group: Any) -> None:
    assembly = made({"gan": {"use": "lsgan", "on": "one"}}, data={"target": ["t1ce", "pd"]})
    assert assembly.translators["one"].discriminator.last.out_channels == 2


def test_past_outputs_come_back(made: Any, make_group: Any) -> None:
    torch.manual_seed(3)
    assembly = made({"gan": {"use": "my-pooled", "on": "one", "size": 2}})
    term = assembly.terms[0]
    shown, outputs = [], []
    for seed in range(12):
        step = Step(
            assembly.translators,
            assembly.plan("training", ("one",)),
            {"paired": make_group(1, shape=(8, 12), seed=seed)},
        )
        view = View(step, "one", "paired", term)
        outputs.append(view.fake)
        shown.append(view.pooled(view.fake))
        assert view.pooled(view.fake) is shown[-1], "the pool is asked once a step"
    assert all(torch.equal(a, b) for a, b in zip(shown[:2], outputs[:2], strict=True))
    old = [i for i in range(2, 12) if not torch.equal(shown[i], outputs[i])]
    assert old
    assert all(any(torch.equal(shown[i], outputs[j]) for j in range(i)) for i in old)
    names = [n for n in assembly.translators["one"].state_dict() if n.startswith("pools.")]
    assert names == ["pools.gan.images", "pools.gan.stored"]


def test_a_pool_keeps_no_sources(made: Any) -> None:
    conditional = {"one": {"generator": NETWORK, "discriminator": {"use": "watching"}, "judges": "source and image"}}
    with pytest.raises(RecipeError, match="keeps images without their sources"):
        made({"gan": {"use": "my-pooled", "on": "one"}}, conditional)


def test_heads_may_reach_from_one_translator_to_another(made: Any) -> None:
    both = {"small": {"generator": NETWORK}, "large": {"generator": {**NETWORK, "channels": 5}}}
    assembly = made({"distil": {"use": "my-between", "on": "small", "teacher": "large"}}, both)
    head = assembly.translators["small"].heads["my-between-large"]
    assert (head.in_channels, head.out_channels) == (2, 5)


def test_heads_that_look_to_different_translators_are_not_shared(made: Any) -> None:
    names = ("small", "first", "second")
    term = {"use": "my-between", "on": "small"}
    losses = {f"{n}_{i}": term | {"teacher": n} for n in names[1:] for i in range(2)}
    heads = made(losses, {name: {"generator": NETWORK} for name in names}).translators["small"].heads
    assert set(heads) == {"my-between-first", "my-between-second"}
    assert not torch.equal(heads["my-between-first"].weight, heads["my-between-second"].weight)


def test_missing_channels_are_known_from_the_image(made: Any, make_group: Any) -> None:
    step = begin(made({"a": {"use": "my-mean", "on": "one"}}), make_group)
    step.batch["paired"].source[1, 2] = -1
    assert View(step, "one", "paired").available.tolist() == [[True] * 3, [True, True, False]]
