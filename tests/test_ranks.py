"""The place of a process among those that train a run together."""

from __future__ import annotations

import pytest

from gantk.ranks import rank, world_size


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, (0, 1)),
        ({"RANK": "2", "WORLD_SIZE": "4"}, (2, 4)),
        ({"RANK": "3"}, (0, 1)),  # left by a shell: alone, it is the first
        ({"RANK": "1", "WORLD_SIZE": "1"}, (0, 1)),
    ],
)
def test_torchrun_says_it(
    environment: dict[str, str], expected: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert (rank(), world_size()) == expected
