"""Seeds by name: the same in every process, of their own for every name."""

from __future__ import annotations

import subprocess
import sys

import torch
from hypothesis import given
from hypothesis import strategies as st

from gantk.translation.seeds import seed_of

names = st.lists(st.text() | st.integers(min_value=0), min_size=1, max_size=4)


@given(names)
def test_torch_takes_every_seed(parts: list[object]) -> None:
    seed = seed_of(*parts)
    assert 0 <= seed < 2**32
    assert torch.Generator().manual_seed(seed).initial_seed() == seed


def test_another_process_has_the_same_seed() -> None:
    # Python's own hash of a text differs between processes, and with it a resumed run would draw otherwise
    code = "from gantk.translation.seeds import seed_of; print(seed_of(7, 'teacher', 'generator'))"
    again = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(again.stdout) == seed_of(7, "teacher", "generator")


def test_names_have_seeds_of_their_own() -> None:
    seeds = {
        seed_of(draw, slot, name) for draw in range(20) for slot in "abcde" for name in ("flip", "jitter", "noise")
    }
    assert len(seeds) == 20 * 5 * 3


def test_the_order_of_names_matters() -> None:
    assert seed_of("a", "b") != seed_of("b", "a")


def test_where_a_name_ends_matters() -> None:
    assert seed_of(1, 23) != seed_of(12, 3)
