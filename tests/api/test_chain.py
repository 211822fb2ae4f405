"""A chain trained from a recipe: predicted, exported and resumed as one method, with what it makes besides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from torch import Tensor, nn

import gantk
from gantk.api.ensemble import Ensemble
from gantk.api.predict import predict_cohort
from gantk.api.preparing import Request
from gantk.data.planes import centre
from gantk.errors import PluginError
from gantk.progress import QuietProgress
from gantk.testing import run_recipe, session
from tiny_runs import toml

RECIPE = """
name = "chain"
[data]
dataset = "brats"
root = "{root}"
inputs = ["t1", "t2"]
target = "t1ce"
crop = [32, 32]
slices = "all"
batch = {{ paired = 2 }}
[translators.coarse]
takes = ["t2"]
generator = {{ use = "unet", levels = 1, channels = 4 }}
[translators.fine]
takes = ["t1", "coarse.output"]
generator = {{ use = "doubtful" }}
[losses.coarse]
use = "l1"
on = "coarse"
[losses.fine]
use = "l1"
on = "fine"
[schedule]
use = "constant"
epochs = 1
[training]
ema = 0.5
"""


class Doubtful(nn.Module):
    """The mean of its input channels, slightly changed, and the spread of the channels."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.move = nn.Parameter(torch.zeros(()))

    def forward(self, image: Tensor) -> gantk.Translation:
        spread = (image[:, :1] - image[:, 1:]).abs()
        return gantk.Translation(torch.tanh(image.mean(1, keepdim=True) + self.move), {}, {"spread": 3 * spread})


@pytest.fixture(scope="module")
def model(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    plugins = session(generator={"doubtful": Doubtful})
    run = run_recipe(
        RECIPE.format(root=toml(cohort)), cohort=cohort, session=plugins, folder=tmp_path_factory.mktemp("chain")
    )
    assert run.summary["methods"].keys() == {"coarse", "fine"}
    with pytest.MonkeyPatch.context() as patch:
        for room in ("model", "export_formats"):
            patch.setattr(f"gantk.api.{room}.load_plugins", lambda: plugins)
        yield gantk.load(run.folder, device="cpu")


def test_it_predicts_from_the_images_of_all_and_not_from_the_target(
    model: Any, cohort: Path, make_patient: Any, tmp_path: Path
) -> None:
    poor = make_patient(tmp_path / "P0", seed=3, modalities=("t1", "t2"))
    assert model.preparation.asked(Request())[:2] == ("fine", ["t1", "t2"])
    prepared = model.prepare(poor, Request())
    height, width = prepared.images.shape[-2:]
    padded = centre(prepared.images, (height, width + 2), -1.0)  # to a size that the network takes
    t1, t2 = torch.from_numpy(padded).split(1, dim=1)
    generators = {role: model.translators[role].generator.eval() for role in model.roles}
    with torch.no_grad():
        wanted = generators["fine"](torch.cat([t1, generators["coarse"](t2)], dim=1)).output.numpy()
    wanted = centre(wanted, (height, width))
    full = prepared.slices.foreground.any(axis=(1, 2))
    made = model.translate(prepared, QuietProgress())
    assert np.abs(made[full] - wanted[full]).max() < 1e-5


def test_what_it_makes_besides_is_written_beside_it(model: Any, cohort: Path, tmp_path: Path) -> None:
    files = Ensemble([model]).predict(cohort / "P0", tmp_path / "P0.nii.gz", Request(also=("spread",)))
    assert [file.name for file in files] == ["P0.nii.gz", "P0_spread.nii.gz"]
    image, spread = (nib.load(file) for file in files)
    assert np.array_equal(image.affine, spread.affine)
    prepared = model.prepare(cohort / "P0", Request(also=("spread",)))
    inside = np.asarray(spread.dataobj)
    assert inside.min() == 0
    wanted = model.translate(prepared, QuietProgress())[:, 1][prepared.slices.foreground].max()
    assert inside.max() == pytest.approx(wanted, rel=1e-5)
    assert wanted > 1  # in the generator's own numbers, not in an image's
    made = predict_cohort(model, cohort, tmp_path / "all", also=["spread"], progress=QuietProgress())
    assert not made.failed
    assert (tmp_path / "all" / "P0_t1ce_spread.nii.gz").is_file()
    with pytest.raises(PluginError, match=r"'doubtful'.*no further output 'spred'.*did you mean 'spread'"):
        Ensemble([model]).predict(cohort / "P0", tmp_path / "no.nii.gz", Request(also=("spred",)))
    assert not (tmp_path / "no.nii.gz").exists()


def test_the_whole_chain_is_exported(model: Any, tmp_path: Path) -> None:
    run = model.checkpoint.folder.parent.parent
    report = gantk.export(run, tmp_path / "weights", progress=QuietProgress())
    assert report.difference < 1e-6
    assert report.description.inputs == ("t1", "t2")
    report = gantk.export(run, tmp_path / "chain.pt2", progress=QuietProgress())
    assert report.difference < 1e-5
