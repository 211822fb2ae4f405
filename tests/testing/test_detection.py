"""What the conformance classes are for: each mistake that a component's author can make is found, and named."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal
from unittest import SkipTest

import pytest
import torch
from torch import Tensor, nn

import gantk
import gantk.testing
from gantk import Group, Moment, Needs, Scheduler, Sizes, Stage, View
from gantk.evaluation.protocols import Findings
from gantk.evaluation.results import Column
from gantk.testing import ConformanceError


def failure(component: type, kind: str, test: str, *arguments: Any, **attributes: Any) -> str:
    """What a test of a component says; it must fail."""
    cls = type("TestIt", (gantk.testing.conformance(kind),), {"component": component, **attributes})
    with pytest.raises(ConformanceError) as raised:
        getattr(cls(), f"test_{test}")(*arguments)
    assert "Mend: " in str(raised.value)
    return str(raised.value)


class Generator(gantk.testing.TinyGenerator):
    """Right in everything; its children are wrong in one thing each."""


class Discriminator(gantk.testing.TinyDiscriminator):
    """Right in everything."""


def changed(base: type, change: Callable[..., Any]) -> type:
    """A network whose answer is changed on its way out."""

    class Changed(base):  # type: ignore[misc,valid-type]
        def forward(self, image: Tensor, *arguments: Any) -> Any:
            return change(super().forward(image, *arguments), image)

    return Changed


class Unused(Generator):
    """With a layer that nothing uses."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels)
        self.spare = nn.Conv2d(1, 1, 1)


class Hidden(Generator):
    """With a weight outside of its state."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels)
        self.scale = torch.rand(())

    def forward(self, image: Tensor, *arguments: Any) -> Any:
        return super().forward(image, *arguments) * self.scale


class OwnSeed(Generator):
    """With weights from the system's randomness."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels)
        nn.init.constant_(self.last.bias, int.from_bytes(os.urandom(2), "big") / 2**16)


class Closed(Generator):
    """With an attribute that does not pickle."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels)
        self.activation = lambda x: x


class OfTheBatch(Generator):
    """That looks at the other images of the batch."""

    def forward(self, image: Tensor, *arguments: Any) -> Any:
        return super().forward(image - image[-1:], *arguments)


class Normalised(Generator):
    """That divides by a deviation that may be 0."""

    def forward(self, image: Tensor, *arguments: Any) -> Any:
        return super().forward((image - image.mean()) / image.std(), *arguments)


GENERATORS: list[tuple[str, str, type, str]] = [
    ("shape", "output", changed(Generator, lambda x, _: x[:, :, 1:]), "the output is"),
    ("range", "output", changed(Generator, lambda x, _: 2 + x), r"outside of [-1, 1]"),
    ("type", "output", changed(Generator, lambda x, _: x.double()), "torch.float64"),
    ("NaN", "output", changed(Generator, lambda x, _: x / 0), "NaN or infinite"),
    ("unused", "gradient_flow", Unused, "'spare.weight' of the network gets no gradient"),
    ("detached", "gradient_reaches_the_image", changed(Generator, lambda x, i: x.detach() + 0 * i), "no gradient"),
    ("hidden", "state_round_trip", Hidden, "answers otherwise"),
    ("seed", "initial_weights_follow_the_seed", OwnSeed, "'last.bias' differs"),
    ("pickle", "pickle", Closed, "cannot be pickled"),
    ("batch", "evaluation_is_deterministic", OfTheBatch, "an image alone is answered otherwise"),
    ("batch2", "two_processes", OfTheBatch, "differs between one process and two"),
    ("parts", "background", Normalised, "background"),
    (
        "noise",
        "evaluation_is_deterministic",
        changed(Generator, lambda x, _: x * torch.rand(())),
        "two passes in evaluation mode differ",
    ),
]


@pytest.mark.parametrize(
    ("test", "component", "words"), [g[1:] for g in GENERATORS], ids=[name for name, *_ in GENERATORS]
)
def test_wrong_generators(test: str, component: type, words: str) -> None:
    assert words in failure(component, "generator", test, features=())


class WrongFeatures(Generator):
    """Whose features are not what was asked for."""

    def forward(self, image: Tensor, layers: tuple[int, ...] = (), decode: bool = True) -> Any:
        given = super().forward(image, layers, decode)
        return gantk.Translation(given.output, {0: image}) if layers else given


def test_wrong_features() -> None:
    assert "features of [0] came for [0, 1]" in failure(WrongFeatures, "generator", "features", features=(0, 1))


def test_discriminators_without_second_order() -> None:
    rough = changed(Discriminator, lambda scores, image: scores.detach() * image.mean())
    assert "gradient" in failure(rough, "discriminator", "second_order", features=())
    flat = changed(Discriminator, lambda scores, _: scores.mean((1, 2, 3)))
    assert "return a map of scores" in failure(flat, "discriminator", "output", features=())


class _Loss:
    """Right in everything."""

    needs = Needs(target=True)

    def __call__(self, view: View) -> Tensor:
        return (view.target - view.output).abs().mean()

    def discriminator(self, view: View) -> Tensor:
        return view.judge(view.fake).mean()


class Map(_Loss):
    """Of the wrong shape."""

    def __call__(self, view: View) -> Tensor:
        return (view.target - view.output).abs()


class Detached(_Loss):
    """Cut from the output."""

    def __call__(self, view: View) -> Tensor:
        return (view.target - view.output.detach()).abs().mean()


class Elsewhere(_Loss):
    """Whose gradient goes to the discriminator alone."""

    def __call__(self, view: View) -> Tensor:
        return view.judge(view.fake).mean()


class Leaking(_Loss):
    """Whose discriminator's side trains the generator."""

    def discriminator(self, view: View) -> Tensor:
        return view.judge(view.output).mean()


