"""The description of an exported network of volumes or of pictures."""

from __future__ import annotations

from typing import Any

from gantk.data.meaning import Absolute, Brightness, Meaning, Relative
from gantk.data.normalisation import Normalisation, fixed_scale, full_scale
from gantk.data.slices import SliceSettings
from gantk.runtime.description import Description


def described(**changes: Any) -> Description:
    """The description of a network that makes CT from T1 and T2, in slices of 16 × 12."""
    relative = Relative(fixed_scale(0, 900), 1.25)
    known: dict[str, Any] = {
        "takes": ("t1", "t2"),
        "inputs": ("t1", "t2"),
        "target": "ct",
        "place": (0, 1),
        "channels": 1,
        "reach": 0,
        "pictures": False,
        "incomplete": False,
        "size": None,
        "settings": SliceSettings(("t1", "t2", "ct"), None, (16, 12), Normalisation(75.0, 1.5)),
        "meaning": Meaning({"t1": relative, "t2": relative, "ct": Absolute(fixed_scale(-1000, 1000))}),
        "multiple": 4,
        "batch": 3,
    }
    return Description(**known | changes)


def of_pictures(**changes: Any) -> Description:
    """The description of a network that makes b from a, both colored."""
    bright = Brightness(full_scale(255))
    known = {
        "takes": ("a",),
        "inputs": ("a",),
        "target": "b",
        "place": (0, 3),
        "channels": 3,
        "pictures": True,
        "settings": SliceSettings(("a", "b"), None, (16, 12)),
        "meaning": Meaning({"a": bright, "b": bright}),
    }
    return described(**known | changes)
