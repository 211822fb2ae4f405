"""Written networks are compared with the torch module before they take their name."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from described import described
from gantk.api.export_formats import TOLERANCE, Export, Plain, Report, _file, quiet
from gantk.errors import GantkError
from gantk.files import checksum
from gantk.runtime.exported import read_description


class Chain(nn.Module):
    """A chain of one generator and its input images."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.registered = nn.ModuleDict({"role_g": network})

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.registered["role_g"](image).double()


def export(out: Path) -> Export:
    torch.manual_seed(0)
    plain = Plain(Chain(nn.Conv2d(2, 1, 3, padding=1)))  # type: ignore[arg-type]
    images = [torch.rand(1, 2, 16, 12), torch.rand(1, 2, 24, 20)]
    model: Any = SimpleNamespace(translators={"g": SimpleNamespace(origins={"generator": "generator 'mine' of p 1"})})
    with torch.no_grad():
        wanted = [plain(image).numpy() for image in images]
    return Export(out, model, "g", described(multiple=4), plain, images, wanted, "P1, slice 3", ("a remark",))


def test_a_difference_beyond_the_tolerance_is_none_of_rounding(tmp_path: Path) -> None:
    made = export(tmp_path / "x.pt2")
    assert made.compare(lambda image: made.generator(image).detach().numpy()) == pytest.approx(0, abs=1e-6)
    near = made.compare(lambda image: made.generator(image).detach().numpy() + TOLERANCE / 2)
    assert near == pytest.approx(TOLERANCE / 2, rel=0.05)
    for off in (2 * TOLERANCE, np.nan):
        with pytest.raises(GantkError, match=r"translators\.g\.generator: .*differ by .* nothing was written"):
            made.compare(lambda image, off=off: made.generator(image).detach().numpy() + off)  # type: ignore[misc]


def test_the_image_alone_is_exported_in_single_precision() -> None:
    plain = export(Path("x")).generator
    assert plain(torch.rand(1, 2, 8, 8)).dtype == torch.float32
    assert isinstance(plain.weights, nn.Conv2d), "a folder of weights names them as the generator does"


def written(made: Export, off: float = 0.0) -> Report:
    """Write the weights with the simplest possible format, and read them again."""

    def opened(path: Path) -> Callable[[torch.Tensor], np.ndarray]:
        weights = torch.load(path, weights_only=True)
        return lambda image: nn.functional.conv2d(image, *weights, padding=1).numpy() + off

    parameters = [p.detach() for p in made.generator.weights.parameters()]
    return _file(made, lambda path: torch.save(parameters, path), opened)


def test_the_description_beside_a_file_has_its_checksum(tmp_path: Path) -> None:
    report = written(export(tmp_path / "x.pt2"))
    assert report.files == (tmp_path / "x.pt2", tmp_path / "x.pt2.json")
    assert (report.role, report.slice, report.remarks) == ("g", "P1, slice 3", ("a remark",))
    assert report.difference < 1e-6
    known = read_description(tmp_path / "x.pt2")
    assert known.file == {"name": "x.pt2", "sha256": checksum(tmp_path / "x.pt2")}


def test_what_differs_or_cannot_be_written_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(GantkError, match=r"differ by 0\.01"):
        written(export(tmp_path / "x.pt2"), off=0.01)

    def write(path: Path) -> None:
        path.write_bytes(b"half")
        raise TypeError("it branches\nat length")

    made = export(tmp_path / "x.pt2")
    with pytest.raises(GantkError, match=r"cannot export the generator 'mine' of p 1 to pt2.*TypeError: it branches"):
        _file(made, write, lambda path: lambda image: image.numpy())
    assert not list(tmp_path.iterdir())


def test_exporters_are_quiet_for_as_long_as_is_asked() -> None:
    logger = logging.getLogger("torch")
    before = logger.level
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with quiet():
            warnings.warn("for developers", stacklevel=1)
            assert logger.level == logging.ERROR
    assert logger.level == before
    assert caught == []
