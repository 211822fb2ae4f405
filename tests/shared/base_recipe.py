"""The smallest recipe, a small one with all tables, values of recipes, and the lines of a text."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from gantk.recipe import Recipe, recipe_from_table

LEAST = """\
name = "least"
[data]
dataset = "phantom"
inputs = ["t1"]
target = "t1ce"
[translators.a]
generator.use = "resnet"
[losses.l]
use = "l1"
on = "a"
[schedule]
use = "constant"
"""


def least(**tables: Any) -> Recipe:
    """The smallest recipe of a translator `g`, with other tables; the keys given here are added to `data`."""
    data = {"dataset": "phantom", "inputs": ["t1"], "target": "t1ce", **tables.pop("data", {})}
    table = {
        "name": "least",
        "translators": {"g": {"generator": {"use": "unet"}}},
        "losses": {"l": {"use": "l1", "on": "g"}},
        "schedule": {"use": "constant"},
    }
    return recipe_from_table({**table, **tables, "data": data})


BASE = """\
name = "base"

[run]
seed = 3

[data]
dataset = "phantom"
subjects = 12
inputs = ["t1", "t2"]
target = "t1ce"
batch = { paired = 2, unpaired = 3 }

[translators.a]
generator = { use = "resnet", channels = 8, blocks = 2 }
discriminator = { use = "patchgan", layers = 2 }

[translators.a.optimizer]
use = "adamw"
rates = { generator = 6e-4, discriminator = 3e-4 }

[translators.b]
like = "a"
generator.channels = 16

[maps.edges]
use = "edges"
strength = 2.0

[losses.pixelwise]
use = "l1"
on = "a"
map = "edges"
weight = 100

[losses.structure]
use = "ssim"
on = "b"
window = 7

[schedule]
use = "linear_decay"
epochs = 20
decay_epochs = 5
"""


def line_of(text: str, part: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if part in line)


#: Keys and values that are drawn.
WORDS = st.text("abcdefgh_", min_size=1, max_size=6)
SCALARS = st.one_of(
    st.booleans(),
    st.integers(-(2**40), 2**40),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8).filter(lambda t: t.isprintable()),
    st.lists(st.integers(0, 9), max_size=3),
)
