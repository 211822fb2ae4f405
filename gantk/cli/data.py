"""`gantk data`: generate cohorts, list your own in a table, and check them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Literal

import typer

from gantk.cli.console import write
from gantk.cli.pages import Group
from gantk.errors import UsageError

Layout = Literal["brats", "bids", "msd", "flat", "dicom"]

app = typer.Typer(cls=Group, rich_markup_mode=None, no_args_is_help=True, help="Generate, list or check data.")


@app.callback()
def data_command() -> None:
    """Generate, list or check data."""


@app.command("phantom")
def phantom(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write to.")],
    subjects: Annotated[int, typer.Option(min=1, help="Number of patients.")] = 60,
    spacing: Annotated[float, typer.Option(min=1.0, max=8.0, metavar="MM", help="Voxel size in mm.")] = 2.0,
    seed: Annotated[int, typer.Option(help="Random seed of the patients.")] = 0,
) -> None:
    """Write synthetic patients with brain tumors as NIfTI, in the layout of BraTS 2020."""
    from gantk.phantom import write_phantom
    from gantk.progress import default_progress

    written = write_phantom(out, subjects, spacing, seed, default_progress())
    write(f"{len(written)} patients in {out}")


@app.command("table")
def table(
    root: Annotated[Path, typer.Argument(metavar="ROOT", help="The data set's folder.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The table to write, .csv or .tsv.")],
    layout: Annotated[
        Layout,
        typer.Option(
            help="Layout of the files: patient folders as in BraTS, BIDS, the Medical Segmentation Decathlon, names "
            "that match --pattern (flat), or DICOM series, which are converted to NIfTI next to the table.",
        ),
    ],
    pattern: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN",
            help="For flat: pattern of the file names, such as {patient}-{modality}.nii.gz; with a slash, a path "
            "below ROOT; NAME=PATTERN for the files of one modality. For dicom: NAME=DESCRIPTION of a series, such as "
            "t1ce=*mprage*gd*. Repeatable.",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing table.")] = False,
) -> None:
    """Write a table of the patients in a folder, for dataset = "table"; you can edit the table before training."""
    from gantk.data.cohort_table import PICTURES, SCANS, is_table, write_table
    from gantk.data.layouts import find_subjects
    from gantk.data.modalities import in_order
    from gantk.progress import default_progress

    if not is_table(out):
        raise UsageError("a table is written as CSV or TSV", where=out, mend="choose a name that ends in .csv or .tsv")
    if out.exists() and not overwrite:
        raise UsageError("this file exists", where=out, mend="give another name, or --overwrite")
    try:
        images = out.with_name(f"{out.stem}_images")
        subjects = find_subjects(root, layout, default_progress(), pattern or (), images=images)
        write_table(out, subjects)
    except OSError as error:
        raise UsageError("the table cannot be written", where=out, why=error, mend="name another place") from error
    patients = len({subject.patient for subject in subjects})
    visits = f" with {len(subjects)} visits" if len(subjects) > patients else ""
    counts = Counter(name for subject in subjects for name in subject.files)
    counts["seg"] = sum(subject.segmentation is not None for subject in subjects)
    write(f"{patients} patients{visits} in {out}: {', '.join(f'{n} {counts[n]}' for n in in_order(+counts))}")
    pictures = any(PICTURES.named(file.name) for subject in subjects for file in subject.files.values())
    dataset = (PICTURES if pictures else SCANS).dataset
    write(f'Read it with dataset = "{dataset}" and file = "{out}" in [data] of a recipe')


@app.command("check")
def check(
    cohort: Annotated[
        Path,
        typer.Argument(metavar="COHORT", help="A table (CSV, TSV), a folder of patients, or a BIDS data set."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder of check.html and check.csv.")] = Path(
        "data-check"
    ),
    tolerance: Annotated[
        float, typer.Option(min=0, help="Largest difference between grids of one patient, as a fraction of a voxel.")
    ] = 0.05,
    resample: Annotated[
        str | None,
        typer.Option(
            metavar="to:NAME",
            help="Resample images on other grids onto the grid of NAME, as data.resample of a recipe does.",
        ),
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, metavar="N", help="Processes; default: one per core.")] = None,
) -> None:
    """Read every file of a cohort once and report what looks wrong; the exit code is 1 if there are errors."""
    from gantk.data.check import check_cohort
    from gantk.progress import default_progress
    from gantk.report.data_check import write_data_check

    onto = None if resample is None else resample.removeprefix("to:")
    if resample is not None and (onto == resample or not onto):
        raise UsageError(f"{resample!r} names no image", where="--resample", mend="write to:NAME, as in to:t1")
    found = check_cohort(cohort, default_progress(), tolerance=tolerance, onto=onto, workers=workers)
    try:
        write_data_check(found, out / "check.html")
        found.write(out / "check.csv")
    except OSError as error:
        raise UsageError(
            "the check cannot be written", where=out, why=error.strerror or error, mend="name another folder"
        ) from error
    for finding in found.findings:
        write(f"{finding.level}: {finding.text}")
    for patient in found.patients:
        for finding in patient.findings:
            write(f"{finding.level}: {patient.id}: {finding.text}")
    counted = [(len(found.patients), "patient"), *((found.count(level), level) for level in ("error", "warning"))]
    said = ", ".join(f"{number} {noun}" + "s" * (number != 1) for number, noun in counted)
    write(f"{said}: {out / 'check.html'}, {out / 'check.csv'}")
    if found.count("error"):
        raise typer.Exit(1)
