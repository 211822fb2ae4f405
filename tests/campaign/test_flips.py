"""One bit of a file flipped: the file is refused, made again or named, or the results are the same.

Some formats have no checksum: there a flip may give other pixels or other values, which is counted and said. Nothing
may ever fail in a way that is not told in gantk's words.
"""

from __future__ import annotations

import random
import shutil
import sqlite3
import warnings
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

import gantk
from gantk.api.cohort import open_cohort
from gantk.data.images import Images
from gantk.data.phantom import Phantom
from gantk.data.volumes import Subject, read_volumes
from gantk.errors import GantkError, GantkWarning
from gantk.evaluation.results import Evaluation
from gantk.plugins import load_plugins
from gantk.progress import QuietProgress
from gantk.recipe import load_recipe
from gantk.report.html import write_report
from gantk.runs.files import RunFiles
from gantk.tables.compare import compare
from gantk.tables.paper import result_table
from gantk.tracking import sync
from gantk.tracking.journal import Journal
from gantk.training.checkpoint import newest_checkpoint, open_checkpoint
from tiny_runs import write_patient

#: Allowed effects of a flip in a file without a checksum.
UNSEEN = "other values (no checksum in the format)"


def flip(path: Path, draw: random.Random) -> str:
    """Flip one bit of a file; returns a description."""
    content = bytearray(path.read_bytes())
    place, bit = draw.randrange(len(content)), draw.randrange(8)
    content[place] ^= 1 << bit
    path.write_bytes(content)
    return f"bit {bit} of byte {place} of {path.name} ({len(content)} bytes)"


def same(a: Any, b: Any) -> bool:
    """Whether two results are equal, arrays and tensors bit for bit."""
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, np.ndarray):
        return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()
    return bool(a == b)


def flips(
    harms: Any, sample: int, whole: int, paths: list[Path], read: Callable[[], Any], *, checksum: bool = True
) -> None:
    """Flip bits of files, one at a time, and look at what reading them gives.

    Args:
        harms: counts.
        sample: tries of the sample.
        whole: tries of the whole campaign.
        paths: the files; as they were after each try.
        read: what they are read for; a `GantkError` or a `GantkWarning` tells of the damage.
        checksum: whether other results that nobody told of are a failure.
    """
    before = {path: path.read_bytes() for path in paths}
    expected = read()
    for one in harms.tries(sample, whole):
        with harms.trying(one), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            one.done = flip(one.random.choice(paths), one.random)
            try:
                found = read()
            except GantkError as error:
                harms.count(f"refused ({type(error).__name__})" if not error.where else "refused")
            else:
                told = any(issubclass(w.category, GantkWarning) for w in caught)
                if told or same(found, expected):
                    harms.count("told" if told else "no effect")
                else:
                    assert not checksum, "other results, and nothing was said"
                    harms.not_held(UNSEEN)
        for path, content in before.items():
            path.write_bytes(content)


def test_volumes(harms: Any, tmp_path: Path) -> None:
    folder = write_patient(tmp_path / "P0", 0)
    files = {name: folder / f"P0_{name}.nii.gz" for name in ("t1", "t2")}
    subject = Subject("P0", files, folder / "P0_seg.nii.gz")

    def read() -> Any:
        volumes = read_volumes(subject, ["t1", "t2"])
        return volumes.images, volumes.segmentation, volumes.affine

    flips(harms, 150, 6000, [*files.values(), folder / "P0_seg.nii.gz"], read)


PICTURES: dict[str, tuple[Callable[[Path, np.ndarray], Any], bool]] = {
    "png": (lambda path, pixels: Image.fromarray(pixels).save(path.with_suffix(".png")), True),
    "jpg": (lambda path, pixels: Image.fromarray(pixels).save(path.with_suffix(".jpg")), False),
    "tiff": (lambda path, pixels: tifffile.imwrite(path.with_suffix(".tif"), pixels), False),
    "tiff-deflate": (
        lambda path, pixels: tifffile.imwrite(path.with_suffix(".tif"), pixels, compression="deflate"),
        False,
    ),
}


@pytest.mark.parametrize("kind", PICTURES)
def test_pictures(harms: Any, tmp_path: Path, kind: str) -> None:
    draw = np.random.default_rng(0)
    for part in ("train", "val", "test"):
        (tmp_path / part).mkdir()
        PICTURES[kind][0](tmp_path / part / "0", draw.integers(0, 256, (32, 64, 3), dtype=np.uint8))
    (path,) = (tmp_path / "train").iterdir()

    def read() -> Any:
        dataset = Images(tmp_path)
        subject = next(s for s in dataset.subjects(QuietProgress()) if path in s.files.values())
        return dataset.read(subject, ["a", "b"]).images

    flips(harms, 40, 1500, [path], read, checksum=PICTURES[kind][1])


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GANTK_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_slice_store(harms: Any, recipe: Path, own_cache: Path) -> None:
    """Damaged slices are prepared again and equal the old ones."""
    read_recipe, registry = load_recipe(recipe), load_plugins().registry
    open_cohort(read_recipe, registry, QuietProgress())
    files = sorted(path for path in own_cache.glob("slices/*/*") if path.is_file())

    def read() -> Any:
        cohort = open_cohort(read_recipe, registry, QuietProgress())
        return cohort.fingerprint, [path.read_bytes() for path in files]

    flips(harms, 6, 200, files, read)


