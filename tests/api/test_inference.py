"""Networks at rest: the same images as each network gives alone, from one forward pass."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch

from gantk.api.checks import build
from gantk.api.cohort import open_cohort
from gantk.api.inference import Inference, mean_weights, predictor
from gantk.plugins import load_plugins
from gantk.progress import QuietProgress
from gantk.recipe import load_recipe
from gantk.training.state import TrainingState
from gantk.translation import Step


@pytest.mark.parametrize("ema", [False, True])
def test_translations_and_maps_share_one_pass_of_each_network(recipe: Path, ema: bool) -> None:
    loaded = load_recipe(recipe, ["evaluation.mask=foreground", *(["training.ema=0.5"] if ema else [])])
    registry = load_plugins().registry
    assembly, scheduler = build(loaded, registry)
    cohort = open_cohort(loaded, registry, QuietProgress())
    state = TrainingState(loaded, assembly, scheduler, torch.device("cpu"))
    passes: Counter[str] = Counter()
    for role, translator in state.translators.items():
        with torch.no_grad():  # the average lags behind, as in training
            next(translator.generator.parameters()).add_(0.1)
        state.generator(role).register_forward_hook(lambda *_, role=role: passes.update([role]))
        assert translator.discriminator is not None
        translator.discriminator.register_forward_hook(lambda *_, role=role: passes.update([f"{role} D"]))
    plan = assembly.plan("joint", ("teacher", "student"))
    inference = Inference(state, plan, cohort.loader)
    for group in cohort.loader.patient(cohort.split.test[0], 4):
        alone = {role: predictor(state, role, cohort.loader)(group) for role in state.translators}
        answering = state.answering()
        assert all(answering[role].generator is state.generator(role) for role in answering)
        step = Step(answering, plan, dict.fromkeys(plan.groups, group), inference=True)
        for translator in (*answering.values(), *state.translators.values()):
            translator.eval()
        wanted = {"difficulty/teacher": step.weight("difficulty", "teacher", "paired")}
        wanted["difficulty/student"] = step.weight("difficulty", "student", "unpaired")
        for translator in state.translators.values():
            translator.train()
        passes.clear()
        inference.see(group)
        together = {role: inference.predictor(role)(group) for role in state.translators}
        weights = inference.weights()
        assert passes == {"teacher": 1, "student": 1, "teacher D": 1, "student D": 1}
        assert all(translator.generator.training for translator in state.translators.values())
        for role, image in alone.items():
            assert torch.equal(together[role], image)
        assert weights.keys() == wanted.keys()
        for name, weight in wanted.items():
            assert weight is not None
            assert torch.equal(weights[name], weight)
    assert set(mean_weights(weights, group)) == set(wanted)


def test_dropout_is_kept_at_test_where_the_recipe_says_so(recipe: Path) -> None:
    registry = load_plugins().registry
    images = {}
    for mode in ("eval", "train"):
        loaded = load_recipe(recipe, [f"translators.student.at_test={mode}"])
        assembly, scheduler = build(loaded, registry)
        state = TrainingState(loaded, assembly, scheduler, torch.device("cpu"))
        cohort = open_cohort(loaded, registry, QuietProgress())
        group = next(cohort.loader.patient(cohort.split.test[0], 4))
        network = state.translators["student"].generator
        network.register_buffer("seen", torch.zeros(1))
        network.register_forward_pre_hook(lambda module, _: (module.seen.add_(module.training), None)[1])
        random = torch.random.get_rng_state()
        first, second = (predictor(state, "student", cohort.loader)(group) for _ in range(2))
        assert torch.equal(first, second)  # from the recipe's seed
        assert torch.equal(torch.random.get_rng_state(), random)
        assert network.seen == 0  # statistics of batches stay as they were
        assert network.training
        inference = Inference(state, assembly.plan("joint", ("teacher", "student")), cohort.loader)
        inference.see(group)
        assert torch.equal(inference.predictor("student")(group), first)
        images[mode] = first
    assert not torch.equal(images["eval"], images["train"])
