"""Memory: its peak; running out of it is one error that names what to lower, and no other error in its place."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gantk.errors import DataError, MemoryShortage
from gantk.memory import enough_memory

PEAK = """
import numpy as np
from gantk.memory import peak_memory
before = peak_memory()
held = np.ones(30_000_000)
del held
print(before, peak_memory())
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="this system does not tell the peak")
def test_the_peak_counts_what_is_freed_again() -> None:
    made = subprocess.run([sys.executable, "-c", PEAK], check=True, capture_output=True, text=True).stdout
    before, after = map(int, made.split())
    assert 200e6 < after - before < 400e6


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("CUDA out of memory. Tried to allocate 2 GiB. If reserved memory is large, try …"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
        ValueError("array is too big; arr.size * itemsize is larger than the maximum"),
    ],
)
def test_a_shortage_names_the_keys_to_lower(error: Exception) -> None:
    with pytest.raises(MemoryShortage) as raised, enough_memory("to train", "data.batch or data.crop"):
        raise error
    assert "not enough memory to train" in str(raised.value)
    assert "lower data.batch or data.crop" in str(raised.value)
    assert "If reserved" not in str(raised.value)


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), DataError("no file"), KeyError("out of memory")])
def test_other_errors_pass_unchanged(error: Exception) -> None:
    with pytest.raises(type(error)) as raised, enough_memory("to train", "data.batch"):
        raise error
    assert raised.value is error