class Undeclared(_Loss):
    """That asks for layers which it did not declare."""

    def __call__(self, view: View) -> Tensor:
        return view.features(layers=(0,))[0].mean() + view.output.mean()


class MapTwice(_Loss):
    """That uses its map wrongly."""

    def __call__(self, view: View) -> Tensor:
        error = (view.target - view.output).abs()
        return error.mean() if view.weight is None else (error * view.weight).sum()


class Divided(_Loss):
    """That divides by the foreground."""

    def __call__(self, view: View) -> Tensor:
        return ((view.target - view.output).abs() * view.foreground).sum() / view.foreground.sum()


class Stateful(_Loss):
    """That remembers in an attribute."""

    def __init__(self) -> None:
        self.steps = 0

    def __call__(self, view: View) -> Tensor:
        self.steps += 1
        return super().__call__(view) * self.steps


class OwnRandomness(_Loss):
    """That draws where no seed reaches."""

    def __call__(self, view: View) -> Tensor:
        return super().__call__(view) * (1 + int.from_bytes(os.urandom(2), "big"))


class Penalty(_Loss):
    """A penalty that forgot create_graph in half of itself."""

    needs = Needs(second_order=True)

    def discriminator(self, view: View) -> Tensor:
        image = view.fake.clone().requires_grad_()
        scores = view.judge(image, full_precision=True)
        (slope,) = torch.autograd.grad(scores.sum(), image, create_graph=True)
        return (slope.square() + slope.detach().square()).mean() + scores.square().mean()


class UnusedHead(_Loss):
    """With a head of which a part is not used."""

    needs = Needs(layers=(0,))

    def build_modules(self, sizes: Sizes) -> dict[str, nn.Module]:
        return {"generator": nn.ModuleDict({"spare": nn.Linear(sizes.features[0], 1)})}


