"""Modalities recognized by what DICOM headers say."""

from __future__ import annotations

import pytest

from gantk.data.dicom.sequences import modality_of
from gantk.data.dicom.series import Series


@pytest.mark.parametrize(
    ("description", "agent", "modality"),
    [
        ("t1_mprage_sag_p2_iso", "", "t1"),
        ("T1 FLAIR SE AX", "", "t1"),
        ("AX T1 POST", "", "t1ce"),
        ("Ax T1 +C", "", "t1ce"),
        ("t1_vibe_tra_KM", "", "t1ce"),
        ("T1C_mprage", "", "t1ce"),
        ("SAG BRAVO", "GADOVIST", "t1ce"),
        ("t1 tse pre gd", "Gadovist", "t1"),
        ("T1W without contrast", "", "t1"),
        ("AX T1", "NONE", "t1"),
        ("t2_tirm_tra_dark-fluid", "", "flair"),
        ("3D FLAIR post", "Gadovist", "flair"),
        ("Ax T2 FSE", "Gadovist", "t2"),
        ("T2W_TSE", "", "t2"),
        ("T2* GRE", "", None),
        ("t2_loc", "", None),
        ("ep2d_diff_3scan_trace_ADC", "", None),
        ("PD tse", "", "pd"),
        ("T1 SUB post-pre", "", None),
        ("Patient Protocol", "", None),
    ],
)
def test_a_series_is_recognized_by_its_description_and_contrast_agent(description, agent, modality):
    assert modality_of(Series("k", "P", "S", description=description, agent=agent)) == modality


def test_a_protocol_speaks_where_the_description_says_nothing():
    assert modality_of(Series("k", "P", "S", description="SE-01", protocol="AX T1 GD")) == "t1ce"
    assert modality_of(Series("k", "P", "S", description="t2", image_type=("ORIGINAL", "PRIMARY", "LOCALIZER"))) is None
    assert modality_of(Series("k", "P", "S", kind="CT")) == "ct"
    assert modality_of(Series("k", "P", "S", kind="SEG", description="t1")) is None
