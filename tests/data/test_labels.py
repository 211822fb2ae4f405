"""The meaning of labels is decided once for all patients, and refused if it is ambiguous."""

from __future__ import annotations

import json

import numpy as np
import pytest

from gantk.data.labels import Labels, decide_labels
from gantk.errors import DataError
from gantk.recipe.data import LabelSettings

RAW = np.array([[0, 1], [2, 3]], np.uint8)


@pytest.mark.parametrize(
    ("found", "enhancing"),
    [({"A": [1, 2], "B": [4]}, 4), ({"A": [2], "B": [1, 2, 3]}, 3), ({"A": [], "B": [2]}, 4), ({}, 4)],
)
def test_the_conventions_of_brats_are_recognized_over_the_cohort(found, enhancing):
    labels = decide_labels(found)
    assert labels.enhancing == (enhancing,)
    assert labels.core == (1, enhancing)
    assert labels.canonical(np.array([0, 1, 2, enhancing], np.uint8)).tolist() == [0, 1, 2, 4]


def test_no_patient_is_read_by_a_convention_of_its_own():
    """The labels 3 and 4 are clear in one patient each, but not in one cohort."""
    for one in ([1, 2, 3], [2, 4]):
        decide_labels({"A": one})
    with pytest.raises(DataError, match=r"label 3 is in A, label 4 in B and 1 more.*2024.*cavity.*\[data\.labels\]"):
        decide_labels({"A": [1, 2, 3], "C": [4], "B": [2, 4]})


def test_unknown_labels_are_named_with_a_patient():
    with pytest.raises(DataError, match=r"unknown labels: 5, 7.*label 5 is in B.*\[data\.labels\]"):
        decide_labels({"A": [1, 7], "B": [5]})


def test_the_recipes_table_decides():
    table = LabelSettings(tumour=[1, 2, 3], core=[1, 3], enhancing=[3])
    labels = decide_labels({"A": [1, 2, 3, 4, 9]}, table)
    assert labels.canonical(np.array([0, 1, 2, 3, 4, 9], np.uint8)).tolist() == [0, 1, 2, 4, 0, 0]
    whole = decide_labels({"A": [7]}, LabelSettings(tumour=[7]))
    assert whole.canonical(np.array([7, 1], np.uint8)).tolist() == [2, 0]


def test_canonical_labels_keep_shape_and_type_and_the_record_is_json():
    labels = Labels.from_dict(json.loads(json.dumps(decide_labels({"A": [3]}).to_dict())))
    assert labels.canonical(RAW).dtype == np.uint8
    assert labels.canonical(RAW).tolist() == [[0, 1], [2, 4]]
