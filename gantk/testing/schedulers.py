"""Conformance of schedulers, tested by a simulated training."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, get_args

from gantk.testing.base import Conformance
from gantk.testing.checks import pickled
from gantk.testing.failures import ConformanceError, expect
from gantk.training.scheduler import Scheduler, Stage
from gantk.translation import Role

__all__ = ["SchedulerConformance"]

PARTS = ("generator", "heads", "discriminator")
Trace = list[tuple[Any, ...]]


class SchedulerConformance(Conformance):
    """Conformance of a scheduler; see `Conformance` for how to use it.

    Attributes:
        roles: the recipe's translators; default: the roles that its parameters name.
        metrics: names of the validation metrics that it receives for each role.
    """

    kind = "scheduler"
    roles: ClassVar[tuple[str, ...]] = ()
    metrics: ClassVar[tuple[str, ...]] = ("ssim", "psnr", "mse")

    @property
    def translators(self) -> list[str]:
        """The roles of the recipe."""
        values = self.registered.check(self.given, self.registered.name)
        named = [
            values[p.name]
            for p in self.registered.parameters
            if (p.type is Role or Role in get_args(p.type)) and values[p.name] is not None
        ]
        return list(self.roles or dict.fromkeys(named) or ("generator",))

    def training(self, scheduler: Any = None) -> Rehearsal:
        """A simulated training by the scheduler; default: a new instance."""
        return Rehearsal(scheduler or self.make(), self.translators, self.metrics)

    def test_stages(self) -> None:
        """It is a scheduler, and its stages have unique names, a length, and roles that exist."""
        scheduler = self.make()
        expect(
            isinstance(scheduler, Scheduler), f"it is a {type(scheduler).__name__}", "derive it from gantk.Scheduler"
        )
        check_stages(scheduler.stages(self.translators), self.translators)

    def test_rates(self) -> None:
        """Rates and weights are finite, at least 0, not all 0, and the same in every call."""
        scheduler = self.make()
        for stage in scheduler.stages(self.translators):
            for role in stage.roles:
                found = [_rates(scheduler, stage, role, epoch) for epoch in range(stage.epochs)]
                shown = f"in the stage {stage.name!r} for {role!r}"
                bad = [value for values in found for value in values if not (math.isfinite(value) and value >= 0)]
                expect(not bad, f"a rate or weight {shown} is {bad[:1]}", "return finite factors, at least 0")
                learns = any(values[0] > 0 for values in found)
                expect(learns, f"the generator's rate {shown} is always 0", "leave the role out of the stage's roles")
                again = [_rates(scheduler, stage, role, epoch) for epoch in range(stage.epochs)]
                expect(
                    again == found, f"rates {shown} differ when asked for again", "let them depend on the epoch alone"
                )

    def test_training(self) -> None:
        """From the first stage to the last, it requests nothing impossible of the training."""
        self.training().run()

    def test_resume(self) -> None:
        """A new instance that loads the state of any epoch continues exactly like the first one."""
        whole = self.training().run()
        for stop in range(len(whole)):
            training = self.training()
            before = training.run(stop)
            state = check_state(training.scheduler)
            fresh = self.make()
            fresh.load_state_dict(state)
            training.scheduler = fresh
            expect(
                before + training.run() == whole,
                f"resumed after {stop} epochs it goes on otherwise than when it is not stopped",
                "give everything that changes after construction back in state_dict, and take it up in load_state_dict",
            )

    def test_pickle(self) -> None:
        """A pickled copy schedules the same."""
        same = self.training(pickled(self.make())).run() == self.training().run()
        expect(same, "a pickled copy schedules otherwise", "keep no state outside plain attributes")


def check_stages(stages: Sequence[Stage], roles: Sequence[str]) -> None:
    """Check that the stages can be trained."""
    expect(len(stages) > 0, "there is no stage", "return at least one gantk.Stage")
    names = [stage.name for stage in stages]
    expect(len(set(names)) == len(names), f"two stages have one name: {names}", "name each stage differently")
    for stage in stages:
        shown = f"the stage {stage.name!r}"
        expect(stage.epochs >= 1, f"{shown} has {stage.epochs} epochs", "leave a stage out rather than empty")
        expect(bool(stage.roles), f"{shown} trains nothing", "give it roles")
        unknown = sorted(set(stage.roles) - set(roles))
        expect(not unknown, f"{shown} trains {unknown}; the recipe has {list(roles)}", "take roles from the argument")
        expect(stage.history >= 0, f"{shown} has the history {stage.history}", "count epochs, from 0")


def check_state(scheduler: Scheduler) -> dict[str, Any]:
    """The scheduler's state, converted to JSON and back as in a checkpoint."""
    mend = "give numbers, strings, lists, dicts with string keys, True, False and None"
    try:
        state = json.loads(json.dumps(scheduler.state_dict()))
    except TypeError as error:
        raise ConformanceError(f"its state is not JSON: {error}", mend) from None
    return state


