"""All that changes while a run trains, gathered so that a checkpoint can hold it and a resume give it back."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from gantk.data.sampler import Hardness
from gantk.recipe.model import Recipe
from gantk.training.device import make_scaler
from gantk.training.optimizers import SIDES, Optimizers
from gantk.training.scheduler import Scheduler
from gantk.translation import Assembly, Moment, Translator

if TYPE_CHECKING:
    from timm.utils.model_ema import ModelEmaV3


@dataclass(frozen=True)
class Position:
    """The next step to do: `step` counts within the epoch, `total` over the run."""

    stage: int = 0
    epoch: int = 0
    step: int = 0
    total: int = 0

    @property
    def begins_stage(self) -> bool:
        return self.epoch == 0 and self.step == 0

    def as_dict(self) -> dict[str, int]:
        return asdict(self)

    @classmethod
    def from_dict(cls, found: Mapping[str, int]) -> Position:
        """The position that `as_dict` returned.

        Raises:
            TypeError, ValueError: the values are not such a position.
        """
        position = cls(**found)
        for name, value in position.as_dict().items():
            if type(value) is not int or value < 0:
                raise ValueError(f"{name} is {value!r}")
        return position


class TrainingState:
    """Networks, averages, optimizers, scheduler and position of one run.

    Nothing else needs saving: batches and random numbers are functions of the position and the recipe's seed.
    """

    def __init__(self, recipe: Recipe, assembly: Assembly, scheduler: Scheduler, device: torch.device) -> None:
        self.recipe = recipe
        self.assembly = assembly
        self.scheduler = scheduler
        self.device = device
        self.position = Position()
        self.hardness: Hardness | None = None  # of slices, where a sampler is told
        for translator in self.translators.values():
            translator.to(device)
            if recipe.training.channels_last:
                _channels_last(translator)
            if recipe.training.checkpoint_activations:
                translator.recompute()
        self.averages: dict[str, ModelEmaV3] = {}
        self._followers: dict[str, list[ModelEmaV3]] = {role: [] for role in recipe.learning}
        self._average()
        if recipe.training.compile:
            self._compile()
        self.optimizers = self.fresh_optimizers()
        self.scalers = {side: make_scaler(device, recipe.run.precision) for side in SIDES}

    def _average(self) -> None:
        """Begin all averages: averages of a role's generator, and roles that are averages."""
        ema = self.recipe.training.ema
        for role in self.recipe.learning if ema is not None else ():
            self.averages[role] = self._follower(role, ema)
        for role, settings in self.recipe.translators.items():
            if settings.average_of is not None:
                self._follower(settings.average_of, settings.decay).module = self.translators[role].generator
                self.begin_averages(settings.average_of)

    def _follower(self, role: str, decay: float | None) -> ModelEmaV3:
        """A new average of a role's generator, which follows the generator from now on."""
        from timm.utils.model_ema import ModelEmaV3  # takes seconds

        assert decay is not None
        self._followers[role].append(ModelEmaV3(self.translators[role].generator, decay=decay))
        return self._followers[role][-1]

    def follow(self, roles: Sequence[str]) -> None:
        """Update the averages of these roles after a step."""
        for role in roles:
            for average in self._followers[role]:
                average.update(self.translators[role].generator)

    def begin_averages(self, role: str) -> None:
        """Restart a role's averages from its generator's current weights."""
        for average in self._followers.get(role, ()):
            average.set(self.translators[role].generator)

    def _compile(self) -> None:
        """Compile the networks in place; names and weights stay. Second-order gradients cannot be compiled."""
        # else the backward pass of transposed convolutions fails on GPUs: github.com/pytorch/pytorch/issues/171622
        options: dict[str, str | int | bool] = {"layout_optimization": False}
        for role, translator in self.translators.items():
            translator.generator.compile(options=options)
            penalised = any(term.needs.second_order for term in self.assembly.terms if term.role == role)
            if translator.discriminator is not None and not penalised:
                translator.discriminator.compile(options=options)

    @property
    def translators(self) -> dict[str, Translator]:
        return self.assembly.translators

    def moment(self, stage: str) -> Moment:
        """The training's position relative to one of its stages: within it, or at its end if the stage is over."""
        stages = self.scheduler.stages(self.recipe.learning)
        index, epochs = next((i, s.epochs) for i, s in enumerate(stages) if s.name == stage)
        epoch = self.position.epoch if self.position.stage == index else epochs - 1
        return Moment(stage, min(epoch, epochs - 1), epochs, self.position.total)

    def fresh_optimizers(self) -> dict[str, Optimizers]:
        """New optimizers for every role that learns, as the stage of the position has them."""
        stages = self.scheduler.stages(self.recipe.learning)
        stage = stages[min(self.position.stage, len(stages) - 1)].name
        return {
            role: Optimizers(self.translators[role], slot, stage) for role, slot in self.assembly.optimizers.items()
        }

    def generator(self, role: str) -> nn.Module:
        """The generator used for prediction by a role: its average if `training.ema` keeps one."""
        return self.averages[role].module if role in self.averages else self.translators[role].generator

    def answering(self) -> dict[str, Translator]:
        """The translators, with averages in place of the generators that have one."""
        found = dict(self.translators)
        for role, average in self.averages.items():
            found[role] = copy.copy(found[role])
            found[role]._modules = {**found[role]._modules, "generator": average.module}
        return found

    def tensors(self) -> dict[str, Tensor]:
        """All weights and buffers by name, `ROLE.…` and `average.ROLE.…`."""
        found = {
            f"{role}.{name}": tensor
            for role, translator in self.translators.items()
            for name, tensor in translator.state_dict().items()
        }
        for role, average in self.averages.items():
            found |= {f"average.{role}.{name}": tensor for name, tensor in average.module.state_dict().items()}
        return found

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Load weights; names and shapes must fit exactly."""
        modules: dict[str, nn.Module] = dict(self.translators)
        modules |= {f"average.{role}": average.module for role, average in self.averages.items()}
        for prefix, module in modules.items():
            part = {k.removeprefix(f"{prefix}."): v for k, v in tensors.items() if k.startswith(f"{prefix}.")}
            module.load_state_dict(part)

    def optimizer_states(self) -> dict[str, Any]:
        """The state of every optimizer by `ROLE/SIDE`, and in fp16 of every side's scaler by `scaler/SIDE`;
        the arguments of a sampler by `sampler`."""
        told = {} if self.hardness is None else {"sampler": self.hardness.state()}
        return (
            told
            | {
                f"{role}/{side}": optimizer.state_dict()
                for role, optimizers in self.optimizers.items()
                for side, optimizer in optimizers.sides.items()
            }
            | {f"scaler/{side}": scaler.state_dict() for side, scaler in self.scalers.items() if scaler.is_enabled()}
        )

    def load_optimizer_states(self, states: Mapping[str, Any]) -> None:
        """Load the state of every optimizer; at the beginning of a stage, optimizers start without state."""
        if self.hardness is not None:
            self.hardness.take_up(states["sampler"])
        for side, scaler in self.scalers.items():
            if scaler.is_enabled():
                scaler.load_state_dict(states[f"scaler/{side}"])
        self.optimizers = self.fresh_optimizers()
        if self.position.begins_stage:
            return
        for role, optimizers in self.optimizers.items():
            for side, optimizer in optimizers.sides.items():
                optimizer.load_state_dict(states[f"{role}/{side}"])


@torch.no_grad()
def _channels_last(module: nn.Module) -> None:
    """Lay weights and buffers of convolutions out with their channels last, those of slices and of volumes."""
    layouts = {4: torch.channels_last, 5: torch.channels_last_3d}
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.ndim in layouts:
            tensor.data = tensor.data.contiguous(memory_format=layouts[tensor.ndim])