LOSSES: list[tuple[str, type, str]] = [
    ("value", Map, "the loss has the shape"),
    ("value", Detached, "the loss has no gradient"),
    ("gradient", Elsewhere, "the generator gets no gradient"),
    ("gradient", UnusedHead, "spare.weight' of its modules gets no gradient"),
    ("discriminator", Leaking, "sends a gradient into the generator"),
    ("map_of_ones", MapTwice, "with a weight map of ones"),
    ("background", Divided, "NaN or infinite"),
    ("training_and_resume", Stateful, "a run that is resumed gets other losses"),
    ("seeded", OwnRandomness, "two instances give"),
    ("second_order", Penalty, "the discriminator's loss rises by"),
]


@pytest.mark.parametrize(("test", "component", "words"), LOSSES, ids=lambda given: getattr(given, "__name__", None))
def test_wrong_losses(test: str, component: type, words: str) -> None:
    assert words in failure(component, "loss", test)


def test_features_that_are_not_declared_are_refused_as_in_training() -> None:
    cls = type("TestIt", (gantk.testing.conformance("loss"),), {"component": Undeclared})
    with pytest.raises(gantk.PluginError, match=r"layers \[0\], which it has not declared"):
        cls().test_one_pass()


def test_a_right_loss_passes() -> None:
    class TestIt(gantk.testing.LossConformance):
        component = _Loss

    tests = [name for name in dir(TestIt) if name.startswith("test_") and name != "test_second_order"]
    assert len(tests) > 10
    for name in tests:
        getattr(TestIt(), name)()


def weight_map(weights: Callable[[View], Tensor]) -> type:
    class Map:
        """A weight map."""

        def __call__(self, view: View) -> Tensor:
            return weights(view)

    return Map


@pytest.mark.parametrize(
    ("weights", "test", "words"),
    [
        (lambda view: view.source, "weights", "(2, 1, 24, 32) is wanted"),
        (lambda view: view.foreground, "weights", "torch.bool"),
        (lambda view: -view.foreground.float(), "weights", "the least weight is -1"),
        (lambda view: view.foreground / view.foreground.float().mean(), "background", "NaN"),
        (lambda view: 0 * view.source[:, :1], "loss_is_weighted", "has no gradient"),
        (lambda view: torch.full_like(view.source[:, :1], int.from_bytes(os.urandom(2), "big")), "seeded", "differ"),
    ],
)
def test_wrong_weight_maps(weights: Callable[[View], Tensor], test: str, words: str) -> None:
    assert words in failure(weight_map(weights), "weight_map", test)


def transform(change: Callable[[Group], Group]) -> type:
    class Transform:
        """A transform."""

        def __call__(self, group: Group, moment: Moment) -> Group:
            return change(group)

    return Transform


def _in_place(group: Group) -> Group:
    group.source[:] = 0
    return group


def _python_random(group: Group) -> Group:
    return replace(group, target=group.target.clamp(max=random.random()))


def _half(group: Group) -> Group:
    return replace(group, source=group.source[..., ::2])


@pytest.mark.parametrize(
    ("change", "test", "words"),
    [
        (_in_place, "given_group_stays", "the source that was given has changed"),
        (_python_random, "seeded", "the target differs from run to run"),
        (_half, "images", "the source is (3, 3, 24, 16)"),
        (lambda g: replace(g, source=g.source * 2), "images", "the source lies in"),
        (
            lambda g: replace(g, source=g.source.flip(-1).roll(3, -1)),
            "pair_stays_a_pair",
            "source and segmentation part",
        ),
        (lambda g: replace(g, target=g.target.roll(3, -1)), "pair_stays_a_pair", "target and segmentation part"),
        (lambda g: replace(g, segmentation=g.segmentation + 1), "images", "the segmentation has labels"),
        (lambda g: replace(g, source=g.source * 0), "background", "not -1 any more"),
        (lambda g: replace(g, patients=()), "images", "patients or slices have changed"),
        (
            lambda g: replace(g, source=torch.where(g.source > -1, 0.9 * g.source, -1.0)),
            "categories",
            "a channel of categories holds numbers that were not there",
        ),
    ],
)
def test_wrong_transforms(change: Callable[[Group], Group], test: str, words: str) -> None:
    assert words in failure(transform(change), "transform", test)


