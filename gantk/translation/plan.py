"""What one stage computes: its active terms, the batch groups and the generator features they need."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gantk.translation.term import MapSlot, Term


@dataclass(frozen=True)
class Wanted:
    """What a stage's terms want of one translator on one group's source."""

    layers: tuple[int, ...] = ()
    output: bool = False


class StagePlan:
    """The terms of one stage, collected once.

    Args:
        stage: the stage's name.
        roles: the roles that it trains.
        terms: all terms of the recipe.
        maps: all weight maps of the recipe.
    """

    def __init__(self, stage: str, roles: tuple[str, ...], terms: Iterable[Term], maps: Mapping[str, MapSlot]) -> None:
        self.stage = stage
        self.roles = roles
        self.terms = [term for term in terms if term.active(stage, roles)]
        self.maps = {name: slot for name, slot in maps.items() if slot.active(stage)}
        self.wanted = self._wanted()

    @property
    def groups(self) -> tuple[str, ...]:
        """The batch groups that the stage's terms read, sorted."""
        references = [reference.split(".") for term in self.terms for reference in term.references]
        named = {owner[0] for *owner, what in references if owner and what != "output"}
        return tuple(sorted({term.group for term in self.terms} | named))

    def _wanted(self) -> dict[tuple[str, str], Wanted]:
        layers: dict[tuple[str, str], set[int]] = defaultdict(set)
        output: dict[tuple[str, str], bool] = defaultdict(bool)
        for term in self.terms:
            for role in (term.role, *term.needs.roles):
                key = (role, term.group)
                layers[key] |= set(term.needs.layers)
                output[key] |= term.needs.output or (role == term.role and term.map in self.maps)
        return {key: Wanted(tuple(sorted(layers[key])), output[key]) for key in layers}
