"""Every registered component conforms to its kind: the classes that plugin authors use, one per component."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import gantk
import gantk.testing
from gantk.data.brats import Brats
from gantk.data.cohort_table import write_table
from gantk.plugins import load_plugins
from gantk.progress import QuietProgress
from gantk.testing import write_pictures
from gantk.testing.cohort import write_cohort
from gantk_baselines.flow import FlowUnet
from tiny_networks import TinyMunit, TinyStarGan, TinyTold

pytest_plugins = ["gantk.testing.plugin"]


class TinyFlow(FlowUnet):
    def __init__(self, in_channels: int, out_channels: int, dimensions: gantk.Dimensions = 2) -> None:
        super().__init__(in_channels, out_channels, channels=4, levels=2, dimensions=dimensions)


# Parameters that make a component small or have no default; attributes of its conformance class.
SMALL: dict[str, dict[str, Any]] = {
    "generator availability_resnet": {"parameters": {"channels": 4, "blocks": 2}},
    "generator casnet": {"parameters": {"channels": 4, "blocks": 2, "levels": 3}},
    "generator ds3": {"parameters": {"channels": 4, "blocks": 2, "reduction": 2}},
    "generator ds3_unet": {"parameters": {"backbone": "resnet10t", "channels": 2}, "size": (64, 96)},
    "generator ensemble": {"parameters": {"of": {"use": "unet", "channels": 4, "levels": 2}, "members": 2}},
    "generator flow_unet": {"parameters": {"channels": 4, "levels": 2, "steps": 2}},
    "generator munit": {"parameters": {"channels": 4, "blocks": 1, "style": 4}},
    "generator mustgan": {"parameters": {"channels": 4, "blocks": 2}},
    "generator residual_unet": {"parameters": {"channels": 4, "levels": 2, "blocks": 1}},
    "generator resnet": {"parameters": {"channels": 4, "blocks": 2}},
    "generator resvit": {
        "parameters": {"channels": 4, "blocks": 2, "transformers": [1], "hidden": 8, "depth": 1, "heads": 2}
    },
    "generator spade": {
        "parameters": {"channels": 4, "levels": 2, "hidden": 4},
        "extra": {"labels": {"per": "pixel", "categories": [0, 1, 4]}},
    },
    "generator timm": {"parameters": {"backbone": "resnet10t", "channels": 2}, "size": (64, 96)},
    "generator told": {
        "parameters": {"of": {"use": "unet", "channels": 4, "levels": 2}},
        "extra": {"labels": {"per": "pixel", "categories": [0, 1, 4]}, "domain": {"categories": ["a", "b"]}},
    },
    "generator unet": {"parameters": {"channels": 4, "levels": 3}},
    "discriminator modality_patchgan": {"parameters": {"channels": 4, "layers": 2}},
    "discriminator multiscale_patchgan": {
        "parameters": {"channels": 2, "layers": 1, "scales": 2},
        "extra": {"labels": {"per": "pixel", "categories": [0, 1]}},
    },
    "discriminator patchgan": {"parameters": {"channels": 4, "layers": 2}},
    "discriminator stargan": {"parameters": {"channels": 4, "levels": 2, "domains": 3}},
    "loss flow_matching": {"generator": TinyFlow},
    "loss munit": {"generator": TinyMunit, "inputs": ("a",), "mappable": False},
    "loss registered": {"parameters": {"levels": 2, "channels": 4}},
    "loss stargan": {
        "inputs": ("a",),
        "generator": TinyTold,
        "discriminator": TinyStarGan,
        "extra": {"domain": {"categories": ["a", "c"]}},
        "mappable": False,
    },
    # one of the pair's modalities is missing in each image, and made
    "loss imputed_lsgan": {"inputs": ("a", "b"), "targets": ("a", "b")},
    "loss missing_l1": {"inputs": ("a", "b"), "targets": ("a", "b")},
    "loss committee_distillation": {"parameters": {"teachers": ["first", "second"]}},
    "loss error_estimation": {"parameters": {"of": "first"}},
    "weight_map estimated_error": {"parameters": {"estimators": ["first"]}},
    "weight_map disagreement": {"parameters": {"teachers": ["first", "second"]}},
    # random weights are no download
    "loss content": {"parameters": {"network": "vgg11", "weights": "random", "layers": ["relu2_1"]}},
    "loss perceptual": {"parameters": {"network": "vgg11", "weights": "random", "layers": ["relu2_1"]}},
    "loss style": {"parameters": {"network": "vgg11", "weights": "random", "layers": ["relu1_1", "relu2_1"]}},
    # a layer sees further than any mask of a small image
    "metric lpips": {"parameters": {"weights": "random"}, "size": (64, 80), "test_mask": None},
    "metric fid": {"parameters": {"weights": "random"}},
    "metric kid": {"parameters": {"weights": "random", "subsets": 3}},
    "metric segmentation_probe": {"parameters": {"folds": 2, "steps": 2, "batch": 4, "channels": 8}},
    "balance gradient_ratio": {"parameters": {"reference": "first"}},
    "optimizer timm": {"parameters": {"name": "lion"}},
    "scheduler constant": {"parameters": {"epochs": 3}},
    "scheduler cosine": {"parameters": {"epochs": 6, "warmup_epochs": 2}},
    "scheduler early_stop": {"parameters": {"metric": "ssim", "role": "a", "epochs": 4}},
    "scheduler linear_decay": {"parameters": {"epochs": 6, "decay_epochs": 3}},
    "scheduler phases": {
        "parameters": {
            "phases": [
                {"name": "first", "roles": ["a"], "epochs": 2},
                {
                    "name": "second",
                    "roles": ["a", "b"],
                    "epochs": 3,
                    "decay_epochs": 2,
                    "copies": [{"source": "a", "target": "b", "into": "streams.0"}],
                },
            ]
        },
        "roles": ("a", "b"),
    },
    "scheduler teacher_student": {
        "parameters": {
            "teacher_epochs": 14,
            "joint_epochs": 4,
            "student": "student",
            "rewind": 3,
            "patience": 4,
            "min_delta": 0.01,
        }
    },
    "scheduler warmup": {"parameters": {"epochs": 4, "warmup_epochs": 2}},
    "weight_schedule ramp": {"parameters": {"to": 5.0, "steps": 30, "after": 10, "shape": "sigmoid"}},
    "launcher submitit": dict.fromkeys(
        ("test_says_how_it_works", "test_exit_codes", "test_stop_and_kill")
    ),  # wants a cluster
    "dataset images": {"inputs": ("a",), "targets": ("b",)},
    "dataset phantom": {"parameters": {"subjects": 4, "voxel": 8.0}},
}


def _pictures(self: Any, folder: Path) -> Mapping[str, Any]:
    return {"root": str(write_pictures(folder))}


def _table(self: Any, folder: Path) -> Mapping[str, Any]:
    cohort = Brats(write_cohort(folder, 10, (*self.inputs, *self.targets)))
    write_table(folder / "cohort.csv", cohort.subjects(QuietProgress()))
    return {"file": str(folder / "cohort.csv")}


def _listed_pictures(self: Any, folder: Path) -> Mapping[str, Any]:
    write_pictures(folder, pairs=10, aligned=False)
    rows = [f"p{number},trainA/{number}.png,trainB/{number}.png\n" for number in range(10)]
    (folder / "table.csv").write_text("".join(["patient,a,b\n", *rows]), encoding="utf-8")
    return {"file": str(folder / "table.csv")}


def _nothing(self: Any, folder: Path) -> Mapping[str, Any]:
    return {}


DATA = {
    "dataset images": {"write": _pictures},
    "dataset image_table": {"write": _listed_pictures, "inputs": ("a",), "targets": ("b",)},
    "dataset phantom": {"write": _nothing},
    "dataset table": {"write": _table},
}


@pytest.fixture(autouse=True)
def _cache(gantk_cache: Path) -> None:
    """Prepared slices and the phantom are the tests' own."""


COMPONENTS = list(load_plugins().registry)

for component in COMPONENTS:
    full = f"{component.kind} {component.name}"
    given = {"component": component.cls, "name": component.name, **SMALL.get(full, {}), **DATA.get(full, {})}
    title = f"Test_{component.kind}_{component.name}"
    globals()[title] = type(title, (gantk.testing.conformance(component.kind),), given)


def test_the_table_names_components_that_there_are() -> None:
    assert set(SMALL) <= {f"{component.kind} {component.name}" for component in COMPONENTS}