def _rates(scheduler: Scheduler, stage: Stage, role: str, epoch: int) -> tuple[float, ...]:
    rates = [scheduler.rate(stage, role, part, epoch) for part in PARTS]
    return (*rates, scheduler.weight(stage, role, epoch))


class Rehearsal:
    """A simulated training for a scheduler: it counts epochs, invents metrics and records actions.

    It is also the `gantk.Control` that the scheduler acts through.
    """

    def __init__(self, scheduler: Scheduler, roles: Sequence[str], metrics: Sequence[str]) -> None:
        self.scheduler, self.roles, self.metrics = scheduler, list(roles), metrics
        self.stage = self.epoch = 0
        self.lengths: dict[str, int] = {}
        self.actions: Trace = []

    def run(self, epochs: int | None = None) -> Trace:
        """Continue for some epochs, or to the end; returns the events of each epoch."""
        trace: Trace = []
        stages = self.scheduler.stages(self.roles)
        while self.stage < len(stages) and (epochs is None or len(trace) < epochs):
            stage = stages[self.stage]
            self.actions = []
            if self.epoch == 0:
                self.scheduler.before_stage(stage, self)
            rates = tuple(_rates(self.scheduler, stage, role, self.epoch) for role in stage.roles)
            ended = self.scheduler.after_epoch(stage, self.epoch, self._measured(stage), self)
            expect(isinstance(ended, bool), f"after_epoch returned {ended!r}", "return True to end the stage, or False")
            trace.append((stage.name, self.epoch, rates, ended, tuple(self.actions)))
            self.epoch += 1
            self.lengths[stage.name] = self.epoch
            if ("stop",) in self.actions:
                self.stage, self.epoch = len(stages), 0
            elif ended or self.epoch == stage.epochs:
                self.stage, self.epoch = self.stage + 1, 0
        return trace

    def _measured(self, stage: Stage) -> Mapping[str, float]:
        """Metrics that rise, vary and then stay constant; they depend only on the epoch."""
        made = random.Random(f"{stage.name} {self.epoch}")
        value = 1 - 0.5 ** min(self.epoch, 6) + 1e-4 * made.random()
        return {f"{role}/{metric}": value for role in stage.roles for metric in self.metrics}

    def copy(self, source: str, target: str, parts: Sequence[str], *, into: str = "", shared: bool = False) -> None:
        for role in (source, target):
            expect(
                role in self.roles, f"it copies from {source!r} to {target!r}, of {self.roles}", "name roles there are"
            )
        unknown = sorted(set(parts) - set(PARTS))
        expect(not unknown, f"it copies the parts {unknown}", f"parts are {', '.join(PARTS)}")
        self.actions.append(("copy", source, target, tuple(parts), into, shared))

    def restore(self, role: str, stage: str, epoch: int) -> None:
        kept = {s.name: s.history for s in self.scheduler.stages(self.roles)}.get(stage, 0)
        done = self.lengths.get(stage, 0)
        expect(
            0 <= epoch < done and done - 1 - epoch <= kept,
            f"it restores epoch {epoch} of the stage {stage!r}, of {done} epochs, and keeps {kept} before the last",
            "give that stage a longer history, or restore a later epoch",
        )
        self.actions.append(("restore", role, stage, epoch))

    def stop(self) -> None:
        self.actions.append(("stop",))

    def note(self, text: str) -> None:
        self.actions.append(("note", text))
