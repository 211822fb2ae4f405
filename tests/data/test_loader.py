"""Batches are a pure function of stage, epoch and step, balanced by tumour core."""

from __future__ import annotations

import threading
from collections import Counter

import numpy as np
import pytest
import torch

from gantk.data.brats import Brats
from gantk.data.layout import Layout
from gantk.data.loader import Loader, members
from gantk.data.sampler import Weighed
from gantk.data.split import Split
from gantk.data.store import SliceSettings, prepare
from gantk.errors import DataError, RecipeError
from gantk.progress import QuietProgress
from gantk_baselines.samplers import Balanced, Hard

INPUTS, TARGETS = ("t1", "t2", "flair"), ("t1ce",)
SPLIT = Split(paired=("P1", "P2"), unpaired=("P4",), validation=("P5",), test=("P3",))
SIZES = {"paired": 3, "unpaired": 2, "source": 2, "target": 2}


@pytest.fixture(scope="module")
def store(tmp_path_factory, write_patient):
    root = tmp_path_factory.mktemp("cohort")
    write_patient(root / "P1", seed=1)
    write_patient(root / "P2", seed=2)
    write_patient(root / "P3", seed=3, seg=False)
    write_patient(root / "P4", ("t1", "t2", "flair"), seed=4)
    write_patient(root / "P5", seed=5, tumour=False)
    dataset = Brats(root)
    return prepare(
        dataset,
        dataset.subjects(QuietProgress()),
        SliceSettings((*INPUTS, *TARGETS), None, (32, 32)),
        INPUTS,
        cache=root / "cache",
        workers=1,
        progress=QuietProgress(),
    )


def loader(store, **changes):
    settings = {"split": SPLIT, "layout": Layout(INPUTS, TARGETS), "sizes": SIZES, "seed": 7, **changes}
    return Loader(store, settings.pop("split"), **settings)


def drawn(loader, group, epoch=0, batches=None, stage=0):
    """(patient, z) of every slice of an epoch, in order."""
    batches = loader.steps([group]) if batches is None else batches
    groups = [loader.batch([group], stage, epoch, step)[group] for step in range(batches)]
    return [key for g in groups for key in zip(g.patients, g.slices, strict=True)]


def has_core(store, key):
    patient = store[key[0]]
    return bool(patient.core[patient.z.tolist().index(key[1])])


def equal(a, b):
    tensors = [(a.source, b.source), (a.target, b.target), (a.segmentation, b.segmentation)]
    same = all((x is None and y is None) or torch.equal(x, y) for x, y in tensors)
    return same and a.patients == b.patients and a.slices == b.slices


def test_a_batch_depends_on_its_place_alone(store):
    one, other = loader(store), loader(store)
    groups = ["paired", "unpaired"]
    forward = [one.batch(groups, 0, 1, step) for step in range(4)]
    backward = [other.batch(groups, 0, 1, step) for step in reversed(range(4))][::-1]
    for a, b in zip(forward, backward, strict=True):
        assert all(equal(a[group], b[group]) for group in groups)
    alone = other.batch(["unpaired"], 0, 1, 2)["unpaired"]
    assert equal(alone, forward[2]["unpaired"])


def test_seed_stage_and_epoch_give_other_orders(store):
    base = drawn(loader(store), "paired")
    assert drawn(loader(store), "paired", epoch=1) != base
    assert drawn(loader(store), "paired", stage=1) != base
    assert drawn(loader(store, seed=8), "paired") != base
    assert drawn(loader(store), "target") != base


def test_shapes_types_and_contents(store):
    group = loader(store).batch(["paired"], 0, 0, 0)["paired"]
    assert len(group) == 3
    assert group.source.shape == (3, 3, 32, 32)
    assert group.target.shape == (3, 1, 32, 32)
    assert group.segmentation.shape == (3, 1, 32, 32)
    assert (group.source.dtype, group.target.dtype) == (torch.float32, torch.float32)
    assert group.segmentation.dtype == torch.uint8
    assert group.source.is_contiguous()
    assert group.target.is_contiguous()
    for n, (name, z) in enumerate(zip(group.patients, group.slices, strict=True)):
        row = store[name].z.tolist().index(z)
        np.testing.assert_array_equal(group.source[n], store[name].images([row], INPUTS)[0])
        np.testing.assert_array_equal(group.target[n], store[name].images([row], TARGETS)[0])
        np.testing.assert_array_equal(group.segmentation[n, 0], store[name].segmentation([row])[0])
    assert group.foreground.dtype == torch.bool
    torch.testing.assert_close(group.foreground, (group.source > -1).any(1, keepdim=True))
    assert (group.target[~group.foreground] == -1).all()
    moved = group.to("cpu")
    assert equal(moved, group)


