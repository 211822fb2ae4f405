"""What methods need of the core beside one forward pass each: directions, subsets, features of D, pools, heads."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gantk import ImageRef, Judgement, Moment, Needs, PluginError, RecipeError, Role, Sizes
from gantk.plugins import Component, Registry
from gantk.recipe import recipe_from_table
from gantk.recipe.model import TrainingSettings
from gantk.training.optimizers import Optimizers
from gantk.training.update import Updater
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

    shared = "my-between"

    def __init__(self, teacher: Role) -> None:
        self.needs = Needs(layers=(1,), roles=(teacher,))
        self.teacher = teacher

    def build_modules(self, sizes: Sizes) -> dict[str, nn.Module]:
        return {"generator": nn.Conv2d(sizes.features[1], sizes.others[self.teacher][1], 1)}

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


# --- a term's own modules -------------------------------------------------------------------------------------------


class Uncertain:
    """A learnt weight (Kendall et al., 2018): private, as nothing says that it is shared."""

    def build_modules(self, sizes: Sizes) -> dict[str, nn.Module]:
        self.sizes = sizes
        return {"generator": nn.Linear(1, 1)}

    def __call__(self, view: View) -> Tensor:
        return (view.head(view.output.mean()[None]) ** 2).mean()


class Critic(Uncertain):
    """A critic of its own, beside a head: each side has its module."""

    def build_modules(self, sizes: Sizes) -> dict[str, nn.Module]:
        return {"generator": nn.Conv2d(1, 1, 1), "discriminator": nn.Conv2d(sizes.gives, 1, 1)}

    def __call__(self, view: View) -> Tensor:
        return view.head(view.output).mean()

    def discriminator(self, view: View) -> Tensor:
        return view.head(view.fake).square().mean() + view.head(view.target).mean()


class Misplaced(Uncertain):
    """Asks on the discriminator's side for what learns with the generator."""

    def discriminator(self, view: View) -> Tensor:
        return view.head(view.fake.mean()[None]).mean() + view.judge(view.fake).mean()


class NeverTaught(Uncertain):
    def build_modules(self, sizes: Sizes) -> dict[str, nn.Module]:
        return {"discriminator": nn.Linear(1, 1)}


class Unplaced(Uncertain):
    def build_modules(self, sizes: Sizes) -> Any:
        return nn.Linear(1, 1)


class Keeping:
    """Holds weights where no optimizer sees them."""

    def __init__(self) -> None:
        self.network = nn.Conv2d(1, 1, 1)

    def __call__(self, view: View) -> Tensor:
        return self.network(view.output).mean()


MINE |= {
    "uncertain": Uncertain, "critic": Critic, "misplaced": Misplaced, "never": NeverTaught, "unplaced": Unplaced,
    "keeping": Keeping,
}  # fmt: skip


def trained(assembly: Assembly, make_group: Any, steps: int = 1, **settings: Any) -> Updater:
    """An updater after some steps."""
    roles = tuple(assembly.translators)
    optimizers = {role: Optimizers(t, assembly.optimizers[role]) for role, t in assembly.translators.items()}
    plan = assembly.plan("training", roles)
    updater = Updater(assembly.translators, optimizers, plan, TrainingSettings(**settings), nullcontext)
    batches = [begin(assembly, make_group).batch] * settings.get("accumulate", 1)
    for _ in range(steps):
        updater.step(batches, dict.fromkeys(roles, 1.0))
    return updater


def test_two_terms_of_one_loss_learn_two_weights(made: Any, make_group: Any) -> None:
    losses = {name: {"use": "my-uncertain", "on": "one"} for name in ("a", "b")}
    assembly = made(losses)
    heads = assembly.translators["one"].heads
    assert set(heads) == {"my-uncertain:a", "my-uncertain:b"}
    assert not torch.equal(heads["my-uncertain:a"].weight, heads["my-uncertain:b"].weight)
    before = {name: p.clone() for name, p in heads.named_parameters()}
    trained(assembly, make_group)
    assert all(not torch.equal(p, before[name]) for name, p in heads.named_parameters())
    alone = made({"b": losses["b"]}).translators["one"].heads
    assert torch.equal(alone["my-uncertain:b"].weight, before["my-uncertain:b.weight"])  # whatever else there is


def test_modules_are_built_for_the_sizes_of_their_translator(made: Any) -> None:
    assembly = made({"a": {"use": "my-uncertain", "on": "one"}})
    sizes = assembly.terms[0].loss.sizes
    assert (sizes.takes, sizes.gives, sizes.image) == (3, 1, (8, 12))


@pytest.mark.parametrize("accumulate", [1, 2])
def test_each_side_has_its_module_which_learns_with_it(made: Any, make_group: Any, accumulate: int) -> None:
    assembly = made({"gan": {"use": "my-critic", "on": "one"}}, {"one": {"generator": NETWORK}})
    one = assembly.translators["one"]
    before = {name: p.clone() for name, p in (*one.heads.named_parameters(), *one.critics.named_parameters())}
    updater = trained(assembly, make_group, accumulate=accumulate)
    after = dict((*one.heads.named_parameters(), *one.critics.named_parameters()))
    assert set(before) == {f"my-critic:gan.{name}" for name in ("weight", "bias")}
    for module in (one.heads, one.critics):
        assert all(p.grad is not None for p in module.parameters())
    assert all(not torch.equal(after[name], before[name]) for name in before)
    assert not updater.idle
    names = [name for name in one.state_dict() if name.startswith(("heads", "critics"))]
    assert names == [f"{part}.my-critic:gan.{name}" for part in ("heads", "critics") for name in ("weight", "bias")]


