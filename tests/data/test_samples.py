"""Patches hold the stored volume, lie about voxels of their class, and are drawn as a pure function of their place."""

from __future__ import annotations

from collections import Counter
from functools import partial

import numpy as np
import pytest
import torch

from gantk.data.brats import Brats
from gantk.data.layout import Layout
from gantk.data.loader import Loader, _random
from gantk.data.pools import Patches, PatchesBySlice
from gantk.data.sampler import Weighed
from gantk.data.samples import Patch
from gantk.data.split import Split
from gantk.data.store import SliceSettings, prepare
from gantk.errors import DataError
from gantk.progress import QuietProgress
from gantk.recipe.data import ExtraSettings
from gantk_baselines.samplers import Balanced, Hard

INPUTS, TARGETS = ("t1", "t2", "flair"), ("t1ce",)
LAYOUT = Layout(INPUTS, TARGETS)
SPLIT = Split(paired=("P1", "P2", "P6"), unpaired=("P4",), validation=("P5",), test=("P3",))
CORE, TUMOUR = (1, 4), (1, 2, 4)


def prepared(root, **settings):
    dataset = Brats(root)
    shape = SliceSettings((*INPUTS, *TARGETS), settings.pop("spacing", None), (30, 32), **settings)
    subjects = dataset.subjects(QuietProgress())
    return prepare(dataset, subjects, shape, INPUTS, cache=root / "cache", workers=1, progress=QuietProgress())


@pytest.fixture(scope="module")
def root(tmp_path_factory, write_patient):
    root = tmp_path_factory.mktemp("cohort")
    for number in (1, 2, 6):
        write_patient(root / f"P{number}", seed=number)
    write_patient(root / "P3", seed=3, seg=False)
    write_patient(root / "P4", ("t1", "t2", "flair"), seed=4)
    write_patient(root / "P5", seed=5, tumour=False)
    return root


@pytest.fixture(scope="module")
def store(root):
    return prepared(root, whole=True)


def loader(store, size=(4, 12, 10), passes=1, **changes):
    settings = {"split": SPLIT, "layout": LAYOUT, "sizes": {"paired": 2, "unpaired": 1}, "seed": 7, **changes}
    return Loader(store, settings.pop("split"), sampling=Patches(size, passes), **settings)


def epoch(loader, group="paired", number=0):
    return [loader.batch([group], 0, number, step)[group] for step in range(loader.steps([group]))]


def test_a_batch_is_what_is_stored_about_its_places(store):
    group = loader(store).batch(["paired", "unpaired"], 0, 0, 0)
    assert group["paired"].source.shape == (2, 3, 4, 12, 10)
    assert group["paired"].target.shape == (2, 1, 4, 12, 10)
    assert group["paired"].segmentation.shape == (2, 1, 4, 12, 10)
    assert (group["paired"].source.dtype, group["paired"].segmentation.dtype) == (torch.float32, torch.uint8)
    assert group["unpaired"].target is None
    for number, name in enumerate(group["paired"].patients):
        patient = store[name]
        images = patient.images(range(len(patient)), INPUTS).swapaxes(0, 1)
        row = patient.z.tolist().index(group["paired"].slices[number])
        found = group["paired"].source[number].numpy()
        places = [
            (y, x)
            for y in range(30 - 12 + 1)
            for x in range(32 - 10 + 1)
            if np.array_equal(images[:, row : row + 4, y : y + 12, x : x + 10], found)
        ]
        assert len(places) == 1  # noise occurs nowhere twice
        ((y, x),) = places
        labels = patient.segmentation(range(row, row + 4))[:, y : y + 12, x : x + 10]
        np.testing.assert_array_equal(group["paired"].segmentation[number, 0], labels)


def test_a_batch_depends_on_its_place_alone(store):
    one, other = loader(store, passes=3, core_fraction=0.5), loader(store, passes=3, core_fraction=0.5)
    forward = [one.batch(["paired", "unpaired"], 0, 1, step) for step in range(4)]
    backward = [other.batch(["unpaired", "paired"], 0, 1, step) for step in reversed(range(4))][::-1]
    for a, b in zip(forward, backward, strict=True):
        for name in a:
            assert torch.equal(a[name].source, b[name].source)
            assert a[name].patients == b[name].patients
    for change in ({"seed": 8}, {}):
        again = loader(store, passes=3, core_fraction=0.5, **change).batch(["paired"], 0, 1 + (not change), 0)["paired"]
        assert not torch.equal(again.source, forward[0]["paired"].source)


