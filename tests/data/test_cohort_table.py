"""A table says which images a patient has and where the patient belongs; what it cannot mean is said with its line."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from gantk.api.cohort import open_cohort
from gantk.api.listing import list_cohort
from gantk.data.cohort_table import read_table, write_table
from gantk.errors import DataError, RecipeError
from gantk.progress import QuietProgress
from gantk.recipe.load import recipe_from_table
from patient_folders import touch
from told import Told

QUIET = QuietProgress()


def table(root: Path, text: str, name: str = "cohort.csv") -> Path:
    (root / name).write_text(text, encoding="utf-8")
    return root / name


@pytest.fixture
def root(tmp_path: Path) -> Path:
    touch(tmp_path, *(f"img/{n}.nii.gz" for n in ("a1", "a2", "b1", "b2", "c1", "seg")))
    return tmp_path


TEXT = """patient,visit,t1,t1ce,seg,part,fold,site
A,1,img/a1.nii.gz,img/a2.nii.gz,img/seg.nii.gz,train,0,Oslo
A,2,img/c1.nii.gz,,,,,Oslo

B,,img/b1.nii.gz,img/b2.nii.gz,n/a,Test,1,"Bergen, west"
"""


def test_every_column_is_a_modality_a_place_in_the_split_or_a_fact(root):
    first, second, third = read_table(table(root, TEXT))
    assert (first.id, first.patient, second.id, second.patient, third.id) == ("A_1", "A", "A_2", "A", "B")
    assert first.files == {"t1": root / "img/a1.nii.gz", "t1ce": root / "img/a2.nii.gz"}
    assert first.segmentation == root / "img/seg.nii.gz"
    assert set(second.files) == {"t1"}
    assert third.segmentation is None
    assert [s.part for s in (first, second, third)] == ["training", None, "test"]
    assert [s.fold for s in (first, second, third)] == [0, None, 1]
    assert third.facts == {"site": "Bergen, west"}


@pytest.mark.parametrize(
    ("encoding", "separator", "name"), [("utf-8-sig", ",", "c.csv"), ("utf-8", ";", "c.csv"), ("utf-8", "\t", "c.tsv")]
)
def test_what_spreadsheets_write_is_read(root, encoding, separator, name):
    rows = [["Patient", "t1", "Seg", ""], ["A", "img/a1.nii.gz", "img/seg.nii.gz", ""]]
    (root / name).write_text("\r\n".join(separator.join(row) for row in rows), encoding=encoding)
    (subject,) = read_table(root / name)
    assert (subject.id, set(subject.files), subject.segmentation) == ("A", {"t1"}, root / "img/seg.nii.gz")


WRONG = {
    "id,t1\nA,img/a1.nii.gz\n": ("no column `patient`", ""),
    "patient,t1\n": ("names no patient", ""),
    "patient,t1,t1\nA,img/a1.nii.gz,\n": ("two columns are called 't1'", ""),
    "patient,t1\nA,img/a1.nii.gz\nA,img/a2.nii.gz\n": ("'A' is in two rows.*line 2", ":3"),
    "patient,t1\nA,img/a1.nii.gz\n,img/a2.nii.gz\n": ("names no patient", ":3"),
    "patient,t1\nA,img/a1.nii.gz\nB,missing\n": ("'missing' in the column 't1' is not a NIfTI file", ":3"),
    "patient,t1\nA,img/a1.nii.gz,x\n": ("3 cells, but the table has 2 columns", ":2"),
    "patient,t1,part\nA,img/a1.nii.gz,testing\n": ("'testing' in the column 'part'", ":2"),
    "patient,t1,fold\nA,img/a1.nii.gz,-1\n": ("'-1' in the column 'fold'", ":2"),
    "patient,t1\nA,img/a1.nii.gz\nB,gone.nii.gz\nC,lost.nii.gz\n": ("'t1' names the file .*gone.*lost.nii.gz", ":3"),
    'patient,t1\nA,"img/a1.nii.gz\n': ("is not valid CSV", ":2"),
}


@pytest.mark.parametrize("text", WRONG)
def test_what_a_table_cannot_mean_is_said_with_its_line(root, text):
    message, line = WRONG[text]
    with pytest.raises(DataError, match=message) as caught:
        read_table(table(root, text))
    assert caught.value.where == f"{root / 'cohort.csv'}{line}"


def test_a_table_that_is_missing_or_no_text_is_named(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        read_table(tmp_path / "cohort.csv")
    (tmp_path / "cohort.csv").write_bytes(b"patient\n\xff\xfe")
    with pytest.raises(DataError, match="not UTF-8"):
        read_table(tmp_path / "cohort.csv")


def test_a_table_there_and_back_from_another_folder(root):
    subjects = read_table(table(root, TEXT))
    (root / "lists").mkdir()
    for name in ("again.csv", "again.tsv"):
        write_table(root / "lists" / name, subjects)
        again = read_table(root / "lists" / name)
        assert [(s.id, s.patient, s.part, s.fold, s.facts) for s in again] == [
            (s.id, s.patient, s.part, s.fold, s.facts) for s in subjects
        ]
        assert [{n: f.resolve() for n, f in s.files.items()} for s in again] == [s.files for s in subjects]
        assert str(root) not in (root / "lists" / name).read_text()


def recipe(file: Path, **data):
    return recipe_from_table(
        {
            "name": "listed",
            "data": {
                "dataset": "table",
                "file": str(file),
                "inputs": ["t1"],
                "target": "t1ce",
                "crop": [32, 32],
                "slices": "all",
                **data,
            },
            "translators": {"g": {"generator": {"use": "unet"}}},
            "losses": {"l1": {"use": "l1", "on": "g"}},
            "schedule": {"use": "constant"},
        }
    )


def test_a_cohort_of_files_with_several_volumes_is_prepared_as_of_single_ones(tmp_path, cohort, monkeypatch, registry):
    """The whole way: volumes of one 4D file have slices of their own, equal to those of files of their own."""
    monkeypatch.setenv("GANTK_CACHE", str(tmp_path / "cache"))
    rows = {"single": ["patient,t1,t1ce,seg,part"], "joined": ["patient,t1,t1ce,seg,part"]}
    for folder, part in zip(("HGG/P1", "LGG/P2", "LGG/P3"), ("train", "val", "test"), strict=True):
        files = [cohort / folder / f"{folder[-2:]}_{name}.nii.gz" for name in ("t1", "t1ce")]
        volumes = [nib.load(file) for file in files]
        joined = np.stack([np.asarray(volume.dataobj) for volume in volumes], -1)
        path = tmp_path / f"{folder[-2:]}.nii.gz"
        nib.save(nib.Nifti1Image(joined, volumes[0].affine), path)
        rows["single"].append(f"{folder[-2:]},{files[0]},{files[1]},,{part}")
        rows["joined"].append(f"{folder[-2:]},{path.name}#0,{path.name}#1,,{part}")
    single, joined = (
        open_cohort(recipe(table(tmp_path, "\n".join(lines), f"{name}.csv")), registry, QUIET)
        for name, lines in rows.items()
    )
    assert joined.split == single.split
    assert (joined.split.paired, joined.split.validation, joined.split.test) == (("P1",), ("P2",), ("P3",))
    for name in ("P1", "P2", "P3"):
        for modality in ("t1", "t1ce"):
            assert np.array_equal(
                joined.store[name].images([0, 3], [modality]), single.store[name].images([0, 3], [modality])
            )
    assert not np.array_equal(joined.store["P1"].images([3], ["t1"]), joined.store["P1"].images([3], ["t1ce"]))


def test_patients_who_lack_an_input_are_left_to_the_recipe(root, registry):
    file = table(
        root,
        "patient,t1,t2,t1ce\nA,img/a1.nii.gz,img/b2.nii.gz,img/a2.nii.gz\nB,img/b1.nii.gz,,img/b2.nii.gz\n"
        "C,img/c1.nii.gz,img/c1.nii.gz,img/b2.nii.gz\nD,img/c1.nii.gz,img/c1.nii.gz,img/b2.nii.gz\n",
    )
    with pytest.raises(DataError, match="'B' has no 't2' image"):
        list_cohort(recipe(file, inputs=["t1", "t2"]), registry, QUIET)
    split = list_cohort(recipe(file, inputs=["t1", "t2"], incomplete=True), registry, QUIET).split
    assert set(split.subjects) == {"A", "B", "C", "D"}
    told = Told()
    listing = list_cohort(recipe(file, inputs=["t1", "t2"], incomplete="skip", resample="to:t1"), registry, told)
    assert set(listing.split.subjects) == {"A", "C", "D"}
    assert len(listing.left_out) == 1
    assert "1 of 4 patients lack an input and are left out: B" in told.notes
    with pytest.raises(RecipeError, match="resample"):
        list_cohort(recipe(file, resample="t1"), registry, QUIET)
