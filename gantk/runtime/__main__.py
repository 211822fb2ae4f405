"""`python -m gantk.runtime X.onnx t1=A.nii.gz t2=B.nii.gz -o OUT.nii.gz`: files in, a file out.

Needs nibabel beside NumPy and ONNX Runtime; pictures need Pillow, tifffile and imagecodecs.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from gantk.errors import GantkError, UsageError
from gantk.runtime.exported import Exported, load

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> None:
    """Carry out the command."""
    parser = argparse.ArgumentParser(prog="python -m gantk.runtime", description="Run an exported network on files.")
    parser.add_argument("model", type=Path, help="file that gantk export wrote, .onnx")
    parser.add_argument("images", nargs="+", metavar="MODALITY=FILE", help="input images")
    parser.add_argument("-o", "--out", type=Path, required=True, help="file to write")
    asked = parser.parse_args(arguments)
    try:
        _translate(load(asked.model), dict(_named(text) for text in asked.images), asked.out)
    except (GantkError, ImportError) as error:
        sys.exit(str(error))
    print(asked.out)


def _named(text: str) -> tuple[str, Path]:
    name, mark, file = text.partition("=")
    if not mark:
        raise UsageError(f"{text!r} names no modality", mend="write MODALITY=FILE, as in t1=scan.nii.gz")
    return name, Path(file)


def _translate(model: Exported, files: dict[str, Path], out: Path) -> None:
    if out.exists():
        raise UsageError("this file exists", where=out, mend="give another name")
    if model.description.pictures:
        from gantk.data.pixels import read_pixels, write_pixels

        color = model.description.channels == 3
        pictures = {name: read_pixels(file, "rgb" if color else "grey").values for name, file in files.items()}
        write_pixels(out, model.predict(pictures))
        return
    from gantk.data.volumes import Subject, read_volumes, write_like

    read = read_volumes(Subject(out.name, files), list(files), segmentation=False)
    write_like(out, model.predict(read.images, read.spacing), next(iter(files.values())))


if __name__ == "__main__":
    main()
