"""What a run's folder holds as MLflow's own objects: data sets, test results, pictures."""

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

#: Pixels: the interface shows a thumbnail at its own size and no larger, on the whole screen too. MLflow's own have
#: 256, too few for a panel of many columns.
THUMBNAIL = 1280


def dataset_inputs(folder: RunFolder, name: str, split: str) -> Iterator[DatasetInput]:
    """A data set per part of the split."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    for part, subjects in (folder.parts() or {"training": 0}).items():
        # MLflow keeps one description for all runs with this name and digest: it must be true of each
        source = json.dumps({"dataset": name, "split": split, "part": part, "subjects": subjects})
        entity = Dataset(name, f"{split[:24]}-{part}"[:36], source_type="gantk", source=source)
        context = part if part in ("validation", "test") else "training"
        yield DatasetInput(entity, [InputTag("mlflow.data.context", context)])


def result_metrics(folder: RunFolder, time: int, former: Iterable[str]) -> list[Metric]:
    """The test results as metrics; MLflow can take none away: one that is no longer measured becomes NaN.

    Their step is the run's last: there stand the weights that were measured; a sweep, which takes no step, has 0.

    Args:
        folder: the run's.
        time: Unix milliseconds.
        former: the metrics that MLflow has.
    """
    from mlflow.entities import Metric

    found = results(folder)
    gone = [name for name in former if name.startswith(RESULTS) and name not in found]
    step = last_step(folder)
    return [Metric(name, found.get(name, math.nan), time, step) for name in (*found, *gone)]


def last_step(folder: RunFolder) -> int:
    """The run's last step, counted from 0; a sweep takes none."""
    done = folder.status().get("step")
    return max(done - 1, 0) if isinstance(done, int) else 0


def image_files(panel: Panel, run_id: str, folder: Path) -> Iterator[Path]:
    """The picture and its thumbnail, named as `MlflowClient.log_image(key=, step=)` names them.

    That function draws a new name at every call; here a picture that is sent again takes its own place.
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