def test_groups_draw_from_their_patients(store):
    batch = loader(store).batch(list(SIZES), 0, 0, 0)
    assert {name: len(group) for name, group in batch.items()} == SIZES
    for name in ("unpaired", "source"):
        assert batch[name].target is None
    assert batch["target"].source is None
    assert batch["target"].foreground.any()
    members = {name: {patient for patient, _ in drawn(loader(store), name)} for name in SIZES}
    assert members == {
        "paired": {"P1", "P2"},
        "unpaired": {"P4"},
        "source": {"P1", "P2", "P4"},
        "target": {"P1", "P2"},
    }


@pytest.mark.parametrize("fraction", [0.5, 0.25, 0.8])
def test_core_and_other_alternate_and_none_repeats_early(store, fraction):
    it = loader(store, core_fraction=fraction)
    keys = drawn(it, "paired", batches=30)
    cores = [has_core(store, key) for key in keys]
    for length in range(1, len(keys)):
        assert abs(sum(cores[:length]) - fraction * length) < 1
    for kind in (True, False):
        of_kind = [key for key, core in zip(keys, cores, strict=True) if core is kind]
        pool = len(set(of_kind))
        assert pool == sum(
            has_core(store, (p, int(z))) is kind for p in SPLIT.paired for z in store[p].z[store[p].tumour]
        )
        for start in range(0, len(of_kind) - pool, pool):
            assert len(set(of_kind[start : start + pool])) == pool


def test_an_epoch_sees_every_tumour_slice_and_only_these(store):
    every = {(p, int(z)) for p in SPLIT.paired for z in store[p].z[store[p].tumour]}
    assert set(drawn(loader(store), "paired")) == every
    brain = {(p, int(z)) for p in SPLIT.paired for z in store[p].z}
    assert len(brain) > len(every)
    assert set(drawn(loader(store, slices="all"), "paired")) == brain


def test_natural_order_draws_each_slice_once(store):
    it = loader(store, core_fraction=None, sizes={"paired": 1})
    assert set(Counter(drawn(it, "paired")).values()) == {1}


def test_the_longest_group_decides_and_the_others_start_over(store):
    it = loader(store, sizes={"paired": 1, "unpaired": 1})
    steps = it.steps(["paired", "unpaired"])
    assert steps == it.steps(["paired"]) > it.steps(["unpaired"])
    assert len(drawn(it, "unpaired", batches=steps)) == steps
    assert loader(store, steps_per_epoch=3).steps(["paired"]) == 3


def test_every_slice_of_a_patient_in_order(store):
    groups = list(loader(store).patient("P1", 3))
    assert [z for g in groups for z in g.slices] == store["P1"].z.tolist()
    assert all(len(g) == 3 for g in groups[:-1])
    assert all(g.target is not None for g in groups)
    assert all(g.target is None for g in loader(store).patient("P4", 3))
    with pytest.raises(DataError, match="'P9'"):
        list(loader(store).patient("P9", 3))


def test_panels_show_the_largest_tumours_of_different_patients(store):
    it = loader(store)
    rows = it.panel_rows(["P1", "P2", "P5"], 4)
    assert [patient for patient, _ in rows] == ["P1", "P2", "P5", "P1"]
    for patient, row in rows[:2]:
        assert store[patient].tumour_area[row] == store[patient].tumour_area.max()
    assert store["P5"].brain_area[rows[2][1]] == store["P5"].brain_area.max()
    assert it.rows(rows).target.shape == (4, 1, 32, 32)
    assert it.rows([("P1", 0), ("P4", 0)]).target is None