class Forgetful(Scheduler):
    """Ends after three epochs, and counts them where no checkpoint sees it."""

    def __init__(self) -> None:
        super().__init__(6)
        self.seen = 0

    def after_epoch(self, stage: Stage, epoch: int, metrics: Mapping[str, float], control: Any) -> bool:
        self.seen += 1
        return self.seen == 3


class Unwritable(Forgetful):
    """With a state that is not JSON."""

    def state_dict(self) -> dict[str, Any]:
        return {"seen": torch.tensor(self.seen)}


class Empty(Scheduler):
    """Without a stage."""

    def stages(self, roles: Any) -> list[Stage]:
        return []


class Unkept(Scheduler):
    """That goes back further than it keeps."""

    def stages(self, roles: Any) -> list[Stage]:
        return [Stage("a", 4, tuple(roles), history=1), Stage("b", 1, tuple(roles))]

    def before_stage(self, stage: Stage, control: Any) -> None:
        if stage.name == "b":
            control.restore("generator", "a", 1)


class Drifting(Scheduler):
    """Whose rate depends on how often it was asked for."""

    def __init__(self) -> None:
        super().__init__(3)
        self.factor = 1.0

    def rate(self, stage: Stage, role: str, part: str, epoch: int) -> float:
        self.factor *= 0.9
        return self.factor


@pytest.mark.parametrize(
    ("component", "test", "words"),
    [
        (Forgetful, "resume", "goes on otherwise"),
        (Unwritable, "resume", "its state is not JSON"),
        (Empty, "stages", "there is no stage"),
        (Unkept, "training", "it restores epoch 1 of the stage 'a'"),
        (Drifting, "rates", "differ when asked for again"),
    ],
)
def test_wrong_schedulers(component: type, test: str, words: str) -> None:
    assert words in failure(component, "scheduler", test)


