"""Impossible work is refused before it starts."""

from __future__ import annotations

from pathlib import Path

import pytest

import gantk
from gantk.api.checks import build, look
from gantk.api.preflight import check_out
from gantk.errors import DataError, GantkError, RecipeError, UsageError
from gantk.plugins import load_plugins
from gantk.progress import QuietProgress
from gantk.recipe import load_recipe

RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.mark.parametrize(
    ("recipe", "change", "said"),
    [
        ("ds3_semi", "schedule.monitor=ssmi", r"schedule\.monitor: .*'ssmi'.*did you mean 'ssim'"),
        ("ds3_semi", "schedule.student=studnt", r"schedule\.student: .*'studnt'.*did you mean 'student'"),
        ("pix2pix", "translators.generator.discriminator.layers=6", r"cannot take images of 96 × 80 pixels"),
        ("pix2pix", "translators.generator.generator.levels=0", r"'levels' of generator 'unet' is 0"),
        ("pix2pix", "translators.generator.discriminator.channels=-4", r"'channels' of discriminator 'patchgan' is -4"),
        (
            "pix2pix",
            "translators.generator.discriminator.layers=6",
            r"^overrides translators\.generator\.discriminator\.layers",
        ),
        ("ds3_published", "data.crop=[4, 4]", r"^overrides data\.crop: .*cannot take images of 4 × 4 pixels"),
        ("unet_l1", "data.crop=[50, 64]", r"^overrides data\.crop: .*does not fit"),
        (
            "unet_l1",
            "translators.generator.generator.levels=5",
            r"^overrides translators\.generator\.generator\.levels: .*fit",
        ),
        ("ds3_semi", "data.subjects=1000000000", r"^overrides data\.subjects: .*less than or equal to 10000"),
        ("pix2pix", "data.crop=[16384, 16384]", r"16384 × 16384 pixels take .* GB.*lower data\.crop"),
    ],
)
def test_a_recipe_is_checked_before_any_data_is_looked_at(recipe: str, change: str, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        gantk.validate(RECIPES / f"{recipe}.toml", [change])


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        ('data.inputs=["t1", "t7"]', DataError, r"^overrides data\.inputs: no patient has a 't7' image"),
        ("data.mask=brian", DataError, r"^overrides data\.mask: no patient has a 'brian' image"),
        ("data.paired_fraction=0", RecipeError, "no patient is paired"),
        (
            "data.split.ratio=[8, 0, 2]",
            RecipeError,
            r"^overrides data\.split\.ratio: .*no validation patient has t1ce",
        ),
    ],
)
def test_the_patients_are_looked_at_before_anything_is_made(
    change: str, kind: type[GantkError], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GANTK_CACHE", str(tmp_path / "cache"))
    for begin in (gantk.dry_run, lambda *given: gantk.run(*given, out=tmp_path / "runs")):
        with pytest.raises(kind, match=said):
            begin(RECIPES / "ds3_semi.toml", [change])
    assert list(tmp_path.iterdir()) == []


class Notes(QuietProgress):
    """Keeps what is noted."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.mark.parametrize("lacking", [0, 1, 10])
def test_segmentations_that_a_map_reads_and_patients_lack_are_noted(
    own_recipe: Path, patients: Path, lacking: int
) -> None:
    changes = ["maps.inside={use='tumour'}", "losses.distillation.map=inside", "data.slices=all", "data.split.seed=1"]
    recipe = load_recipe(own_recipe, changes)
    registry = load_plugins().registry
    built = build(recipe, registry)
    unpaired = look(recipe, registry, *built, QuietProgress()).split.unpaired
    assert len(unpaired) > 1
    for name in unpaired[:lacking]:
        (patients / name / f"{name}_seg.nii.gz").unlink()
    look(recipe, registry, *built, progress := Notes())
    having = "none" if lacking == 10 else str(len(unpaired) - lacking)
    said = f"maps.inside reads segmentations, which {having} of the {len(unpaired)} patients of 'unpaired' have"
    assert progress.notes[1:] == ([said] if lacking else [])  # after the number of patients


def test_a_place_for_runs(tmp_path: Path) -> None:
    check_out(tmp_path / "a" / "b")
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    for out in ("file", "file/below", "link"):
        with pytest.raises(UsageError, match=r"cannot be made.*is no folder.*--out"):
            check_out(tmp_path / out)
