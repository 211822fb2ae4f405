"""Series of DICOM become subjects: visits, the best series of each modality, a record of all, and a table."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from typer.testing import CliRunner

pytest.importorskip("SimpleITK")
pytest.importorskip("pydicom")


from dicoms import record, write_series
from gantk.cli.main import app
from gantk.data.cohort_table import read_table
from gantk.data.dicom import cohort
from gantk.data.volumes import read_volumes
from gantk.errors import DataError, UsageError
from gantk.progress import QuietProgress

QUIET = QuietProgress()


def test_two_studies_of_a_patient_are_visits_and_the_finest_original_series_is_taken(volume, tmp_path):
    for study in (0, 1):
        folder = tmp_path / "in" / str(study)
        write_series(folder / "a", volume, 1, "t1_se_tra", study=study, spacing=(1.0, 1.0, 5.0))
        write_series(folder / "b", volume + 1, 2, "t1_mprage_sag", study=study)
        derived = ["DERIVED", "SECONDARY", "MPR"]
        write_series(folder / "c", volume, 3, "t1 MPR", study=study, spacing=(1, 1, 1), ImageType=derived)
        write_series(folder / "d", volume, 4, "ADC map", study=study)
    write_series(tmp_path / "in", volume + 2, 1, "T2 TSE", patient="X 2/b")
    first, second, third = cohort.dicom(tmp_path / "in", tmp_path / "out", QUIET)
    assert [(s.id, s.patient) for s in (first, second, third)] == [
        ("P1_20200101", "P1"),
        ("P1_20200102", "P1"),
        ("X-2-b", "X-2-b"),
    ]
    assert set(first.files) == {"t1"}
    np.testing.assert_array_equal(
        np.sort(np.asarray(nib.load(first.files["t1"]).dataobj), None), np.sort(volume + 1, None)
    )
    assert {name: first.facts[name] for name in ("sex", "age", "site")} == {"sex": "F", "age": "45", "site": "North"}
    rows = record(tmp_path / "out")
    assert rows["t1_se_tra"]["note"] == rows["t1 MPR"]["note"] == "series 2 is taken"
    assert rows["ADC map"]["note"] == "not recognized"


def test_a_repeated_call_converts_what_is_not_there_or_of_another_series(volume, tmp_path, monkeypatch):
    for number, words in enumerate(("t1 mprage", "t2 tse", "t2 blade"), 1):
        write_series(tmp_path / "in" / words, volume, number, words)
    done: list[str] = []
    plain = cohort.convert

    def convert(jobs):
        done.extend(series.description for series, _ in jobs)
        return plain(jobs)

    monkeypatch.setattr(cohort, "convert", convert)

    def taken(*patterns: str) -> dict[str, Path]:
        done.clear()
        (subject,) = cohort.dicom(tmp_path / "in", tmp_path / "out", QUIET, patterns)
        return dict(subject.files)

    taken()
    assert sorted(done) == ["t1 mprage", "t2 tse"]
    taken()
    assert done == []
    files = taken("t2=*blade*", "=t2 tse")
    assert done == ["t2 blade"]
    files["t1"].unlink()
    taken("t2=*blade*", "=t2 tse")
    assert done == ["t1 mprage"]


def test_the_command_writes_a_table_that_is_read(volume, tmp_path):
    brain = np.zeros((24, 20, 12), np.uint16)
    brain[6:18, 5:15, 2:10] = 400
    for number, words in enumerate(("t1", "odd name")):
        write_series(tmp_path / "in" / words, brain + number * (brain > 0), number, words)
    out = tmp_path / "cohort.csv"
    command = ["data", "table", str(tmp_path / "in"), "-o", str(out), "--layout", "dicom", "--pattern", "t1ce=odd*"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert "t1 1, t1ce 1" in done.output
    (subject,) = read_table(out)
    assert subject.files["t1ce"] == tmp_path / "cohort_images" / "P1" / "P1_t1ce.nii.gz"
    assert subject.facts["site"] == "North"
    assert read_volumes(subject, ["t1", "t1ce"]).images["t1ce"].max() == 401


def test_without_simpleitk_the_mend_is_a_command(monkeypatch, tmp_path):
    monkeypatch.setattr(cohort.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'gantk\[dicom\]'"):
        cohort.dicom(tmp_path, tmp_path / "out", QUIET)


@pytest.mark.parametrize("pattern", ["t1", "t1=", "a b=x"])
def test_a_pattern_that_is_none_is_refused(pattern, tmp_path):
    with pytest.raises(UsageError, match="not a valid pattern of series"):
        cohort.dicom(tmp_path, tmp_path, QUIET, [pattern])


def test_a_folder_without_dicom_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(DataError, match="no DICOM image"):
        cohort.dicom(tmp_path, tmp_path / "out", QUIET)
