"""Prepared patients give what is stored, in any order and with any meaning."""

from __future__ import annotations

import numpy as np
import pytest

from gantk.data import prepared
from gantk.data.brats import Brats
from gantk.data.labels import Labels
from gantk.data.meaning import Absolute, Meaning
from gantk.data.normalisation import fixed_scale
from gantk.data.planes import centre
from gantk.errors import CacheError, DataError
from gantk.progress import QuietProgress
from prepared_cohorts import prepared_cohort


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def test_one_modality_at_a_time_and_in_any_order(cohort, cache):
    patient = prepared_cohort(cohort, cache)["P1"]
    every = patient.images([3, 1], ("t1", "t2", "flair", "t1ce"))
    np.testing.assert_array_equal(patient.images([1, 3], ("t1ce", "t1")), every[::-1][:, [3, 0]])
    with pytest.raises(DataError, match="no 't1ce' image"):
        prepared_cohort(cohort, cache)["P4"].images([0], ("t1ce",))


def test_the_ends_of_the_range_are_exact():
    codes = prepared.encode(np.array([-1, 0, 1], np.float32))
    assert prepared._values()[codes[[0, 2]]].tolist() == [-1.0, 1.0]
    every = prepared._values()
    np.testing.assert_array_equal(prepared.encode(every), np.arange(65536))


def test_one_store_is_understood_in_several_ways(cohort, cache):
    store = prepared_cohort(cohort, cache)
    volumes = Brats(cohort).read(Brats(cohort).subjects(QuietProgress())[0], ["t1"])
    scale = fixed_scale(-500, 1500)
    meant = store.meant(Meaning({"t1": Absolute(scale)}, Labels((1, 2), (2,), ())))
    patient, raw = meant["P1"], store["P1"]
    assert patient.labels == (1, 2, 4)
    inside = centre(volumes.images["t1"].transpose(2, 1, 0), (28, 24))[patient.z]
    wanted = scale.apply(inside, raw.images(range(len(raw)), ["t1"])[:, 0] > -1)
    both = patient.images(range(len(patient)), ["t2", "t1"])
    np.testing.assert_allclose(both[:, 1], wanted, atol=1e-4)
    np.testing.assert_array_equal(both[:, 0], raw.images(range(len(raw)), ["t2"])[:, 0])
    labels = raw.segmentation(range(len(raw)))
    changed = patient.segmentation(range(len(patient)))
    np.testing.assert_array_equal(changed, np.select([labels == 1, labels == 2], [2, 1]))
    np.testing.assert_array_equal(patient.tumour_area, (changed > 0).sum((1, 2)))
    np.testing.assert_array_equal(patient.core, (changed == 1).any((1, 2)))
    assert patient.checksum == raw.checksum


def test_a_window_is_a_part_of_every_slice(cohort, cache):
    patient = prepared_cohort(cohort, cache)["P1"]
    rows, window = [2, 0], (slice(3, 20), slice(5, 9))
    np.testing.assert_array_equal(patient.images(rows, ("t2",), window), patient.images(rows, ("t2",))[..., 3:20, 5:9])
    np.testing.assert_array_equal(patient.segmentation(rows, window), patient.segmentation(rows)[..., 3:20, 5:9])
    assert patient.shape == (len(patient), 28, 24)
    shown = patient.images([2], ("t1",))[0, 0] > -1
    np.testing.assert_array_equal(patient.foreground(2), shown)


def test_damage_is_found_by_reading_everything(cohort, cache):
    patient = prepared_cohort(cohort, cache)["P1"]
    patient.verify()
    path = patient.folder / "images.npy"
    content = bytearray(path.read_bytes())
    content[-1000] ^= 4
    path.write_bytes(content)
    with pytest.raises(CacheError, match=r"images\.npy differs from its checksum"):
        patient.verify()
    path.unlink()
    with pytest.raises(CacheError, match=r"cannot be read.*delete it"):
        prepared.PatientSlices(patient.folder)
