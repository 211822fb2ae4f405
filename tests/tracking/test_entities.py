"""Data sets, results and pictures as MLflow's own objects."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from gantk.tracking.feeder import sync
from gantk.tracking.store import Store
from mlflow_runs import images_of, mlflow_run

Make = Callable[[str], "MadeRun"]  # noqa: F821  tests/tracking/conftest.py


def test_panels_are_named_as_the_image_grid_wants_them(store: Store, make_run: Make) -> None:
    """The names are those of MLflow's own log_image, except for time and unique part."""
    made = make_run("panels")
    made.panel("validation/deep", 7)
    sync(made.path, store.uri)
    run = mlflow_run(store, made.path)
    other = store.client().create_run(run.info.experiment_id)
    store.client().log_image(other.info.run_id, np.zeros((8, 300, 3), np.uint8), key="validation/deep/panels", step=7)

    def bare(name: str) -> str:
        return re.sub(r"timestamp\+\d+\+[0-9a-f-]{36}", "…", name)

    theirs = images_of(store, other.info.run_id)
    assert [bare(n) for n in images_of(store, run.info.run_id)] == [bare(n) for n in theirs]
    assert (
        run.data.tags["mlflow.loggedImages"]
        == store.client().get_run(other.info.run_id).data.tags["mlflow.loggedImages"]
    )


def test_thumbnails_are_large_enough_to_be_looked_at(store: Store, make_run: Make) -> None:
    made = make_run("large")
    path = made.path / "panels" / "validation" / "step-00000001.png"
    path.parent.mkdir(parents=True)
    Image.fromarray(np.zeros((400, 2560, 3), np.uint8)).save(path)
    made.panel("validation", 2)
    sync(made.path, store.uri)
    run = mlflow_run(store, made.path)
    folder = Path(store.client().download_artifacts(run.info.run_id, "images"))
    sizes = {}
    for found in folder.glob("*.webp"):
        with Image.open(found) as image:
            sizes[re.search(r"step\+(\d+)", found.name)[1]] = image.size  # type: ignore[index]
    assert sizes == {"1": (1280, 200), "2": (300, 8)}  # small pictures are not enlarged


def test_what_is_no_longer_measured_is_no_longer_shown(store: Store, make_run: Make) -> None:
    made = make_run("again")
    made.steps(1, 2)
    made.finish(2)
    sync(made.path, store.uri)
    summary = made.path / "evaluation" / "summary.json"
    summary.write_text(json.dumps({"methods": {"student": {"psnr": {"mean": 30.0}, "nan": {"mean": math.nan}}}}))
    os.utime(summary, (2e9, 2e9))
    for _ in range(2):
        sync(made.path)
        metrics = mlflow_run(store, made.path).data.metrics
        assert metrics["test/psnr"] == 30
        assert math.isnan(metrics["test/ssim"])
        assert math.isnan(metrics["baseline/input:t1/ssim"])
        assert metrics["train/student/pixelwise"] == 0.5


def test_each_part_of_the_split_is_an_input_that_names_no_other_run(store: Store, make_run: Make) -> None:
    for name in ("first", "second"):
        made = make_run(name)
        (made.path / "split.csv").write_text("patient,role\na,paired\nb,paired\nc,validation\nd,test\n")
        sync(made.path, store.uri)
        inputs = mlflow_run(store, made.path).inputs.dataset_inputs
        found = {d.dataset.digest: (d.tags[0].value, json.loads(d.dataset.source)["subjects"]) for d in inputs}
        assert found["0123456789ab-paired"] == ("training", 2)
        assert found["0123456789ab-validation"] == ("validation", 1)
        assert not any("first" in d.dataset.source for d in inputs)