def metric(score: Callable[[Tensor, Tensor, Tensor], Tensor], better: bool = False) -> type:
    class Metric:
        """A metric."""

        title = "M"
        higher_is_better = better

        def __call__(self, prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
            return score(prediction, target, mask)

    return Metric


def _error(p: Tensor, t: Tensor, m: Tensor) -> Tensor:
    return ((p - t).abs() * m).mean((1, 2, 3)) / m.float().mean((1, 2, 3))


@pytest.mark.parametrize(
    ("component", "test", "words"),
    [
        (metric(_error, better=True), "says_what_is_better", "higher_is_better is True"),
        (metric(lambda p, t, m: (p - t).abs().mean()), "values", "(3,) is wanted"),
        (metric(lambda p, t, m: (p - t).abs().mean((1, 2, 3))), "mask", "pixels outside of the mask count"),
        (metric(lambda p, t, m: 0 * p.mean((1, 2, 3))), "mask", "pixels inside of the mask do not count"),
        (metric(lambda p, t, m: _error(p, t, m) / p.mean()), "images_are_scored_one_by_one", "scores otherwise"),
        (metric(lambda p, t, m: _error(p, t, m) / t.std()), "background", "NaN"),
    ],
)
def test_wrong_metrics(component: type, test: str, words: str) -> None:
    assert words in failure(component, "metric", test)


class Untyped(_Loss):
    """With a parameter without a type."""

    def __init__(self, factor=1) -> None:
        self.factor = factor


class Mistyped(_Loss):
    """With a default of another type."""

    def __init__(self, factor: float = "one") -> None:  # type: ignore[assignment]
        self.factor = factor


class Taken(_Loss):
    """With a parameter called as a key of the recipe."""

    def __init__(self, weight: float = 1.0) -> None:
        self.factor = weight


@pytest.mark.parametrize(
    ("component", "words"),
    [(Untyped, "has no type"), (Mistyped, "is not of its type"), (Taken, "a key that recipes use themselves")],
)
def test_wrong_signatures(component: type, words: str) -> None:
    assert words in failure(component, "loss", "signature")


class Unsorted:
    """A dataset whose subjects come in any order."""

    def __init__(self, root: Path) -> None:
        from gantk.data.brats import Brats

        self.brats = Brats(root)

    def subjects(self, progress: Any) -> list[Any]:
        return self.brats.subjects(progress)[::-1]


class Swapped:
    """A dataset that reads files in their own order and names them in the order that is asked for."""

    def __init__(self, root: Path) -> None:
        from gantk.data.brats import Brats

        self.brats = Brats(root)

    def subjects(self, progress: Any) -> list[Any]:
        return self.brats.subjects(progress)

    def read(self, subject: Any, modalities: Any, segmentation: bool = True) -> Any:
        read = self.brats.read(subject, sorted(modalities), segmentation)
        return replace(read, images=dict(zip(modalities, read.images.values(), strict=True)))


def test_wrong_datasets(tmp_path: Path) -> None:
    assert "not sorted by id" in failure(Unsorted, "dataset", "subjects", tmp_path)
    assert "when modalities are asked for in another order" in failure(Swapped, "dataset", "slices", tmp_path / "two")


class Deaf:
    """A launcher that says that everything went well."""

    workers, here = 1, True

    def start(self, job: Any) -> Any:
        job.log.write_text("it ran")
        return self

    def poll(self) -> int:
        return 0


def test_wrong_launchers(tmp_path: Path) -> None:
    assert "a job that fails has the exit code 0" in failure(Deaf, "launcher", "exit_codes", tmp_path)


# --- beside the conformance classes ---------------------------------------------------------------------------


def test_a_session_has_what_it_is_given_and_no_other_has() -> None:
    made = gantk.testing.session(loss={"mine": _Loss})
    assert made.registry.get("loss", "mine").cls is _Loss
    assert "l1" in made.registry.names("loss")
    assert "mine" not in gantk.testing.session().registry.names("loss")
    bare = gantk.testing.session(installed=False, losses={"mine": _Loss})
    assert bare.registry.names("loss") == ["mine"]
    assert "brats" in bare.registry.names("dataset")


def test_a_session_says_why_a_plugin_does_not_load() -> None:
    class Broken:
        __name__ = "broken"

        @gantk.hookimpl
        def register_losses(self) -> dict[str, type]:
            raise RuntimeError("out of order")

    with pytest.raises(gantk.PluginError, match="out of order"):
        gantk.testing.session(Broken())


def test_a_recipe_runs_with_components_that_are_not_installed(tmp_path: Path) -> None:
    recipe = {
        "name": "own",
        "data": {
            "dataset": "phantom",
            "inputs": ["x"],
            "target": "y",
            "crop": [24, 24],
            "slices": "all",
            "batch": {"paired": 2},
        },
        "translators": {"g": {"generator": {"use": "tiny"}}},
        "losses": {"term": {"use": "mine", "on": "g"}},
        "schedule": {"use": "brief"},
        "evaluation": {"metrics": ["mse"], "regions": ["image"]},
    }

    class Pixelwise:
        """A loss."""

        def __call__(self, view: View) -> Tensor:
            return (view.target - view.output).abs().mean()

    made = gantk.testing.session(
        installed=False, generator={"tiny": Generator}, loss={"mine": Pixelwise}, scheduler={"brief": Scheduler}
    )
    run = gantk.testing.run_recipe(recipe, session=made, steps=3, folder=tmp_path)
    assert [set(losses) for losses in run.losses] == [{"g/term"}] * 3
    assert run.stages == ["training"] * 3
    assert run.summary["methods"]["g"]["mse"]["mean"] > 0
    assert run.folder.is_relative_to(tmp_path)


def test_pytest_is_imported_by_the_plugin_alone() -> None:
    code = (
        "import sys, gantk.testing as t; [getattr(t, n) for n in t.__all__]; t.conformance('loss'); "
        "assert 'pytest' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_an_authors_test_file(tmp_path: Path) -> None:
    """As a stranger writes it: one class, one fixture."""
    (tmp_path / "test_mine.py").write_text(
        """
import gantk.testing

pytest_plugins = ["gantk.testing.plugin"]


class Mine:
    "A loss."

    def __call__(self, view):
        return (view.target - view.output).square().mean()


class TestMine(gantk.testing.LossConformance):
    component = Mine
    mappable = False
    test_second_order = None


def test_cohort(gantk_cohort, gantk_session, gantk_group, gantk_run):
    assert len(list(gantk_cohort.glob("P*"))) == 10
    assert "mine" in gantk_session(loss={"mine": Mine}).registry.names("loss")
    assert len(gantk_group(3)) == 3
"""
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", tmp_path, tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout
    assert "failed" not in done.stdout


# --- in how many dimensions ---


class FlatError:
    """A metric of slices: pooling in two dimensions."""

    title = "pooled error"
    higher_is_better = False

    def __call__(self, prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        error = nn.functional.avg_pool2d(torch.where(mask, prediction - target, 0.0), 2).abs()
        return error.flatten(1).sum(dim=1) / mask.flatten(1).sum(dim=1)


class FlatErrorOfBoth(FlatError):
    """The same, which says that it measures volumes."""

    def __init__(self, dimensions: gantk.Dimensions = 2) -> None:
        pass


class FlatEdges:
    """A weight map of slices that says nothing of dimensions."""

    def __call__(self, view: View) -> Tensor:
        return nn.functional.avg_pool2d(view.source[:, :1], 3, stride=1, padding=1).abs()


class FlatEdgesAlone(FlatEdges):
    """The same, which says so."""

    def __init__(self, dimensions: Literal[2] = 2) -> None:
        pass


class FlatMeans:
    """A metric over all patients that takes slices alone, as evaluations give them."""

    title, higher_is_better, paired = "mean", False, True
    columns: Mapping[str, Any] = {"mean": Column("mean", "image", False)}

    def __init__(self, dimensions: gantk.Dimensions = 2) -> None:
        pass

    def collect(self) -> Any:
        found: dict[tuple[str, str], dict[str, float]] = {}

        def add(group: Group, images: Mapping[str, Tensor]) -> None:
            for method, image in images.items():
                assert image.ndim == 4
                found[group.patients[0], method] = {"mean": float(image.mean())}

        return SimpleNamespace(add=add, conclude=lambda progress: Findings(found))


def test_a_metric_is_asked_what_evaluations_ask_it() -> None:
    for component in (FlatError, FlatMeans):
        cls = type("TestIt", (gantk.testing.MetricConformance,), {"component": component})
        ran = 0
        for name in ("values", "says_what_is_better", "mask", "evaluation", "pickle"):
            try:
                getattr(cls(), f"test_{name}")()
                ran += 1
            except SkipTest:
                pass
        assert ran >= 3
    said = failure(FlatErrorOfBoth, "metric", "values")
    assert "on volumes" in said
    assert "Literal[2]" not in said  # it has said what it does


def test_a_map_that_does_not_work_on_volumes_is_told_how_to_say_so() -> None:
    said = failure(FlatEdges, "weight_map", "weights")
    assert "on volumes" in said
    assert "dimensions: Literal[2] = 2" in said
    cls = type("TestIt", (gantk.testing.WeightMapConformance,), {"component": FlatEdgesAlone})
    cls().test_weights()


def test_two_processes_are_tried_on_volumes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    from gantk.testing import networks

    seen = []
    whole = networks.parallel_gradients
    monkeypatch.setattr(networks, "parallel_gradients", lambda n, image: seen.append(image.ndim) or whole(n, image))
    type("TestIt", (gantk.testing.GeneratorConformance,), {"component": Generator})().test_two_processes()
    assert seen == [4, 5]