def test_a_cohort_without_tumour_suggests_brain_slices(store):
    split = Split(("P3", "P5"), (), (), ())
    with pytest.raises(DataError, match='slices = "all"'):
        loader(store, split=split).steps(["paired"])
    assert loader(store, split=split, slices="all").steps(["paired"]) > 0


def test_a_patient_with_an_empty_mask_contributes_nothing(store):
    split = Split(("P1", "P5"), (), (), ())
    assert {patient for patient, _ in drawn(loader(store, split=split), "paired")} == {"P1"}


def test_groups_that_cannot_be_drawn_are_named(store):
    with pytest.raises(RecipeError, match="did you mean 'paired'"):
        loader(store).steps(["pared"])
    with pytest.raises(RecipeError, match="'unpaired' is used but has no size"):
        loader(store, sizes={"paired": 3}).steps(["unpaired"])
    with pytest.raises(DataError, match="'unpaired' has no patient"):
        loader(store, split=Split(("P1",), (), (), ())).steps(["unpaired"])


def test_parts_of_a_group_share_its_patients_out(store):
    sizes = {**SIZES, "paired:1/2": 3, "paired:2/2": 3, "source:2/3": 2, "target:1/2": 1}
    it = loader(store, sizes=sizes)
    batch = it.batch(list(sizes), 0, 0, 0)
    for name, group in loader(store).batch(list(SIZES), 0, 0, 0).items():
        assert equal(batch[name], group)  # what other groups draw does not change
    assert {patient for patient, _ in drawn(it, "paired:1/2")} == {"P1"}
    assert {patient for patient, _ in drawn(it, "paired:2/2")} == {"P2"}
    assert set(drawn(it, "paired:1/2")) | set(drawn(it, "paired:2/2")) == set(drawn(it, "paired"))
    assert {patient for patient, _ in drawn(it, "source:2/3")} == {"P2"}
    sides = {name: (group.source is not None, group.target is not None) for name, group in batch.items()}
    assert sides["paired:1/2"] == (True, True)
    assert sides["source:2/3"] == (True, False)
    assert sides["target:1/2"] == (False, True)


def test_a_part_has_an_order_of_its_own(store):
    it = loader(store, split=Split(("P1", "P2"), (), (), ()), sizes={"paired:1/2": 3, "source:1/2": 3, "source:1/3": 3})
    again = loader(store, split=Split(("P1",), ("P2", "P4"), (), ()), sizes=it.sizes)
    assert set(drawn(it, "paired:1/2")) == set(drawn(it, "source:1/2")) == set(drawn(again, "source:1/3"))
    assert drawn(it, "paired:1/2") != drawn(it, "source:1/2") != drawn(again, "source:1/3")


def test_too_few_patients_for_the_parts_of_a_group_are_said(store):
    assert len(members(SPLIT, "paired:2/2")) == 1
    for part in (1, 3):
        with pytest.raises(DataError, match=rf"'paired:{part}/3' has no .*\. 2 patients are too few for 3 parts"):
            members(SPLIT, f"paired:{part}/3")
    one_of_eleven = Split(("P0",), tuple(f"U{number}" for number in range(10)), (), ())
    with pytest.raises(DataError, match=r"1 patient is too few for 2 parts; set data.paired_fraction to 0.19 or more"):
        members(one_of_eleven, "paired:1/2", having=11)
    with pytest.raises(DataError, match=r"set data.paired_fraction to 0.5 or more"):
        members(one_of_eleven, "paired:1/2", having=4)  # seven have no target: the fraction is of the others
    with pytest.raises(DataError, match=r"change data.paired_fraction"):
        members(one_of_eleven, "paired:1/2", having=1)
    with pytest.raises(RecipeError, match="no part 3 of 2"):
        loader(store).steps(["paired:3/2"])


def test_prefetch_gives_the_same_batches_from_any_step(store):
    it = loader(store)
    fetched = list(it.prefetch(["paired"], 0, 0, 2, 5))
    assert [step for step, _ in fetched] == [2, 3, 4]
    for step, batch in fetched:
        assert equal(batch["paired"], it.batch(["paired"], 0, 0, step)["paired"])
    assert list(it.prefetch(["paired"], 0, 0, 5, 5)) == []