def test_phantom_cache(harms: Any, own_cache: Path) -> None:
    """A damaged patient of the phantom is written again and equals the old one."""
    dataset = Phantom(subjects=1, voxel=8.0)
    dataset.make(QuietProgress())
    files = sorted(path for path in dataset.root.rglob("*") if path.is_file())

    def read() -> Any:
        dataset.make(QuietProgress())
        (subject,) = dataset.subjects(QuietProgress())
        return dataset.read(subject, ["t1", "t1ce"]).images

    flips(harms, 3, 60, files, read)


@pytest.fixture
def run(finished: Path) -> Path:
    return finished


@pytest.mark.parametrize(
    ("name", "sample", "whole"), [("model.safetensors", 15, 600), ("state.pt", 15, 600), ("checkpoint.json", 60, 3000)]
)
def test_checkpoint(harms: Any, run: Path, name: str, sample: int, whole: int) -> None:
    newest = newest_checkpoint(run / "checkpoints")
    assert newest is not None
    known = [*newest.facts]

    def read() -> Any:
        checkpoint = open_checkpoint(newest.folder)
        facts = {key: checkpoint.facts[key] for key in known}
        return facts, checkpoint.tensors(), checkpoint.optimizers()

    flips(harms, sample, whole, [newest.folder / name], read)


def resumed(run: Path) -> Any:
    """The state from which a run resumes: recipe, split and weights."""
    gantk.run(resume=run, device="cpu", progress=QuietProgress())
    checkpoint = newest_checkpoint(run / "checkpoints")
    assert checkpoint is not None
    split = RunFiles(run).split()
    assert split is not None
    trained = load_recipe(run / "recipe.toml").model_dump(exclude={"evaluation", "tracking", "description", "predict"})
    return trained, split.hash, checkpoint.tensors()


@pytest.mark.parametrize("name", ["recipe.toml", "split.csv", "status.json", "environment.json"])
def test_side_files_in_a_resume(harms: Any, run: Path, name: str) -> None:
    kept = run.with_name("kept")
    shutil.copytree(run, kept)

    def read() -> Any:
        try:
            return resumed(run)
        finally:
            for path in kept.iterdir():
                if path.is_file() and path.name != name:
                    shutil.copy2(path, run / path.name)

    flips(harms, 10, 100, [run / name], read)


@pytest.mark.parametrize("name", ["recipe.toml", "split.csv", "status.json", "environment.json", "metrics.jsonl"])
def test_side_files_in_a_report(harms: Any, run: Path, name: str) -> None:
    def read() -> Any:
        write_report(run)
        return [*Journal(run / "metrics.jsonl").records()], str(compare([run]))

    flips(harms, 5, 100, [run / name], read, checksum=name != "recipe.toml")


@pytest.mark.parametrize("name", ["patients.csv", "summary.json", "weights.json", "examples.npz"])
def test_results(harms: Any, run: Path, name: str) -> None:
    """The rows of patients must match the summary; no number comes from pictures and maps."""

    def read() -> Any:
        write_report(run)
        evaluation = Evaluation.read(run / "evaluation")
        return evaluation.rows, evaluation.to_dict()["methods"], str(result_table([run])), str(compare([run]))

    flips(harms, 10, 300, [run / "evaluation" / name], read)


def test_tracking_database(harms: Any, run: Path, tmp_path: Path) -> None:
    """SQLite has no checksums: a flip is refused in words, or the run is delivered."""
    database = tmp_path / "store" / "mlflow.db"
    uri = f"sqlite:///{database}"
    sync(run, uri)
    tracking = run / "tracking.json"
    delivered = tracking.read_bytes()

    def read() -> Any:
        tracking.write_bytes(delivered)
        sync(run, uri)
        with closing(sqlite3.connect(database)) as connection:
            try:
                return connection.execute("SELECT key, value, step FROM metrics ORDER BY 1, 3, 2").fetchall()
            except sqlite3.Error as error:
                return str(error)

    flips(harms, 10, 400, [database], read, checksum=False)


def test_tracking_record(harms: Any, run: Path, tmp_path: Path) -> None:
    """The record in the run's folder of what was delivered, and where."""
    uri = f"sqlite:///{tmp_path}/store/mlflow.db"
    sync(run, uri)

    def read() -> Any:
        sync(run, uri)
        with closing(sqlite3.connect(tmp_path / "store" / "mlflow.db")) as connection:
            return connection.execute("SELECT DISTINCT key, value, step FROM metrics ORDER BY 1, 3, 2").fetchall()

    flips(harms, 10, 300, [run / "tracking.json"], read)


def test_recipes(harms: Any, recipes: Path, tmp_path: Path) -> None:
    """A recipe has no checksum: with a flip it is refused in words, or it is another recipe."""
    own = Path(shutil.copytree(recipes, tmp_path / "recipes"))
    paths = sorted(own.glob("*.toml"))
    for one in harms.tries(100, 5000):
        path = one.random.choice(paths)
        content = path.read_bytes()
        with harms.trying(one):
            one.done = flip(path, one.random)
            try:
                load_recipe(path)
                harms.count("accepted")
            except GantkError:
                harms.count("refused")
        path.write_bytes(content)
