"""Fixtures for a plugin's tests: `pytest_plugins = ["gantk.testing.plugin"]` in the topmost conftest.py.

`gantk_cohort` is a folder of ten tiny patients, `gantk_run` runs a recipe on them for a few steps, `gantk_session`
makes a plugin session, `gantk_group` a batch group; `gantk_cache` keeps prepared slices out of the user's cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from gantk.data.batch import Group
    from gantk.plugins import Session
    from gantk.testing.recipes import RecipeRun


@pytest.fixture(scope="session")
def gantk_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of the slice cache during the tests."""
    folder = tmp_path_factory.mktemp("gantk-cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANTK_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def gantk_cohort(tmp_path_factory: pytest.TempPathFactory, gantk_cache: Path) -> Path:
    """A folder of ten tiny patients with T1, T2, FLAIR, T1ce and a segmentation, for `dataset = "brats"`."""
    from gantk.testing.cohort import write_cohort

    return write_cohort(tmp_path_factory.mktemp("gantk-cohort"))


@pytest.fixture
def gantk_run(tmp_path: Path, gantk_cohort: Path) -> Callable[..., RecipeRun]:
    """`gantk.testing.run_recipe`, on the cohort and in the test's own folder."""
    from gantk.testing.recipes import run_recipe

    return partial(run_recipe, cohort=gantk_cohort, folder=tmp_path)


@pytest.fixture
def gantk_session() -> Callable[..., Session]:
    """`gantk.testing.session`."""
    from gantk.testing.sessions import session

    return session


@pytest.fixture
def gantk_group() -> Callable[..., Group]:
    """`gantk.testing.make_group`."""
    from gantk.testing.batches import make_group

    return make_group
