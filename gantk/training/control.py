"""The actions of a scheduler on a training, implemented."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import nn

from gantk.errors import PluginError, RecipeError, nearest
from gantk.training.history import History
from gantk.training.state import TrainingState
from gantk.training.world import World
from gantk.translation import Translator
from gantk.translation.residual import bare


class Control:
    """The actions of a scheduler; see `gantk.training.scheduler.Control`."""

    def __init__(self, state: TrainingState, history: History, world: World, note: Callable[[str], None]) -> None:
        self._state, self._history, self._world, self.note = state, history, world, note
        self.stops = False

    def stop(self) -> None:
        self.stops = True

    def copy(self, source: str, target: str, parts: Sequence[str], *, into: str = "", shared: bool = False) -> None:
        origin = dict(self._translator(source).parts())
        for part, module in self._translator(target).parts():
            if ("discriminator" if part == "critics" else part) in parts and part in origin:
                self._load(module, origin[part], f"the {part} of {source!r}", f"that of {target!r}", into, shared)
        self._state.begin_averages(target)

    def restore(self, role: str, stage: str, epoch: int) -> None:
        self._world.wait()  # until the first process has written them
        self._history.restore(self._translator(role), stage, epoch)
        self._state.begin_averages(role)

    def _translator(self, role: str) -> Translator:
        translators = self._state.translators
        if role not in translators:
            raise RecipeError(
                f"the schedule names {role!r}, which is not a translator",
                where="schedule",
                mend=nearest(role, translators),
            )
        return translators[role]

    @staticmethod
    def _load(module: nn.Module, origin: nn.Module, source: str, target: str, into: str, shared: bool) -> None:
        module, origin = bare(module), bare(origin)
        if isinstance(module, nn.ModuleDict) and isinstance(origin, nn.ModuleDict):
            module, origin = _without_private(module, origin), _without_private(origin, module)
        try:
            taker = module.get_submodule(into)
            weights, own = origin.state_dict(), taker.state_dict()
            if shared:
                common = {k: v for k, v in weights.items() if k in own and own[k].shape == v.shape}
                if not common:
                    raise RuntimeError("they have no weight in common")
                weights = own | common
            taker.load_state_dict(weights)
        except (RuntimeError, AttributeError) as error:
            raise PluginError(
                f"{source} does not fit into {target}{f', at {into!r}' if into else ''}",
                where="schedule",
                why=str(error).splitlines()[0],
                mend="give both roles the same architecture, or remove the part from the scheduler's copies",
            ) from None


def _without_private(modules: nn.ModuleDict, others: nn.ModuleDict) -> nn.ModuleDict:
    """Terms' modules, except modules that belong to one term of one role alone."""
    return nn.ModuleDict({key: module for key, module in modules.items() if ":" not in key or key in others})
