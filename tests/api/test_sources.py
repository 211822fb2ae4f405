"""Initial weights of generators: their source, whether they fit, and the notes about them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from base_recipe import least
from gantk.api.sources import Source, find_sources, start_from, with_sources
from gantk.errors import RecipeError
from gantk.files import checksum
from gantk.recipe import Recipe
from gantk.recipe.translators import WeightsSettings


def recipe(weights: Any) -> Recipe:
    return least(translators={"g": {"generator": {"use": "unet"}, "weights": weights}})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    save_file({"0.weight": torch.ones(2, 2), "0.bias": torch.zeros(2)}, tmp_path / "w.safetensors")
    return tmp_path / "w.safetensors"


def test_the_recipe_keeps_where_weights_came_from_and_their_checksum(file: Path) -> None:
    asked = recipe(file.as_posix())
    found = find_sources(asked)
    assert torch.equal(found["g"].tensors["0.weight"], torch.ones(2, 2))
    kept = with_sources(asked, found).translators["g"].weights
    assert kept == WeightsSettings(source=str(file), sha256=checksum(file))
    assert find_sources(recipe(kept.model_dump())).keys() == {"g"}
    save_file({"0.weight": torch.zeros(2, 2)}, file)
    with pytest.raises(RecipeError, match=r"these are not the weights that the recipe was run with.*remove sha256"):
        find_sources(recipe(kept.model_dump()))


def test_files_and_runs_that_are_not_there(file: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"translators\.g\.weights: the weights cannot be read.*gone\.safetensors"):
        find_sources(recipe((tmp_path / "gone.safetensors").as_posix()))
    file.write_bytes(b"none")
    with pytest.raises(RecipeError, match="the weights cannot be read"):
        find_sources(recipe(file.as_posix()))
    with pytest.raises(RecipeError, match=r"translators\.g\.weights: there is no run 'nothing'"):
        find_sources(recipe("nothing:g"), tmp_path)


class State:
    """A generator of two layers, and the roles whose averages begin anew."""

    def __init__(self) -> None:
        self.network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
        self.translators = {"g": SimpleNamespace(generator=self.network)}
        self.begun: list[str] = []
        self.begin_averages = self.begun.append


def source(tensors: dict[str, torch.Tensor], shared: bool = False) -> dict[str, Source]:
    return {"g": Source(WeightsSettings(source="RUN:teacher", shared=shared), tensors)}


def test_all_weights_are_taken_and_averages_begin_with_them() -> None:
    state: Any = State()
    tensors = {name: torch.full_like(tensor, 3.0) for name, tensor in state.network.state_dict().items()}
    assert start_from(state, source(tensors)) == ["'g' starts with 4 weights of RUN:teacher"]
    assert all((tensor == 3).all() for tensor in state.network.state_dict().values())
    assert state.begun == ["g"]


def test_some_weights_are_taken_where_this_is_asked_for() -> None:
    state: Any = State()
    before = {name: tensor.clone() for name, tensor in state.network.state_dict().items()}
    tensors = {"0.weight": torch.ones(2, 2), "0.bias": torch.zeros(3), "more": torch.zeros(1)}
    with pytest.raises(RecipeError, match=r"do not fit the generator of 'g'\. 1 of its 4 weights.*shared = true"):
        start_from(state, source(tensors))
    assert all(torch.equal(tensor, before[name]) for name, tensor in state.network.state_dict().items())
    (note,) = start_from(state, source(tensors, shared=True))
    assert note == "'g' starts with 1 weights of RUN:teacher; 3 are drawn anew, such as 0.bias"
    after = state.network.state_dict()
    assert (after["0.weight"] == 1).all()
    assert torch.equal(after["1.weight"], before["1.weight"])


def test_where_nothing_fits_nothing_is_shared() -> None:
    with pytest.raises(RecipeError, match="0 of its 4 weights") as caught:
        start_from(State(), source({"x": torch.zeros(1)}, shared=True))  # type: ignore[arg-type]
    assert "shared" not in str(caught.value.mend)
