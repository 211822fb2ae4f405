"""The MLflow model of a run: its exported network with signature, input example, requirements and the code it needs."""

from __future__ import annotations

import logging
import math
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from gantk.api.export import check_packages, export
from gantk.data.normalisation import BACKGROUND
from gantk.evaluation.examples import Examples
from gantk.files import atomic_folder
from gantk.memory import enough_memory
from gantk.progress import Progress
from gantk.runs.names import EVALUATION, MODEL
from gantk.runtime.description import Description

__all__ = ["check_packages", "write_model"]

NEEDED = ("numpy", "onnxruntime", "lazy_loader", "mlflow")
LARGEST = 64  # side of the input example in pixels
SPACING = "spacing"


@enough_memory("to export the network", "its channels")
def write_model(run: Path, progress: Progress) -> Path:
    """Write `model/` into a run's folder, which `mlflow.pyfunc.load_model` reads; loading it needs no torch.

    Raises:
        GantkError: the network cannot be exported.
    """
    import mlflow.pyfunc

    import gantk.runtime

    folder = run / MODEL
    with tempfile.TemporaryDirectory(prefix="gantk-") as temporary:
        network = Path(temporary) / "network"
        network.mkdir()
        report = export(run, network / "network.onnx", progress=progress)
        example = _example(run, report.description)
        made = gantk.runtime.load(network / "network.onnx").predict(
            {name: image for name, image in example.items() if name != SPACING},
            None if report.description.pictures else _voxel(example),
        )
        code = _code(Path(temporary))
        shutil.rmtree(folder, ignore_errors=True)  # from an earlier evaluation of this run
        with atomic_folder(folder) as unfinished, _quiet():
            mlflow.pyfunc.save_model(
                str(unfinished / "content"),
                python_model=str(code / "gantk" / "runtime" / "served.py"),
                artifacts={"network": str(network)},
                code_paths=[str(code / "gantk")],
                signature=_signature(example, made),
                input_example=example,
                pip_requirements=[f"{name}=={metadata.version(name)}" for name in NEEDED],
                metadata={"gantk": metadata.version("gantk"), "run": run.name, "role": report.role},
            )
            for file in (unfinished / "content").iterdir():
                file.rename(unfinished / file.name)
            (unfinished / "content").rmdir()
    return folder


def _example(run: Path, known: Description) -> dict[str, np.ndarray]:
    """A test slice of the run, approximately in the files' units."""
    examples = Examples.load(run / EVALUATION / "examples.npz")
    first = next(iter(examples.inputs.values()))[0]
    step = math.ceil(max(first.shape[:2]) / LARGEST)
    found: dict[str, np.ndarray] = {}
    for name in dict.fromkeys((*known.inputs, *known.needed)):
        image = examples.inputs.get(name, [first])[0][::step, ::step]
        typical = known.meaning.intensities.get(name)
        inside = image > BACKGROUND
        numbers = inside if typical is None else typical.scale.invert(image, inside)  # a mask has no scale
        kind = np.dtype(typical.scale.type) if known.pictures and typical is not None else np.dtype("float32")
        found[name] = numbers.astype(kind) if known.pictures else np.ascontiguousarray(numbers.T[..., None], np.float32)
    if not known.pictures:
        spacing = known.settings.spacing
        z, y, x = spacing if isinstance(spacing, tuple) else (1.0, spacing or 1.0, spacing or 1.0)
        found[SPACING] = np.array([step * x, step * y, z])
    return found


def _voxel(example: dict[str, np.ndarray]) -> tuple[float, float, float]:
    x, y, z = (float(size) for size in example[SPACING])
    return x, y, z


def _signature(example: dict[str, np.ndarray], made: np.ndarray) -> Any:
    """The arrays of one subject, of any size."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema, TensorSpec

    def free(image: np.ndarray) -> tuple[int, ...]:
        return (-1, -1, *(image.shape[2:] if image.shape[2:] == (3,) else (-1,) * (image.ndim - 2)))

    inputs: list[ColSpec | TensorSpec] = [
        TensorSpec(image.dtype, (3,) if name == SPACING else free(image), name) for name, image in example.items()
    ]
    return ModelSignature(Schema(inputs), Schema([TensorSpec(made.dtype, free(made))]))


@contextmanager
def _quiet() -> Iterator[None]:
    """A context that silences MLflow's progress bars and its advice to authors of models."""
    from mlflow.environment_variables import MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR as BARS

    before, logger = os.environ.get(BARS.name), logging.getLogger("mlflow.pyfunc")
    level = logger.level
    os.environ[BARS.name] = "false"
    logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings(record=True):  # not shown: MLflow sets its own filters inside
            yield
    finally:
        del os.environ[BARS.name]
        os.environ |= {} if before is None else {BARS.name: before}
        logger.setLevel(level)


def _code(folder: Path) -> Path:
    """The modules of gantk that run an exported network."""
    package = Path(__file__).parents[1]
    rooms = {"data", "runtime"}

    def others(where: str, names: list[str]) -> set[str]:
        top = Path(where) == package
        return {
            name for name in names if name == "__pycache__" or (top and (package / name).is_dir() and name not in rooms)
        }

    shutil.copytree(package, folder / "code" / "gantk", ignore=others)
    return folder / "code"