@pytest.mark.parametrize(
    ("use", "words"),
    [
        ("never", "gives the discriminator no loss"),
        ("unplaced", "does not say which modules learn with which side"),
        ("keeping", "holds weights of its own, which would neither learn nor be saved"),
    ],
)
def test_modules_that_would_not_learn_are_refused(made: Any, use: str, words: str) -> None:
    with pytest.raises(PluginError, match=words):
        made({"a": {"use": f"my-{use}", "on": "one"}})


def test_a_side_has_no_module_of_the_other(made: Any, make_group: Any) -> None:
    with pytest.raises(PluginError, match="none that learns with the discriminator"):
        trained(made({"a": {"use": "my-misplaced", "on": "one"}}), make_group)


def test_what_no_term_reaches_is_known(made: Any, make_group: Any) -> None:
    both = {name: {"generator": NETWORK, "discriminator": {"use": "watching"}} for name in ("one", "two")}
    updater = trained(made({"a": {"use": "my-uncertain", "on": "one"}}, both), make_group)
    assert updater.idle == {"one/discriminator", "two/discriminator", "two/generator"}


def test_what_is_derived_under_one_name_by_two_plugins_are_two_things(made: Any, make_group: Any) -> None:
    step = begin(made({"a": {"use": "my-mean", "on": "one"}}), make_group)
    view = View(step, "one", "paired")

    def halved(image: Tensor) -> Tensor:
        return image / 2

    assert view.derive("detached", view.source, halved) is view.derive("detached", view.source, halved)
    assert not torch.equal(view.derive("detached", view.source, halved), step.detached(view.source))
    other = lambda image: image * 2  # noqa: E731
    other.__module__ = "another_plugin"
    assert not torch.equal(view.derive("detached", view.source, other), view.derive("detached", view.source, halved))


# --- the moment, and sides that are absent ---------------------------------------------------------------------------


class LazyPenalty:
    """R1 in every second step, on the discriminator's side alone; it cannot be called."""

    needs = Needs(target=True, second_order=True)

    def discriminator(self, view: View) -> Tensor | None:
        if view.moment.step % 2:
            return None
        image = view.target.detach().requires_grad_()
        (slope,) = torch.autograd.grad(view.judge(image).sum(), image, create_graph=True)
        return slope.square().mean() + 0 * view.judge(view.target).mean()


class Late:
    """Begins in the second epoch."""

    def __call__(self, view: View) -> Tensor | None:
        return view.output.mean() if view.moment.epoch else None


MINE |= {"lazy": LazyPenalty, "late": Late}


def test_a_side_may_be_absent_in_a_step(made: Any, make_group: Any) -> None:
    assembly = made({"r1": {"use": "my-lazy", "on": "one"}, "late": {"use": "my-late", "on": "one"}})
    updater = trained(assembly, make_group, steps=0)
    one, batches = assembly.translators["one"], [begin(assembly, make_group).batch]
    seen = []
    for step, epoch in ((0, 0), (1, 0), (2, 1), (3, 1)):
        before = {name: p.clone() for name, p in one.named_parameters()}
        values = updater.step(batches, {"one": 1.0}, Moment("training", epoch, 2, step))
        changed = {name.partition(".")[0] for name, p in one.named_parameters() if not torch.equal(p, before[name])}
        seen.append((set(values), changed))
    assert seen == [
        ({"one/r1 (D)"}, {"discriminator"}),
        (set(), set()),
        ({"one/r1 (D)", "one/late"}, {"discriminator", "generator"}),
        ({"one/late"}, {"generator"}),
    ]


def test_a_loss_without_any_side_is_refused(made: Any, registry: Registry) -> None:
    MINE["sideless"] = type("Sideless", (), {"__doc__": "Nothing."})
    with pytest.raises(PluginError, match="has no side"):
        made({"a": {"use": "my-sideless", "on": "one"}})


class Leaking:
    """A discriminator's side that forgets to detach the output, or does not."""

    def __init__(self, leak: bool) -> None:
        self.leak = leak

    def __call__(self, view: View) -> Tensor:
        return view.output.square().mean()

    def discriminator(self, view: View) -> Tensor:
        return view.judge(view.output if self.leak else view.fake).mean()


@pytest.mark.parametrize("accumulate", [1, 2])
def test_the_discriminators_side_teaches_no_generator(made: Any, make_group: Any, accumulate: int) -> None:
    MINE["leaking"] = Leaking
    weights = []
    for leak in (True, False):
        assembly = made({"a": {"use": "my-leaking", "on": "one", "leak": leak}})
        trained(assembly, make_group, steps=2, accumulate=accumulate)
        weights.append(assembly.translators["one"].state_dict())
    assert all(torch.equal(weights[1][name], weight) for name, weight in weights[0].items())
