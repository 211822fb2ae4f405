"""A run with `tracking.model = true`: its MLflow model is registered, loaded and served, and answers as the run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import mlflow
import numpy as np
import pytest
from PIL import Image

import gantk
import gantk.runtime
from gantk.progress import QuietProgress
from gantk.testing import write_pictures
from ports import free_port
from waiting import until

pytestmark = pytest.mark.slow
QUIET = QuietProgress()
RECIPES = Path(__file__).parents[2] / "recipes"
RECIPE = """
extends = "{extends}"
name = "pictures"
without = ["transforms.crop"]
[data]
root = "{root}"
left = "a"
crop = [16, 16]
steps_per_epoch = 1
[translators.generator]
generator = {{ use = "unet", levels = 2, channels = 4 }}
discriminator = {{ use = "patchgan", layers = 1, channels = 4 }}
[schedule]
epochs = 1
decay_epochs = 0
[training]
validation_slices = 1
[evaluation]
examples = 1
metrics = ["ssim"]
[tracking]
model = true
uri = "{uri}"
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> gantk.RunResult:
    folder = tmp_path_factory.mktemp("model")
    root = write_pictures(folder / "pictures", 2, (20, 24))
    recipe = folder / "pictures.toml"
    extends, uri = RECIPES / "images" / "pix2pix.toml", f"sqlite:///{(folder / 'mlflow.db').as_posix()}"
    recipe.write_text(RECIPE.format(extends=extends.as_posix(), root=root.as_posix(), uri=uri))
    return gantk.run(recipe, device="cpu", out=folder / "runs", progress=QUIET)


@pytest.fixture
def uri(run: gantk.RunResult, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of the run's store; `mlflow.set_tracking_uri` would affect later tests."""
    told = json.loads((run.folder / "tracking.json").read_text())
    address = f"sqlite:///{(run.folder.parents[1] / 'mlflow.db').as_posix()}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    return f"runs:/{told['run_id']}/model"


@pytest.fixture
def photo(run: gantk.RunResult) -> Path:
    """A picture that the run did not see, of another size."""
    path = run.folder.parents[1] / "photo.png"
    Image.fromarray(np.random.default_rng(5).integers(0, 256, (28, 36, 3), dtype=np.uint8)).save(path)
    return path


@contextmanager
def served(model: str) -> Iterator[str]:
    """The address of `mlflow models serve` on this machine alone."""
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", model, "--env-manager", "local"]
    command += ["-h", "127.0.0.1", "-p", str(port)]
    where = os.pathsep.join([str(Path(mlflow.__file__).parents[4] / "bin"), os.environ["PATH"]])  # of uvicorn
    process = subprocess.Popen(
        command,
        env={**os.environ, "PATH": where},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        assert process.poll() is None, process.communicate()[0].decode()
        with suppress(OSError), urllib.request.urlopen(f"{address}/ping", timeout=60):
            return True
        return False

    try:
        until(answers, 400)
        yield address
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, 15)
        process.wait()


def test_it_is_registered_and_served_and_answers_as_gantk_predict(
    run: gantk.RunResult, uri: str, photo: Path, tmp_path: Path
) -> None:
    registered = mlflow.register_model(uri, "pictures")
    image = np.asarray(Image.open(photo))
    wanted = gantk.load(run.folder, device="cpu").predict(photo, progress=QUIET)
    assert wanted.shape == image.shape
    model = mlflow.pyfunc.load_model(f"models:/{registered.name}/{registered.version}")
    np.testing.assert_array_equal(model.predict({"a": image}), wanted)
    with served(f"models:/{registered.name}/{registered.version}") as address:
        question = urllib.request.Request(
            f"{address}/invocations",
            json.dumps({"inputs": {"a": image.tolist()}}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(question, timeout=300) as reply:
            answer = json.load(reply)["predictions"]
    np.testing.assert_array_equal(np.array(answer, np.uint8), wanted)


def test_pictures_go_through_the_runtime_as_through_predict(run: gantk.RunResult, photo: Path, tmp_path: Path) -> None:
    gantk.export(run.folder, tmp_path / "pictures.onnx", progress=QUIET)
    exported = gantk.runtime.load(tmp_path / "pictures.onnx")
    image = np.asarray(Image.open(photo))
    wanted = gantk.load(run.folder, device="cpu").predict(photo, progress=QUIET)
    assert np.abs(exported.predict({"a": image}).astype(int) - wanted).max() <= 1  # rounded to whole numbers
    deep = (image.astype(np.uint16) * 257).astype(np.uint16)
    assert exported.predict({"a": deep}).dtype == np.uint16


def test_a_run_prints_nothing_of_mlflow_on_making_its_model(run: gantk.RunResult, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from gantk.api.mlflow_model import write_model; "
        "from gantk.progress import QuietProgress; write_model(Path(sys.argv[1]), QuietProgress())"
    )
    done = subprocess.run([sys.executable, "-c", code, run.folder], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
