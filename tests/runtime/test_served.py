"""An exported network as an MLflow model: arrays by name in, one array out."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("mlflow")

from gantk.runtime import served
from gantk.runtime.served import SPACING, Served


class Model:
    """Gives back what it is asked for."""

    def predict(self, images: dict[str, np.ndarray], *spacing: Any) -> Any:
        return images, spacing


def test_volumes_come_with_their_spacing_and_pictures_without(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []

    def load(path: Path) -> Model:
        asked.append(path)
        return Model()

    monkeypatch.setattr(served, "load", load)
    model = Served()
    model.load_context(SimpleNamespace(artifacts={"network": "somewhere"}))
    assert asked == [Path("somewhere") / "network.onnx"]
    image = [[1, 2], [3, 4]]
    images, spacing = model.predict(None, {"a": image})
    np.testing.assert_array_equal(images["a"], np.array(image))
    assert (list(images), spacing) == (["a"], ())
    images, spacing = model.predict(None, {"t1": image, SPACING: np.array([[3, 2, 1]])})
    assert (list(images), spacing) == (["t1"], ((3.0, 2.0, 1.0),))
