"""Names of batch groups: `paired`, or `paired:1/2` for the slices of every second one of its patients."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from gantk.errors import nearest

__all__ = ["GROUPS", "PATTERN", "GroupName"]

GROUPS = ("paired", "unpaired", "source", "target")
"""Batch groups; a group's place is part of its random key."""

_COUNT = "[1-9][0-9]{0,3}"
PATTERN = f"^({'|'.join(GROUPS)})(:({_COUNT})/({_COUNT}))?$"
"""What a group's name looks like, as a regular expression."""


@dataclass(frozen=True)
class GroupName:
    """A batch group's name, taken apart.

    Attributes:
        base: one of `GROUPS`.
        part: which part of it, from 1.
        parts: how many parts it is divided into; 1 for the whole group.
    """

    base: str
    part: int = 1
    parts: int = 1

    @classmethod
    def parse(cls, name: str) -> GroupName:
        """Take a name apart.

        Raises:
            ValueError: there is no such group.
        """
        found = re.fullmatch(PATTERN, name)
        if found is None:
            base, colon, _ = name.partition(":")
            hint = "a part of a group is written paired:1/2" if colon and base in GROUPS else nearest(base, GROUPS)
            raise ValueError(f"there is no batch group {name!r}; {hint}")
        base, part, of = found[1], int(found[3] or 1), int(found[4] or 1)
        if found[2] and not part <= of > 1:
            raise ValueError(f"there is no part {part} of {of} in {name!r}; the halves of a group are :1/2 and :2/2")
        return cls(base, part, of)

    @property
    def has_source(self) -> bool:
        """Whether its slices come with the inputs."""
        return self.base != "target"

    @property
    def has_target(self) -> bool:
        """Whether its slices come with the targets."""
        return self.base in ("paired", "target")

    @property
    def key(self) -> tuple[int, ...]:
        """What its orders of slices are drawn from, together with the seed."""
        return (GROUPS.index(self.base), *((self.part, self.parts) if self.parts > 1 else ()))

    def share(self, patients: Sequence[str]) -> tuple[str, ...]:
        """Its own among the patients of the whole group: every `parts`-th of them by name, all of a whole group."""
        return tuple(patients) if self.parts == 1 else tuple(sorted(patients)[self.part - 1 :: self.parts])
