"""Data of a run's folder as MLflow objects: data sets, test results, pictures."""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from gantk.tracking.folder import Panel, RunFolder
from gantk.tracking.names import RESULTS, panel_name, results

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput, Metric

__all__ = ["dataset_inputs", "image_files", "last_step", "result_metrics"]

#: Pixels: the interface never enlarges a thumbnail, even in full screen. MLflow's own thumbnails have 256 pixels, too
#: few for a panel of many columns.
THUMBNAIL = 1280


def dataset_inputs(folder: RunFolder, name: str, split: str) -> Iterator[DatasetInput]:
    """One data set per part of the split."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    for part, subjects in (folder.parts() or {"training": 0}).items():
        # MLflow keeps one description for all runs with this name and digest, so it must apply to all of them
        source = json.dumps({"dataset": name, "split": split, "part": part, "subjects": subjects})
        entity = Dataset(name, f"{split[:24]}-{part}"[:36], source_type="gantk", source=source)
        context = part if part in ("validation", "test") else "training"
        yield DatasetInput(entity, [InputTag("mlflow.data.context", context)])


def result_metrics(folder: RunFolder, time: int, former: Iterable[str]) -> list[Metric]:
    """The test results as metrics; MLflow cannot delete metrics, so a metric that is no longer measured becomes NaN.

    Their step is the run's last step, that of the measured weights; for a sweep, which has no steps, it is 0.

    Args:
        folder: the run's folder.
        time: Unix milliseconds.
        former: the metrics that MLflow already has.
    """
    from mlflow.entities import Metric

    found = results(folder)
    gone = [name for name in former if name.startswith(RESULTS) and name not in found]
    step = last_step(folder)
    return [Metric(name, found.get(name, math.nan), time, step) for name in (*found, *gone)]


def last_step(folder: RunFolder) -> int:
    """The run's last step, counted from 0; 0 for a sweep, which has no steps."""
    done = folder.status().get("step")
    return max(done - 1, 0) if isinstance(done, int) else 0


def image_files(panel: Panel, run_id: str, folder: Path) -> Iterator[Path]:
    """The picture and its thumbnail, named as `MlflowClient.log_image(key=, step=)` names them.

    `log_image` generates a new name at every call; here a picture that is sent again replaces the earlier one.
    """
    from PIL import Image

    key = panel_name(panel.key).replace(":", "_").replace("/", "~")
    time = int(panel.path.stat().st_mtime * 1000)
    unique = uuid.uuid5(uuid.NAMESPACE_URL, f"{run_id}/{panel.name}")
    name = f"{key}+step+{panel.step}+timestamp+{time}+{unique}"
    with Image.open(panel.path) as opened:
        image = opened if opened.mode in ("L", "RGB", "RGBA") else opened.convert("RGB")
        image.save(folder / f"{name}.png")
        image.thumbnail((THUMBNAIL, THUMBNAIL))
        image.save(folder / f"{name}+compressed.webp")
    yield folder / f"{name}.png"
    yield folder / f"{name}+compressed.webp"
