"""Images in windows: nothing is changed by how they are cut, whatever the overlap and the blend."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from gantk.api.windows import Windows, packed
from gantk.data.batch import Group
from gantk.errors import UsageError
from gantk.recipe.inference import InferenceSettings

CPU = torch.device("cpu")
BLENDS = ("gaussian", "constant", "median")


def windows(size: tuple[int, ...], **changes: Any) -> Windows:
    return Windows(size, InferenceSettings(**changes), CPU)


@st.composite
def cases(draw: Any) -> tuple[Tensor, Windows]:
    """Images of slices or volumes, larger and smaller than the windows."""
    dimensions = draw(st.sampled_from([2, 3]))
    size = tuple(draw(st.lists(st.integers(2, 9), min_size=dimensions, max_size=dimensions)))
    sides = draw(st.lists(st.integers(1, 20), min_size=dimensions, max_size=dimensions))
    images = torch.rand(draw(st.integers(1, 2)), 2, *sides, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return images, windows(
        size,
        overlap=draw(st.floats(0, 0.9)),
        blend=draw(st.sampled_from(BLENDS)),
        batch=draw(st.integers(1, 4)),
        gather=draw(st.sampled_from(["device", "cpu"])),
    )


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(case=cases(), constant=st.floats(-1, 1, width=32))
def test_a_constant_stays_constant_and_the_identity_gives_the_input(
    case: tuple[Tensor, Windows], constant: float
) -> None:
    images, through = case
    shapes, done = set(), 0

    def advance(number: int) -> None:
        nonlocal done
        done += number

    def identity(window: Tensor) -> Tensor:
        shapes.add(tuple(window.shape[2:]))
        return window[:, 1:]

    same = through(identity, images, advance=advance)
    assert same.shape == (len(images), 1, *images.shape[2:])
    assert same.dtype == torch.float32
    torch.testing.assert_close(same, images[:, 1:], rtol=0, atol=1e-6)
    assert shapes == {through.size}
    assert done == len(images) * through.count(images.shape[2:])
    flat = through(lambda window: torch.full_like(window[:, :1], constant), images)
    torch.testing.assert_close(flat, torch.full_like(flat, constant), rtol=0, atol=1e-6)


@pytest.mark.parametrize("blend", BLENDS)
def test_windows_that_disagree_are_blended_as_said(blend: str) -> None:
    """Along a line: windows of 8, one half over the other, give 0, 1, 5."""
    tones = iter([0.0, 1.0, 5.0])
    row = windows((1, 8), blend=blend, overlap=0.5)(
        lambda window: torch.full_like(window, next(tones)), torch.zeros(1, 1, 1, 16)
    )[0, 0, 0]
    once = {0: 0.0, 15: 5.0}
    assert all(row[place] == value for place, value in once.items())
    if blend == "gaussian":
        assert row[4] < 0.5 < row[7]  # nearer to the first window's middle, then to the second's
        assert (row.diff() >= -1e-6).all()
    else:  # of two values the median is the mean
        assert row[4:8].tolist() == [0.5] * 4
        assert row[8:12].tolist() == [3.0] * 4


def test_the_median_is_that_of_all_windows_over_a_pixel() -> None:
    random = np.random.default_rng(0)
    images = torch.zeros(1, 1, 6, 10, 9)
    cut: list[Tensor] = []

    def network(window: Tensor) -> Tensor:
        made = torch.from_numpy(random.normal(size=window.shape).astype(np.float32))
        cut.extend(made)
        return made

    through = windows((4, 4, 3), blend="median", overlap=0.6, batch=5)
    found = through(network, images)[0, 0].numpy()
    starts = [sorted({min(s, n - w) for s in range(0, n, step)}) for n, w, step in ((6, 4, 1), (10, 4, 1), (9, 3, 1))]
    places = [(z, y, x) for z in starts[0] for y in starts[1] for x in starts[2]]
    assert len(places) == len(cut) == through.count((6, 10, 9))
    values = np.full((len(places), 6, 10, 9), np.nan)
    for number, ((z, y, x), part) in enumerate(zip(places, cut, strict=True)):
        values[number, z : z + 4, y : y + 4, x : x + 3] = part[0]
    np.testing.assert_allclose(found, np.nanmedian(values, axis=0), rtol=1e-6)


def test_what_is_smaller_than_a_window_is_in_its_middle() -> None:
    seen: list[Tensor] = []

    def network(window: Tensor) -> Tensor:
        seen.append(window)
        return window

    images = torch.ones(1, 1, 3, 4)
    windows((6, 4))(network, images)
    assert seen[0][0, 0, :, 0].tolist() == [-1, 1, 1, 1, -1, -1]
    windows((6, 4))(network, images, fill=None)
    assert (seen[1] == 1).all()


@pytest.mark.parametrize("dimensions", [2, 3])
def test_what_is_said_beside_images_is_cut_with_them(dimensions: int) -> None:
    random = torch.Generator().manual_seed(0)
    spatial = (7, 9, 8)[-dimensions:]
    group = Group(
        source=torch.rand(2, 3, *spatial, generator=random),
        target=torch.rand(2, 1, *spatial, generator=random),
        segmentation=torch.randint(0, 5, (2, 1, *spatial), generator=random, dtype=torch.uint8),
        patients=("a", "b"),
        slices=(0, 1),
        extra={
            "age": torch.tensor([-61.5, 40.25]),
            "site": torch.tensor([3, 0]),
            "map": torch.randint(0, 4, (2, 1, *spatial), generator=random, dtype=torch.uint8),
        },
    )
    whole, unpacked = packed(group)
    first = unpacked(whole[:1, ..., 1:5])
    assert first.source is not None
    assert torch.equal(first.source, group.source[:1, ..., 1:5])
    assert torch.equal(first.target, group.target[:1, ..., 1:5])
    assert torch.equal(first.segmentation, group.segmentation[:1, ..., 1:5])
    assert torch.equal(first.extra["map"], group.extra["map"][:1, ..., 1:5])
    assert (first.extra["age"].item(), first.extra["site"].item()) == (-61.5, 3)
    assert {name: values.dtype for name, values in first.extra.items()} == {
        name: values.dtype for name, values in group.extra.items()
    }
    seen = []
    windows((4,) * dimensions, batch=3)(lambda one: (seen.append(unpacked(one)), one[:, :1])[1], whole)
    assert [one for part in seen for one in part.extra["age"].tolist()].count(40.25) == windows(
        (4,) * dimensions
    ).count(spatial)


def test_without_monai_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *rest: Any, **named: Any) -> Any:
        if name.startswith("monai"):
            raise ImportError("no monai here")
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", refuse)
    images = torch.zeros(1, 1, 4, 4, 4)
    assert windows((4, 4, 4))(lambda window: window, images).equal(images)  # one window needs nothing
    for blend in BLENDS:
        with pytest.raises(UsageError, match="MONAI") as raised:
            windows((2, 2, 2), blend=blend)(lambda window: window, images)
        assert "gantk[volumes]" in str(raised.value)
