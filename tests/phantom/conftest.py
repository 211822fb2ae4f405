"""Patients of the phantom that its tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from gantk.phantom import write_phantom
from gantk.phantom.anatomy import Atlas, load_atlas
from gantk.phantom.subject import Model, Scan, build_model, scan
from gantk.progress import QuietProgress
from phantoms import SEED, SPACING


@pytest.fixture(scope="session")
def atlas() -> Atlas:
    return load_atlas()


@pytest.fixture(scope="session")
def models(atlas: Atlas) -> list[Model]:
    return [build_model(SEED, k, SPACING, atlas) for k in range(6)]


@pytest.fixture(scope="session")
def scans(atlas: Atlas) -> list[Scan]:
    return [scan(SEED, k, SPACING, atlas) for k in range(14)]


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_phantom(tmp_path_factory.mktemp("cohort"), 2, SPACING, SEED, QuietProgress(), workers=1)