def test_each_pass_shows_every_patient_once_in_an_order_of_its_own(store):
    drawn = [name for group in epoch(loader(store, passes=4, core_fraction=None)) for name in group.patients]
    assert len(drawn) == 12
    passes = [tuple(drawn[first : first + 3]) for first in range(0, 12, 3)]
    assert all(sorted(one) == ["P1", "P2", "P6"] for one in passes)
    assert len(set(passes)) > 1


@pytest.mark.parametrize(
    ("slices", "fraction", "inside"),
    [("tumour", 0.5, TUMOUR), ("tumour", None, TUMOUR), ("tumour", 1.0, CORE), ("tumour", 0.0, (2,))],
)
def test_the_middle_of_a_patch_is_of_the_class_that_is_drawn(store, slices, fraction, inside):
    found: Counter[int] = Counter()
    for number in range(8):
        for group in epoch(loader(store, (3, 5, 5), 4, slices=slices, core_fraction=fraction), number=number):
            found.update(group.segmentation[:, 0, 1, 2, 2].tolist())
    assert set(found) <= set(inside)
    assert (2 in found) == (2 in inside)
    assert (4 in found) == (4 in inside)
    if fraction == 0.5:
        assert sum(found[label] for label in CORE) == sum(found.values()) / 2


def test_all_of_the_body_is_reached_and_nothing_else(store):
    """Voxels of the class are equally likely: with every voxel drawn 20 times on average none is left out."""
    patient = store["P1"]
    sampling = Patches((1, 1, 1))
    body = sum(patient.foreground(row).sum() for row in range(len(patient)))
    core = int(patient.core_area.sum())
    for tissue, wanted in (("core", core), ("rest", body - core)):
        places = Counter(
            sampling.sample(("P1", tissue), store.__getitem__, partial(_random, (number, 1))).corner
            for number in range(20 * wanted if tissue == "core" else 3 * wanted)
        )
        for z, y, x in list(places)[:500]:
            labels = patient.segmentation([z])[0]
            assert patient.foreground(z)[y, x]
            assert (labels[y, x] in CORE) == (tissue == "core")
        assert len(places) == wanted if tissue == "core" else len(places) > 0.9 * wanted


def test_what_lies_outside_is_background(store):
    patient = store["P1"]
    depth = len(patient)
    size = (depth + 5, 36, 16)
    patch = Patch.around("P1", patient, (0, 0, 31), size)
    assert patch.corner == (-2, -3, 16)
    image = patch.image("source", LAYOUT)
    assert image.shape == (3, *size)
    inside = image[:, 2 : 2 + depth, 3:33]
    np.testing.assert_array_equal(inside, patient.images(range(depth), INPUTS).swapaxes(0, 1)[..., 16:])
    image[:, 2 : 2 + depth, 3:33] = -1
    assert (image == -1).all()
    labels = patch.segmentation()
    np.testing.assert_array_equal(labels[2 : 2 + depth, 3:33], patient.segmentation(range(depth))[..., 16:])


def test_an_image_that_a_patient_lacks_is_background(store):
    patient = store["P4"]
    assert (Patch.whole("P4", patient).image("target", LAYOUT) == -1).all()
    layout = Layout(("t1ce", "t1"), TARGETS)
    image = Patch.whole("P4", patient).image("source", layout)
    assert (image[0] == -1).all()
    np.testing.assert_array_equal(image[1], patient.images(range(len(patient)), ["t1"])[:, 0])


def test_a_volume_is_all_slices_in_one(store):
    made = loader(store, missing=["t2"])
    volume = made.volume("P3")
    slices = made.rows([("P3", row) for row in range(len(store["P3"]))])
    assert volume.source.shape == (1, 3, *store["P3"].shape)
    assert torch.equal(volume.source[0].movedim(1, 0), slices.source)
    assert torch.equal(volume.target[0].movedim(1, 0), slices.target)
    assert (volume.source[:, 1] == -1).all()


def test_what_is_said_of_pixels_is_cut_alike(store):
    extra = {"labels": ExtraSettings(per="pixel", of="segmentation", categories=[0, 1, 2, 4])}
    group = loader(store, extra=extra).batch(["paired"], 0, 0, 0)["paired"]
    codes = torch.tensor([0, 1, 2, 4], dtype=torch.uint8)
    assert torch.equal(codes[group.extra["labels"].long()], group.segmentation)


