"""Images in overlapping windows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gantk.data.windows import Blended, in_windows


@pytest.mark.parametrize("size", [(16, 12), (17, 12), (40, 53)])
def test_what_needs_no_neighbours_is_the_same_in_windows(size: tuple[int, int]) -> None:
    images = np.random.default_rng(0).normal(size=(2, 3, *size)).astype(np.float32)
    shapes = []

    def network(part: np.ndarray) -> np.ndarray:
        shapes.append(part.shape[-2:])
        return 2 * part[:, :1] + 1

    found = in_windows(network, images, (16, 12))
    np.testing.assert_allclose(found, 2 * images[:, :1] + 1, rtol=1e-5, atol=1e-5)
    assert found.dtype == np.float32
    assert set(shapes) == {(16, 12)}
    assert (len(shapes) == 1) == (size == (16, 12))


def test_windows_that_disagree_leave_no_edge() -> None:
    tones = iter([0.0, 1.0, 0.0])

    def network(part: np.ndarray) -> np.ndarray:
        return np.full_like(part, next(tones))

    row = in_windows(network, np.zeros((1, 1, 8, 40), np.float32), (8, 16))[0, 0, 0]
    assert row[0] == 0
    assert row.max() == 1
    assert abs(np.diff(row)).max() < 0.35


@pytest.mark.slow
@pytest.mark.parametrize("blend", ["gaussian", "constant", "median"])
@pytest.mark.parametrize(
    ("window", "sides", "overlap", "fill"),
    [
        ((8, 6), (19, 23), 0.5, -1.0),
        ((8, 6), (5, 23), 0.25, None),
        ((4, 6, 8), (9, 14, 17), 0.5, -1.0),
        ((4, 6, 8), (4, 13, 8), 0.7, -1.0),
        ((4, 6, 8), (3, 5, 20), 0.0, -1.0),
    ],
)
def test_windows_without_torch_are_blended_as_monai_blends_them(
    blend: Any, window: tuple[int, ...], sides: tuple[int, ...], overlap: float, fill: float | None
) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("monai", reason="gantk[volumes]")
    from gantk.api.windows import Windows
    from gantk.recipe.inference import InferenceSettings

    random = np.random.default_rng(3)
    images = random.uniform(-1, 1, (2, 2, *sides)).astype(np.float32)
    own = random.uniform(-1, 1, window).astype(np.float32)  # what windows say differs by place
    settings = InferenceSettings(window=list(window), overlap=overlap, blend=blend, batch=3)
    wanted = Windows(window, settings, torch.device("cpu"))(
        lambda part: part.sum(1, keepdim=True) + torch.from_numpy(own), torch.from_numpy(images), fill=fill
    )
    seen = []

    def network(part: np.ndarray) -> np.ndarray:
        seen.append(part.shape)
        return part.sum(1, keepdims=True) + own

    made = Blended(window, overlap, blend, 3)(network, images, fill)
    assert made.dtype == np.float32
    assert max(shape[0] for shape in seen) <= 3
    np.testing.assert_allclose(made, wanted.numpy(), atol=1e-5)
