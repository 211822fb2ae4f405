"""The plan of one stage: its active terms, the batch groups and the generator features they need."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from gantk.data.layout import Domain
from gantk.translation.protocols import Needs
from gantk.translation.term import BalanceSlot, MapSlot, Term, TransformSlot
from gantk.translation.translator import Translator


@dataclass(frozen=True)
class Known:
    """An image that is known before a step begins: a domain of a batch group, or a role's input from a group, which may
    contain outputs of other roles."""

    group: str
    domain: Domain
    role: str | None = None


@dataclass(frozen=True)
class Wanted:
    """The features that a stage's terms need from one translator on one image."""

    layers: tuple[int, ...] = ()
    output: bool = False


class StagePlan:
    """The terms of one stage, collected once.

    Args:
        stage: the stage's name.
        roles: the roles that it trains.
        terms: all terms of the recipe.
        maps: all weight maps of the recipe.
        translators: all translators of the recipe.
        requested: the transforms that terms may ask for, by name.
        balance: how terms are balanced.
    """

    def __init__(
        self,
        stage: str,
        roles: tuple[str, ...],
        terms: Iterable[Term],
        maps: Mapping[str, MapSlot],
        translators: Mapping[str, Translator],
        requested: Mapping[str, TransformSlot] = MappingProxyType({}),
        balance: BalanceSlot | None = None,
    ) -> None:
        self.stage = stage
        self.roles = roles
        self.terms = [term for term in terms if term.active(stage, roles)]
        self.maps = {name: slot for name, slot in maps.items() if slot.active(stage)}
        self.requested = requested
        self.balance = balance if balance is not None and balance.role in roles else None
        self.wanted = self._wanted(translators)
        self.judged = self._judged()

    @property
    def groups(self) -> tuple[str, ...]:
        """The batch groups that the stage's terms read, sorted."""
        references = [reference.split(".") for term in self.terms for reference in term.references]
        named = {owner[0] for *owner, what in references if owner and what != "output"}
        return tuple(sorted({term.group for term in self.terms} | named))

    def needs(self, term: Term) -> tuple[Needs, ...]:
        """What one of the terms needs, and its weight map where it has an active one."""
        return (term.needs,) if term.map not in self.maps else (term.needs, self.maps[term.map].needs)

    def _wanted(self, translators: Mapping[str, Translator]) -> dict[tuple[str, Known], Wanted]:
        layers: dict[tuple[str, Known], set[int]] = defaultdict(set)
        output: dict[tuple[str, Known], bool] = defaultdict(bool)
        for term in self.terms:
            for role in (term.role, *term.needs.roles):
                image = _image(term.needs.image, term.group, translators[role])
                if image is None:
                    continue
                layers[role, image] |= set(term.needs.layers)
                output[role, image] |= term.needs.output or (role == term.role and term.map in self.maps)
            for before in (one for role in (term.role, *term.needs.roles) for one in before_it(translators, role)):
                image = _image("source", term.group, translators[before])
                assert image is not None
                output[before, image] = True
                layers[before, image] |= set()
        return {key: Wanted(tuple(sorted(layers[key])), output[key]) for key in layers}

    def _judged(self) -> dict[str, tuple[int, ...]]:
        """The discriminator layers that terms need, by role; every judgement returns them."""
        layers: dict[str, set[int]] = defaultdict(set)
        for term in self.terms:
            layers[term.role] |= set(term.needs.judged)
        return {role: tuple(sorted(found)) for role, found in layers.items()}


def before_it(translators: Mapping[str, Translator], role: str) -> list[str]:
    """The translators whose outputs reach one, in the order in which they run."""
    found = [one for other in translators[role].after for one in (*before_it(translators, other), other)]
    return list(dict.fromkeys(found))


def _image(reference: str, group: str, translator: Translator) -> Known | None:
    """The image that a reference names, None for a translator's output."""
    owner, _, what = reference.rpartition(".")
    if what == "output":
        return None
    if not owner and what == "source" and translator.after:
        return Known(group, translator.takes, translator.role)
    if not owner:
        return Known(group, translator.takes if what == "source" else translator.gives)
    return Known(owner, Domain("source" if what == "source" else "target", None, 0))