def test_a_group_without_tumour_is_told(store):
    with pytest.raises(DataError, match="tumor") as raised:
        loader(store, split=Split(("P5",), (), (), ("P1",))).steps(["paired"])
    assert 'data.slices = "all"' in str(raised.value)


def test_a_whole_volume_has_no_gap(tmp_path, write_volume, write_patient):
    """A slice without brain among others is left out of slices, not of a volume."""
    folder = write_patient(tmp_path / "P1", seed=1)
    for path in folder.glob("*.nii.gz"):
        import nibabel as nib

        voxels = np.asarray(nib.load(path).dataobj).copy()
        voxels[:, :, 5] = 0
        write_volume(path, voxels)
    places = {whole: prepared(tmp_path, whole=whole)["P1"].z.tolist() for whole in (False, True)}
    assert 5 not in places[False]
    assert places[True] == list(range(places[False][0], places[False][-1] + 1))


def test_slices_and_volumes_at_one_spacing_are_the_same_images(root, store):
    fine = prepared(root, whole=True, spacing=(0.5, 1.0, 1.0))["P1"]
    assert len(fine) == pytest.approx(2 * len(store["P1"]), abs=1)
    slices = prepared(root)["P1"]
    np.testing.assert_array_equal(slices.z, store["P1"].z)
    np.testing.assert_array_equal(slices.images([3], INPUTS), store["P1"].images([3], INPUTS))


# --- patches of which a sampler says in which slices they have their middle ------------------------------


def weighed(store, component, size=(1, 5, 5), passes=8, tissue="foreground", **changes):
    settings = {"split": SPLIT, "layout": LAYOUT, "sizes": {"paired": 2, "unpaired": 1}, "seed": 7, **changes}
    sampling = PatchesBySlice(size, passes, tissue)
    return Loader(
        store,
        settings.pop("split"),
        sampling=sampling,
        sampler=Weighed(component, "sampler"),
        core_fraction=None,
        **settings,
    )


def middles(loader, number=0):
    """(patient, z) of an epoch's patches, each of one slice."""
    return [key for group in epoch(loader, number=number) for key in zip(group.subjects, group.slices, strict=True)]


def test_a_balanced_sampler_puts_half_of_the_patches_into_slices_with_tumor(store):
    def shows(key):
        return bool(store[key[0]].tumour[store[key[0]].z.tolist().index(key[1])])

    found = [middles(weighed(store, Balanced("tumor"), passes=20), number) for number in range(2)]
    assert [len(one) for one in found] == [60, 60]  # as many as without a sampler
    assert found[0] != found[1]
    assert np.mean([shows(key) for one in found for key in one]) == pytest.approx(0.5, abs=0.06)
    plain = np.mean([store[name].tumour.mean() for name in SPLIT.paired])
    assert abs(plain - 0.5) > 0.1
    assert found[0] == middles(weighed(store, Balanced("tumor"), passes=20))


def test_with_equal_weights_each_patient_comes_as_often_as_it_has_slices(store):
    often = Counter(name for name, _ in middles(weighed(store, Balanced("tumor", strength=0), passes=10)))
    total = sum(len(store[name]) for name in SPLIT.paired)
    assert sum(often.values()) == 30
    for name in SPLIT.paired:
        assert abs(often[name] - 30 * len(store[name]) / total) < 1


def test_the_middle_lies_in_the_tissue(store):
    groups = epoch(weighed(store, Balanced("core"), (3, 5, 5), tissue="tumour"))
    assert set(torch.cat([group.segmentation[:, 0, 1, 2, 2] for group in groups]).tolist()) <= set(TUMOUR)


def test_what_was_told_of_a_patch_holds_for_the_slices_about_which_it_lies(store):
    size = (5, 12, 10)  # with middles near the ends all patches are the same slices
    loader, other = (weighed(store, Hard(strength=2, limit=50), size, passes=6) for _ in range(2))
    before = middles(loader)
    told = loader.sampler.hardness
    hard = ("P2", int(store["P2"].z[0]))  # the first slice of the lowest patch
    for name in SPLIT.paired:
        for z in store[name].z.tolist():
            told.rate([name], [z], [1.0 if (name, z) == hard else 0.01])
    assert middles(loader) == before
    told.begin_epoch()
    assert Counter(middles(loader, 1))[hard] > 12
    other.sampler.hardness.take_up(told.state())  # as a resumed run does
    assert middles(other, 1) == middles(loader, 1)
