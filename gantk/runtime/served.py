"""An exported network as an MLflow model: this file is the model's code, which MLflow runs when the model is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow.pyfunc.model import PythonModel

from gantk.runtime.exported import load

__all__ = ["SPACING", "Served"]

SPACING = "spacing"
"""The input that holds the size of a volume's voxels along X, Y, Z in mm."""


class Served(PythonModel):
    """Arrays in, an array out, as `gantk.runtime.Exported.predict`."""

    def load_context(self, context: Any) -> None:
        """Open the network that lies with the model."""
        self.model = load(Path(context.artifacts["network"]) / "network.onnx")

    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]  # MLflow reads hints as a schema
        """The synthesized image of one subject.

        Args:
            context: not used.
            model_input: by modality volumes (X, Y, Z) in LPS orientation with `spacing`; or pictures (H, W[, 3]).
            params: not used.
        """
        images = {name: np.asarray(image) for name, image in model_input.items()}
        spacing = images.pop(SPACING, None)
        if spacing is None:
            return self.model.predict(images)
        x, y, z = (float(size) for size in spacing.ravel())
        return self.model.predict(images, (x, y, z))


mlflow.models.set_model(Served())
