"""Export: what is written gives the torch module's images, and without torch the volumes of `gantk predict`."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import gantk
from gantk.api import export as exports
from gantk.api import export_formats
from gantk.api.mlflow_model import write_model
from gantk.errors import GantkError, UsageError
from gantk.progress import QuietProgress

INPUTS = ("t1", "t2")

WITHOUT_TORCH = """
import sys
from importlib import metadata
from importlib.abc import MetaPathFinder

class Absent(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names}:
            raise ImportError(f"{{name}} is not there")

sys.meta_path.insert(0, Absent())
"""


@pytest.fixture(scope="session")
def onnx(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    for name in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name, reason=f"ONNX needs {name}: pip install 'gantk[export]'")
    out = tmp_path_factory.mktemp("exported") / "model.onnx"
    report = gantk.export(run, out, progress=QuietProgress())
    assert report.files == (out, out.with_name("model.onnx.json"))
    assert 0 <= report.difference < 1e-5
    return out


def test_an_onnx_file_gives_the_predicted_volume_without_torch(
    run: Path, onnx: Path, make_patient: Any, tmp_path: Path
) -> None:
    patient = make_patient(tmp_path / "N1", seed=77, modalities=INPUTS)
    wanted = gantk.load(run, device="cpu").predict(patient, progress=QuietProgress())
    images = {name: patient / f"N1_{name}.nii.gz" for name in INPUTS}
    arrays = {name: np.asarray(nib.as_closest_canonical(nib.load(file)).dataobj) for name, file in images.items()}
    np.savez(tmp_path / "in.npz", **{name: array[::-1, ::-1].astype(np.float32) for name, array in arrays.items()})
    script = WITHOUT_TORCH.format(names={"torch", "pydantic", "nibabel", "scipy", "rich", "mlflow"}) + (
        "import numpy as np, gantk.runtime\n"
        f"model = gantk.runtime.load({str(onnx)!r})\n"
        f"volume = model.predict(dict(np.load({str(tmp_path / 'in.npz')!r})), spacing=(3.0, 3.0, 6.0))\n"
        f"np.save({str(tmp_path / 'out.npy')!r}, volume)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    assert np.abs(np.load(tmp_path / "out.npy") - wanted).max() <= 1e-4 * wanted.max()


def test_torch_export_takes_any_batch_and_size(run: Path, tmp_path: Path) -> None:
    report = gantk.export(run, tmp_path / "model.pt2", role="teacher", progress=QuietProgress())
    module = torch.export.load(tmp_path / "model.pt2").module()
    generator = gantk.load(run, device="cpu").translators["teacher"].generator.eval()
    multiple = report.description.multiple
    assert multiple == 4
    for batch, height, width in ((1, 32, 32), (3, 40, 36)):
        image = torch.rand(batch, 2, height, width) * 2 - 1
        with torch.no_grad():
            assert torch.allclose(module(image), generator(image), atol=1e-5)
    assert json.loads((tmp_path / "model.pt2.json").read_text())["facts"]["role"] == "teacher"


def test_a_folder_holds_the_weights(run: Path, tmp_path: Path) -> None:
    report = gantk.export(run, tmp_path / "model", progress=QuietProgress())
    assert report.difference < 1e-6  # the batch is another
    assert {file.name for file in (tmp_path / "model").iterdir()} == {
        "generator.safetensors",
        "description.json",
        "recipe.toml",
    }
    weights = load_file(tmp_path / "model" / "generator.safetensors")
    gantk.load(run, device="cpu").translators["student"].generator.load_state_dict(weights)
    with pytest.raises(UsageError, match="exists"):
        gantk.export(run, tmp_path / "model", overwrite=True, progress=QuietProgress())


def test_the_command_without_torch_writes_what_gantk_predict_writes(
    run: Path, onnx: Path, make_patient: Any, tmp_path: Path
) -> None:
    patient = make_patient(tmp_path / "N2", seed=80, modalities=INPUTS)
    files = [f"{name}={patient / f'N2_{name}.nii.gz'}" for name in INPUTS]
    command = [sys.executable, "-m", "gantk.runtime", onnx, *files, "-o", tmp_path / "made.nii.gz"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, str(tmp_path / "made.nii.gz")), done.stderr
    wanted = gantk.load(run, device="cpu").predict(patient, progress=QuietProgress())
    made = np.asarray(nib.load(tmp_path / "made.nii.gz").dataobj)
    assert np.abs(made - wanted).max() <= 1e-4 * wanted.max()
    again = subprocess.run(command, capture_output=True, text=True)
    assert again.returncode != 0
    assert "this file exists" in again.stderr


@pytest.fixture(scope="module")
def volumes(uninterrupted: Any) -> Path:
    return uninterrupted("volumes")


def test_a_network_of_volumes_gives_the_predicted_volume_without_torch(
    volumes: Path, make_patient: Any, tmp_path: Path
) -> None:
    for name in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name, reason=f"ONNX needs {name}: pip install 'gantk[export]'")
    out = tmp_path / "volume.onnx"
    report = gantk.export(volumes, out, progress=QuietProgress())
    assert report.difference < 1e-5
    assert report.slice == "a random patch of 8 × 16 × 16 voxels"
    told = json.loads(out.with_name("volume.onnx.json").read_text())
    assert told["dimensions"] == 3
    assert told["windows"] == {"size": [8, 16, 16], "overlap": 0.25, "blend": "gaussian", "batch": 1}
    assert told["multiple"] is None
    patient = make_patient(tmp_path / "N1", seed=77, modalities=INPUTS)
    wanted = gantk.load(volumes, device="cpu").predict(patient, progress=QuietProgress())
    arrays = {name: np.asarray(nib.load(patient / f"N1_{name}.nii.gz").dataobj, np.float32) for name in INPUTS}
    np.savez(tmp_path / "in.npz", **arrays)
    script = WITHOUT_TORCH.format(names={"torch", "monai", "pydantic", "nibabel", "scipy", "rich", "mlflow"}) + (
        "import numpy as np, gantk.runtime\n"
        f"model = gantk.runtime.load({str(out)!r})\n"
        f"volume = model.predict(dict(np.load({str(tmp_path / 'in.npz')!r})), spacing=(3.0, 3.0, 6.0))\n"
        f"np.save({str(tmp_path / 'out.npy')!r}, volume)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    made = np.load(tmp_path / "out.npy")
    assert made.std() > 0
    assert np.abs(made - wanted).max() <= 1e-4 * wanted.max()
    import mlflow

    written = write_model(shutil.copytree(volumes, tmp_path / volumes.name), QuietProgress())
    model = mlflow.pyfunc.load_model(str(written))
    assert model.predict(model.input_example).shape == model.input_example["t1"].shape
    served = model.predict({**arrays, "spacing": np.array([3.0, 3.0, 6.0])})
    assert np.abs(served - wanted).max() <= 1e-4 * wanted.max()


@pytest.mark.parametrize("name", ["volume.pt2", "volume"])
def test_a_network_of_volumes_is_exported_in_every_form(volumes: Path, tmp_path: Path, name: str) -> None:
    report = gantk.export(volumes, tmp_path / name, role="teacher", progress=QuietProgress())
    assert report.difference < 1e-5
    if name.endswith("pt2"):
        module = torch.export.load(tmp_path / name).module()
        generator = gantk.load(volumes, device="cpu").translators["teacher"].generator.eval()
        patches = torch.rand(3, 2, 8, 16, 16) * 2 - 1
        with torch.no_grad():
            assert torch.allclose(module(patches), generator(patches), atol=1e-5)


def test_slices_in_windows_are_those_of_predict(run: Path, make_patient: Any, tmp_path: Path) -> None:
    patient = make_patient(tmp_path / "N1", seed=81, modalities=INPUTS)
    model = gantk.load(run, device="cpu")
    whole = model.predict(patient, progress=QuietProgress())
    for key, value in {"window": (16, 20), "blend": "constant", "batch": 2}.items():
        object.__setattr__(model.recipe.inference, key, value)
    wanted = model.predict(patient, progress=QuietProgress())
    assert not np.allclose(wanted, whole)
    role, known, _ = exports._described(model, None, None)
    generator, shapes = model.translators[role].generator.eval(), set()

    def network(images: np.ndarray) -> np.ndarray:
        shapes.add(images.shape[2:])
        with torch.no_grad():
            return generator(torch.from_numpy(images)).numpy()

    arrays = {name: np.asarray(nib.load(patient / f"N1_{name}.nii.gz").dataobj, np.float32) for name in INPUTS}
    again = exports.Description.from_dict(json.loads(json.dumps(known.to_dict())))
    made = gantk.runtime.exported.Exported(again, network).predict(arrays, (3.0, 3.0, 6.0))
    assert shapes == {(16, 20)}
    assert np.abs(made - wanted).max() <= 1e-4 * wanted.max()


@pytest.mark.parametrize(("name", "said"), [("model.h5", "not an export format"), ("there.pt2", "exists")])
def test_a_name_that_cannot_be_written_is_refused_at_once(run: Path, tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "there.pt2").write_text("of somebody")
    with pytest.raises(UsageError, match=said):
        gantk.export(run, tmp_path / name)
    assert (tmp_path / "there.pt2").read_text() == "of somebody"


def test_what_differs_from_the_torch_module_is_not_written(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        export_formats, "load_file", lambda path: {name: t + 0.1 for name, t in load_file(path).items()}
    )
    with pytest.raises(GantkError, match="differ by"):
        gantk.export(run, tmp_path / "model", progress=QuietProgress())
    assert not list(tmp_path.iterdir())


def test_a_model_is_loaded_from_mlflow_and_registered(
    run: Path, onnx: Path, make_patient: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    from gantk.api import mlflow_model
    from gantk.tracking import sync

    def exported(run: Path, out: Path, **_: object) -> Any:  # as the fixture exported it
        for file in onnx.parent.iterdir():
            shutil.copy(file, out.with_name(file.name.replace("model", "network")))
        description = json.loads(onnx.with_name("model.onnx.json").read_text())
        return SimpleNamespace(role="student", description=exports.Description.from_dict(description))

    monkeypatch.setattr(mlflow_model, "export", exported)
    folder = shutil.copytree(run, tmp_path / "runs" / run.name)
    mlflow_model.write_model(folder, QuietProgress())
    assert "torch" not in (folder / "model" / "requirements.txt").read_text()
    fed = sync(folder, uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert fed["files"] > 1
    monkeypatch.setenv("MLFLOW_TRACKING_URI", fed["uri"])  # `set_tracking_uri` would outlive the test
    model = mlflow.pyfunc.load_model(f"runs:/{fed['run_id']}/model")
    registered = mlflow.register_model(f"runs:/{fed['run_id']}/model", "t1ce")
    again = sync(folder)
    assert len(mlflow.MlflowClient().search_logged_models([mlflow.get_run(fed["run_id"]).info.experiment_id])) == 1
    assert again["files"] == 0
    assert registered.run_id == fed["run_id"]
    assert model.predict(model.input_example).shape == (32, 32, 1)
    patient = make_patient(tmp_path / "N1", seed=79, modalities=INPUTS)
    arrays = {name: np.asarray(nib.load(patient / f"N1_{name}.nii.gz").dataobj, np.float32) for name in INPUTS}
    made = model.predict({**arrays, "spacing": np.array([3.0, 3.0, 6.0])})
    wanted = gantk.load(run, device="cpu").predict(patient, progress=QuietProgress())
    assert np.abs(made - wanted).max() <= 1e-4 * wanted.max()


def test_a_model_that_cannot_be_made_is_said_before_the_run(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(exports.metadata, "version", absent)
    changes = {"tracking.enabled": True, "tracking.model": True, "tracking.uri": f"sqlite:///{tmp_path / 'm.db'}"}
    with pytest.raises(UsageError, match="onnx"):
        gantk.run(recipe, changes, out=tmp_path / "runs", device="cpu", progress=QuietProgress())
    assert not (tmp_path / "runs").exists()