def test_prefetch_raises_and_closes_cleanly(store):
    with pytest.raises(RecipeError):
        next(loader(store).prefetch(["pared"], 0, 0, 0, 5))
    batches = loader(store).prefetch(["paired"], 0, 0, 0, 1000)
    next(batches)
    batches.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("gantk-loader")]


def test_neighbouring_slices_come_modality_by_modality_with_the_edge_repeated(store):
    plain, deep = loader(store), loader(store, layout=Layout(INPUTS, TARGETS, neighbours=2))
    last = len(store["P1"]) - 1
    for row in (0, 1, last):
        source, target = deep.rows([("P1", row)]).source, deep.rows([("P1", row)]).target
        assert source.shape[1] == 5 * len(INPUTS)
        for offset in range(-2, 3):
            near = plain.rows([("P1", min(max(row + offset, 0), last))]).source
            assert torch.equal(source[:, offset + 2 :: 5], near)
        assert torch.equal(target, plain.rows([("P1", row)]).target)
        assert torch.equal(deep.rows([("P1", row)]).foreground, plain.rows([("P1", row)]).foreground)


def test_an_input_that_a_patient_lacks_or_that_is_hidden_is_background(store):
    layout = Layout((*INPUTS, *TARGETS), TARGETS)
    shown, hidden = loader(store, layout=layout), loader(store, layout=layout, missing=["t2"])
    lacking = shown.rows([("P4", 3)])
    assert lacking.target is None
    assert lacking.available.tolist() == [[True] * 3 + [False]]
    assert hidden.rows([("P1", 3)]).available.tolist() == [[name != "t2" for name in layout.inputs]]
    drawn = hidden.batch(["paired"], 0, 0, 0)["paired"]  # training sees everything
    assert drawn.available.all()


def test_parts_of_a_group_and_what_a_batch_says_are_by_patient(store):
    split = Split(("P1", "P2", "P5"), ("P4",), (), ("P3",), owners={"P1": "one", "P2": "one", "P4": "one"})
    assert members(split, "paired:1/2") == ("P5",)  # "P5" comes before "one"
    assert members(split, "paired:2/2") == ("P1", "P2")
    with pytest.raises(DataError, match="2 patients are too few for 3 parts"):
        members(split, "paired:1/3")
    group = loader(store, split=split, sizes={"source": 9}, slices="all").batch(["source"], 0, 0, 0)["source"]
    assert set(zip(group.subjects, group.patients, strict=True)) <= {
        ("P1", "one"), ("P2", "one"), ("P4", "one"), ("P5", "P5")
    }  # fmt: skip
    assert "one" in group.patients


def test_a_balanced_sampler_draws_classes_equally(store):
    plain = drawn(loader(store, core_fraction=None, slices="all"), "paired")
    share = np.mean([has_core(store, key) for key in plain])
    made = loader(store, core_fraction=None, slices="all", sampler=Weighed(Balanced("core"), "sampler"))
    keys = [key for epoch in range(4) for key in drawn(made, "paired", epoch)]
    assert share < 0.4
    assert np.mean([has_core(store, key) for key in keys]) == pytest.approx(0.5, abs=0.07)
    again = loader(store, core_fraction=None, slices="all", sampler=Weighed(Balanced("core"), "sampler"))
    assert keys == [key for epoch in range(4) for key in drawn(again, "paired", epoch)]


def test_hard_slices_come_more_often_from_the_next_epoch_on(store):
    sampler = Weighed(Hard(strength=2, limit=10), "sampler")
    made = loader(store, core_fraction=None, slices="all", sampler=sampler)
    first = drawn(made, "paired", 0)
    assert max(Counter(first).values()) <= 2  # nothing is known yet
    hard = first[0]
    for subject, z in set(first):
        sampler.hardness.rate([subject], [z], [1.0 if (subject, z) == hard else 0.1])
    assert drawn(made, "paired", 0) == first
    sampler.hardness.begin_epoch()
    often = Counter(drawn(made, "paired", 1))
    assert often[hard] > 4
    assert often[hard] == max(often.values())
