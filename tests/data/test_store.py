"""Prepared slices hold what the volumes hold, are made once, and are never half there."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from gantk.data import prepared
from gantk.data import store as store_module
from gantk.data.brats import Brats
from gantk.data.normalisation import Normalisation
from gantk.data.planes import centre
from gantk.data.slices import normalised_slices
from gantk.data.store import damaged_patients
from gantk.data.volumes import Volumes
from gantk.errors import CacheError, DataError
from gantk.progress import QuietProgress
from gantk.recipe.data import IntensitySettings
from prepared_cohorts import INPUTS, SETTINGS, prepared_cohort
from told import Told


def folders(cache):
    return sorted(path.name for path in (cache / "slices").iterdir())


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def test_grids_that_differ_are_told(cohort, cache, write_volume):
    path = cohort / "LGG" / "P3" / "P3_t2.nii.gz"
    moved = nib.load(path)
    affine = moved.affine.copy()
    affine[0, 3] += 0.02
    write_volume(path, np.asarray(moved.dataobj), affine)
    for _ in range(2):  # from the cache too
        told = Told()
        prepared_cohort(cohort, cache, progress=told)
        assert [note for note in told.notes if "differ in position" in note and note.endswith("P3 (0.02 voxels)")]
    with pytest.raises(DataError, match=r"0\.02 voxels"):  # slices that a larger tolerance accepted are not reused
        prepared_cohort(cohort, cache, dataset=Brats(cohort, 0.01))


@pytest.mark.parametrize("spacing", [None, 1.3])
def test_stored_slices_are_the_normalised_volumes(cohort, cache, spacing):
    settings = replace(SETTINGS, spacing=spacing)
    store = prepared_cohort(cohort, cache, settings=settings)
    assert list(store) == ["P1", "P2", "P3", "P4"]
    assert store.settings == settings
    dataset = Brats(cohort)
    for subject in dataset.subjects(QuietProgress()):
        patient = store[subject.id]
        volumes = dataset.read(subject, patient.modalities)
        expected = normalised_slices(volumes, INPUTS, settings)
        rows = range(len(patient))
        images = patient.images(rows, patient.modalities)
        assert images.dtype == np.float32
        inside = centre(expected.foreground, (28, 24))[patient.z]
        np.testing.assert_array_equal(images[:, 0] > -1, inside)
        for channel, name in enumerate(patient.modalities):
            wanted = centre(expected.images[name], (28, 24), -1)[patient.z]
            np.testing.assert_allclose(images[:, channel], wanted, atol=1.001 / 32767)
            assert (images[:, channel][~inside] == -1).all()
        assert patient.scales == expected.scales
        if subject.segmentation is None:
            assert not patient.has_segmentation
            assert not patient.segmentation(rows).any()
            assert not patient.tumour.any()
        else:
            labels = centre(expected.segmentation, (28, 24))[patient.z]
            np.testing.assert_array_equal(patient.segmentation(rows), labels)
            np.testing.assert_array_equal(patient.tumour, (labels > 0).any((1, 2)))
            np.testing.assert_array_equal(patient.core, np.isin(labels, (1, 4)).any((1, 2)))


def test_slices_with_less_than_a_square_centimetre_of_brain_are_left_out(cohort, cache):
    patient = prepared_cohort(cohort, cache)["P1"]
    assert 0 < len(patient) < 10
    assert (patient.brain_area >= 100).all()


@pytest.mark.slow
def test_workers_prepare_the_same_bytes_and_nothing_twice(cohort, tmp_path, monkeypatch):
    prepared_cohort(cohort, tmp_path / "one", workers=1)
    prepared_cohort(cohort, tmp_path / "two", workers=2)
    assert folders(tmp_path / "one") == folders(tmp_path / "two")
    for path in (tmp_path / "one").rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "two" / path.relative_to(tmp_path / "one")).read_bytes()

    def never(*_: object, **__: object) -> None:
        raise AssertionError("prepared twice")

    monkeypatch.setattr(store_module, "_prepare_patient", never)
    prepared_cohort(cohort, tmp_path / "two", workers=2)


def test_the_key_covers_everything_that_shapes_the_slices(cohort):
    class Other(Brats):
        pass

    dataset = Brats(cohort)
    first, second = dataset.subjects(QuietProgress())[:2]
    keys = [
        store_module._key(dataset, first, SETTINGS, INPUTS),
        store_module._key(dataset, second, SETTINGS, INPUTS),
        store_module._key(Other(cohort), first, SETTINGS, INPUTS),
        store_module._key(dataset, first, SETTINGS, ("t2", "t1", "flair")),
        store_module._key(dataset, replace(first, segmentation=None), SETTINGS, INPUTS),
    ]
    for change in (
        {"spacing": 1.0},
        {"crop": (24, 28)},
        {"normalisation": Normalisation(percentile=99.0)},
        {"modalities": ("t1", "flair", "t2", "t1ce")},
    ):
        keys.append(store_module._key(dataset, first, replace(SETTINGS, **change), INPUTS))
    for told in ({"intensities": {"t1": IntensitySettings(background=3)}}, {"mask": "t2"}):
        keys.append(store_module._key(dataset, first, replace(SETTINGS, **told), INPUTS))
    for file in (first.files["t2"], first.segmentation):
        stat = file.stat()
        os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
        keys.append(store_module._key(dataset, first, SETTINGS, INPUTS))
    assert len(set(keys)) == len(keys) == 13
    assert store_module._key(dataset, first, SETTINGS, INPUTS) == keys[-1]
    meant = replace(SETTINGS, intensities={"t1": IntensitySettings(unit="absolute")})
    assert store_module._key(dataset, first, meant, INPUTS) == store_module._key(
        dataset, first, replace(SETTINGS, intensities={"t1": IntensitySettings()}), INPUTS
    )


def flip(path):
    content = bytearray(path.read_bytes())
    content[-1000] ^= 4
    path.write_bytes(content)


def edit(path, old, new):
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: cut(folder / "images.npy"),
        lambda folder: (folder / "images.npy").write_bytes(b""),
        lambda folder: np.save(folder / "segmentation.npy", np.zeros((2, 3, 3), np.uint8)),
        lambda folder: (folder / "meta.json").unlink(),
        lambda folder: (folder / "meta.json").write_text('{"id": '),
        lambda folder: (folder / "meta.json").write_text("[]"),
        lambda folder: flip(folder / "images.npy"),
        lambda folder: flip(folder / "segmentation.npy"),
        lambda folder: edit(folder / "meta.json", '"has_segmentation": true', '"has_segmentation": false'),
        lambda folder: edit(folder / "meta.json", '"background": 0.0', '"background": 1.0'),
    ],
)
def test_a_damaged_patient_is_made_again(cohort, cache, damage):
    before = prepared_cohort(cohort, cache)["P1"].images([0], INPUTS)
    folder = prepared_cohort(cohort, cache)["P1"].folder
    prepared._map.cache_clear()
    damage(folder)
    progress = Told()
    after = prepared_cohort(cohort, cache, progress=progress)["P1"]
    np.testing.assert_array_equal(after.images([0], INPUTS), before)
    assert progress.notes == [f"{folder} is damaged and will be rebuilt"]


def test_damage_is_found_without_a_cohort(cohort, cache):
    assert damaged_patients(cache, QuietProgress()) == (0, [])
    stored = prepared_cohort(cohort, cache)
    (cache / "slices" / ".1-2-3.partial-x").mkdir()  # of a process that works on it
    assert damaged_patients(cache, QuietProgress()) == (len(stored), [])
    prepared._map.cache_clear()
    flip(stored["P1"].folder / "images.npy")
    assert damaged_patients(cache, QuietProgress()) == (len(stored), [stored["P1"].folder])


def test_a_damaged_patient_that_cannot_be_removed_is_named(cohort, cache, monkeypatch):
    folder = prepared_cohort(cohort, cache)["P1"].folder
    (folder / "meta.json").unlink()

    def refuse(path):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(store_module.shutil, "rmtree", refuse)
    with pytest.raises(CacheError, match=r"cannot be removed.*Permission denied") as caught:
        prepared_cohort(cohort, cache)
    assert caught.value.where == str(folder)


def test_a_cache_that_cannot_be_written_names_the_variable(cohort, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CacheError, match="GANTK_CACHE"):
        prepared_cohort(cohort, tmp_path / "file")


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), OSError("9 requested and 2 written")]
)
def test_a_full_disk_is_said_and_leaves_nothing(cohort, cache, monkeypatch, error):
    def full(path, array):
        path.write_bytes(b"half")
        raise error

    monkeypatch.setattr(store_module.np, "save", full)
    monkeypatch.setattr(store_module, "_room", lambda folder: 0)
    with pytest.raises(CacheError, match=r"disk is full.*GANTK_CACHE"):
        prepared_cohort(cohort, cache)
    assert folders(cache) == []


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.slow
def test_a_bad_file_reaches_the_user_from_a_worker(cohort, cache, workers):
    bad = cohort / "LGG" / "P2" / "P2_t2.nii.gz"
    bad.write_bytes(bad.read_bytes()[:200])
    with pytest.raises(DataError, match="truncated") as caught:
        prepared_cohort(cohort, cache, workers=workers)
    assert caught.value.where == str(bad)
    assert not [name for name in folders(cache) if name.startswith(".")]


def test_an_image_that_is_empty_inside_the_brain_names_the_patient(cohort, cache, write_volume):
    dataset = Brats(cohort)
    brain = dataset.read(dataset.subjects(QuietProgress())[0], ["t1"]).images["t1"] > 0
    bad = cohort / "HGG" / "P1" / "P1_t1ce.nii.gz"
    write_volume(bad, np.where(brain, 0, 5).astype(np.int16))
    with pytest.raises(DataError, match=r"'P1'.*'t1ce'.*empty inside the brain.*data\.intensities\.t1ce") as caught:
        prepared_cohort(cohort, cache)
    assert caught.value.where == str(bad)


def test_a_crop_without_brain_is_refused(cohort, cache):
    with pytest.raises(DataError, match=r"'P1' has no slice with at least 1 cm².*4 × 4"):
        prepared_cohort(cohort, cache, settings=replace(SETTINGS, crop=(4, 4)))


class Stops(Brats):
    """Interrupted at the third patient."""

    def read(self, subject, modalities, segmentation=True):
        if subject.id == "P3":
            raise KeyboardInterrupt
        return super().read(subject, modalities, segmentation)


def test_an_interrupted_preparation_leaves_whole_patients_alone(cohort, cache):
    with pytest.raises(KeyboardInterrupt):
        prepared_cohort(cohort, cache, dataset=Stops(cohort))
    assert len(folders(cache)) == 2
    assert not [name for name in folders(cache) if name.startswith(".")]
    for folder in (cache / "slices").iterdir():
        assert len(prepared.PatientSlices(folder)) > 0


@pytest.mark.slow
def test_a_dying_worker_is_replaced_by_this_process(cohort, cache):
    progress = Told()
    store = prepared_cohort(cohort, cache, dataset=Dies(cohort, os.getpid()), workers=2, progress=progress)
    assert len(store) == 4
    assert "worker process died" in progress.notes[0]


class Dies(Brats):
    """Ends every process but one."""

    def __init__(self, root, survivor):
        super().__init__(root)
        self.survivor = survivor

    def read(self, subject, modalities, segmentation=True):
        if os.getpid() != self.survivor:
            os._exit(9)
        return super().read(subject, modalities, segmentation)


@pytest.mark.slow
def test_the_workers_modules_do_not_import_torch():
    code = "import sys, gantk.data.store, gantk.data.brats; assert not {'torch', 'mlflow'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_patient_with_the_target_alone_has_its_own_foreground(cohort, cache, write_patient):
    write_patient(cohort / "P5", ("t1ce",), seed=5, seg=False)
    patient = prepared_cohort(cohort, cache)["P5"]
    assert patient.modalities == ("t1ce",)
    images = patient.images(range(len(patient)), ["t1ce"])[:, 0]
    assert (images > -1).sum((1, 2)).tolist() == patient.brain_area.tolist()


def test_the_checksum_follows_what_the_images_show_and_not_where_they_lie(cohort, tmp_path, write_volume):
    before = {name: patient.checksum for name, patient in prepared_cohort(cohort, tmp_path / "one").items()}
    moved = cohort.rename(tmp_path / "moved")
    same = {name: patient.checksum for name, patient in prepared_cohort(moved, tmp_path / "two").items()}
    assert same == before
    path = moved / "HGG" / "P1" / "P1_t1ce.nii.gz"
    write_volume(path, np.asarray(nib.load(path).dataobj)[::-1].copy())
    after = {name: patient.checksum for name, patient in prepared_cohort(moved, tmp_path / "two").items()}
    assert {name for name in before if before[name] != after[name]} == {"P1"}


def test_a_mask_says_where_foreground_is(cohort, cache, write_volume):
    for folder in [path.parent for path in cohort.rglob("*_t1.nii.gz")]:
        mask = np.zeros((32, 36, 10), np.uint8)
        mask[8:20, 8:20, 2:8] = 1
        write_volume(folder / f"{folder.name}_mask.nii.gz", mask)
    store = prepared_cohort(cohort, cache, settings=replace(SETTINGS, mask="mask"))
    assert store["P1"].modalities == SETTINGS.modalities
    assert store["P1"].z.tolist() == [2, 3, 4, 5, 6, 7]
    assert set(store["P1"].brain_area) == {144}


def test_an_implausible_image_names_patient_modality_and_file(cohort, cache, write_volume):
    bad = cohort / "LGG" / "P2" / "P2_flair.nii.gz"
    write_volume(bad, np.random.default_rng(0).uniform(1, 9, (32, 36, 10)).astype(np.float32))
    with pytest.raises(DataError, match=r"'P2', 'flair': 100% of this image.*data\.mask") as caught:
        prepared_cohort(cohort, cache)
    assert caught.value.where == str(bad)
    told = replace(SETTINGS, intensities={"flair": IntensitySettings(background=0)})
    assert len(prepared_cohort(cohort, cache, settings=told)) == 4


class Reversed(Brats):
    """A dataset whose images and slices are in a different order than in the recipe."""

    def read(self, subject, modalities, segmentation=True):
        volumes = super().read(subject, modalities, segmentation)
        return Backwards(**vars(volumes) | {"images": dict(reversed(volumes.images.items()))})


class Backwards(Volumes):
    def slices(self, inputs, settings):
        slices = super().slices(inputs, settings)
        return replace(
            slices,
            images=dict(sorted(slices.images.items())),
            scales=dict(reversed(slices.scales.items())),
            negative=dict(reversed(slices.negative.items())),
        )


def test_the_order_in_which_a_dataset_gives_images_does_not_matter(cohort, tmp_path):
    one = prepared_cohort(cohort, tmp_path / "one")
    other = prepared_cohort(cohort, tmp_path / "other", dataset=Reversed(cohort))
    for name in one:
        assert other[name].modalities == one[name].modalities
        assert other[name].scales == one[name].scales
        rows = range(len(one[name]))
        np.testing.assert_array_equal(
            other[name].images(rows, other[name].modalities), one[name].images(rows, one[name].modalities)
        )
