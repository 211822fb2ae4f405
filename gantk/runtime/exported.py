"""An exported network as a function from a subject's images to the synthesized one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from gantk.data.normalisation import BACKGROUND
from gantk.data.picture import Picture
from gantk.data.slices import Readable, Slices
from gantk.data.stacks import Network, own_size, shown, stacked, through
from gantk.data.subject import Volumes
from gantk.errors import DataError, UsageError, nearest
from gantk.files import checksum
from gantk.runtime.description import Description

__all__ = ["Exported", "load"]


def load(path: str | Path, providers: Sequence[str] = ("CPUExecutionProvider",)) -> Exported:
    """The network in an ONNX file that `gantk export` wrote, with the JSON beside it.

    Args:
        path: `model.onnx`; `model.onnx.json` lies beside it.
        providers: of ONNX Runtime, in the order of preference.

    Raises:
        UsageError: a file is missing or has changed since the export, or ONNX Runtime is not installed.
    """
    path = Path(path)
    description = read_description(path)
    session = open_session(path, providers)
    name = session.get_inputs()[0].name

    def network(images: np.ndarray) -> np.ndarray:
        array: np.ndarray = session.run(None, {name: np.ascontiguousarray(images, np.float32)})[0]
        return array

    return Exported(description, network)


def read_description(path: Path) -> Description:
    """What lies beside an exported file, after the file was compared with it.

    Raises:
        UsageError: one of the two is not there, or they do not belong together.
    """
    beside = path.with_name(path.name + ".json")
    mend = "export the run again: gantk export RUN -o FILE writes both files"
    try:
        description = Description.from_dict(json.loads(beside.read_text(encoding="utf-8")))
        digest = checksum(path)
    except OSError as error:
        raise UsageError(
            "this exported network cannot be read", where=error.filename, why=error.strerror or error, mend=mend
        ) from error
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(
            "this is not the description of an exported network", where=beside, why=error, mend=mend
        ) from error
    if description.file.get("sha256") != digest:
        raise UsageError("the network is not the one that its description describes", where=path, mend=mend)
    return description


def open_session(path: Path, providers: Sequence[str] = ("CPUExecutionProvider",)) -> Any:
    """ONNX Runtime's session of a file.

    Raises:
        UsageError: ONNX Runtime is not installed, or does not take the file.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise UsageError(
            "exported networks run in ONNX Runtime, which is not installed",
            why=error,
            mend="install it",
            command="pip install onnxruntime",
        ) from error
    try:
        return onnxruntime.InferenceSession(str(path), providers=list(providers))
    except Exception as error:  # its exceptions have no common base
        raise UsageError("ONNX Runtime cannot use this file", where=path, why=str(error).splitlines()[0]) from error


class Exported:
    """An exported network with its scaling and padding; gives what `gantk predict` gives.

    Args:
        description: of the network and what belongs to it.
        network: (B, C, H, W) float32 in [-1, 1] to (B, T, H, W).
    """

    def __init__(self, description: Description, network: Network) -> None:
        self.description = description
        self.network = network

    def __repr__(self) -> str:
        """`Exported(t1, t2 -> t1ce)`."""
        return f"Exported({', '.join(self.description.inputs)} -> {self.description.target})"

    def predict(
        self, images: Mapping[str, np.ndarray], spacing: tuple[float, float, float] | None = None
    ) -> np.ndarray:
        """The synthesized image of one subject.

        Args:
            images: by modality: volumes (X, Y, Z) in LPS orientation (axis 0 to the left, 1 to the back, 2 upward), all
                on one grid, in scanner units; or pictures (H, W) or (H, W, 3) in their files' type.
            spacing: of a volume's voxels along X, Y, Z in mm.

        Returns:
            Of volumes float32 (X, Y, Z) in the target's unit; of pictures (H, W) or (H, W, 3).

        Raises:
            DataError: an image is not there, has another shape than the others, or cannot be used.
        """
        known = self.description
        used = self._used(images)
        inputs = [name for name in known.inputs if name in used]
        settings = known.settings
        read: Readable
        if known.pictures:
            read, _ = own_size(_picture(used, known), None, settings.crop, known.fitting)
            assert isinstance(read, Picture)
            settings = replace(settings, crop=read.size or settings.crop)
        else:
            read = _volumes(used, spacing)
        slices = known.meaning.normalised(read.slices(inputs, settings))
        made = self._translated(stacked(slices, known.takes, known.channels, known.reach), slices)
        return read.restore(made, inputs, settings, slices, known.meaning.predicted(known.target, slices, inputs))

    def _translated(self, images: np.ndarray, slices: Slices) -> np.ndarray:
        """A subject's slices (Z, C, H, W) through the network, (Z, T, H, W) in [-1, 1]."""
        known, place = self.description, slice(*self.description.place)
        if known.windows is None:
            return through(
                self.network, images, slices, place, crop=known.settings.crop, fitting=known.fitting, batch=known.batch
            )
        made = np.full((len(images), place.stop - place.start, *images.shape[2:]), BACKGROUND, np.float32)
        shows = partial(shown, foreground=slices.foreground, volume=known.dimensions == 3)
        for result, given in zip(shows(made), shows(images), strict=True):
            result[:] = known.windows(self.network, given, None if slices.pixel is None else BACKGROUND)[:, place]
        return made

    def _used(self, images: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        known = self.description
        wanted = dict.fromkeys((*known.inputs, *known.needed))
        if unknown := [name for name in images if name not in wanted]:
            raise DataError(f"this network takes no {unknown[0]!r}", mend=nearest(unknown[0], wanted))
        if lacking := [name for name in known.needed if name not in images]:
            raise DataError(f"the {lacking[0]!r} image is not there", mend=f"give {', '.join(known.needed)}")
        if not any(name in images for name in known.inputs):
            raise DataError("no image is there", mend=f"give one of {', '.join(known.inputs)}")
        used = {name: np.asarray(images[name]) for name in wanted if name in images}
        shapes = {name: image.shape for name, image in used.items()}
        if len({*shapes.values()}) > 1:
            raise DataError(
                "these images have different shapes",
                why=", ".join(f"{name} {shape}" for name, shape in shapes.items()),
                mend="register and resample all images of a subject to one grid first",
            )
        return used


def _volumes(images: Mapping[str, np.ndarray], spacing: tuple[float, float, float] | None) -> Volumes:
    for name, image in images.items():
        if image.ndim != 3 or not np.isfinite(image).all():
            raise DataError(f"the {name!r} image must have three axes and only finite numbers")
    if spacing is None:
        raise DataError("the voxel size of these volumes is missing", mend="give spacing, in mm")
    affine = np.diag([-spacing[0], -spacing[1], spacing[2], 1.0])
    return Volumes({name: image.astype(np.float32) for name, image in images.items()}, None, affine)


def _picture(images: Mapping[str, np.ndarray], known: Description) -> Picture:
    planes, greatest = {}, {}
    for name, image in images.items():
        whole = image if image.ndim == 3 else image[..., None]
        if whole.ndim != 3 or whole.shape[2] != known.channels:
            raise DataError(
                f"the {name!r} image has the shape {image.shape}",
                mend=f"give (H, W{', 3' if known.channels == 3 else ''}) arrays",
            )
        planes[name] = whole.transpose(2, 0, 1).astype(np.float32)
        greatest[name] = int(np.iinfo(image.dtype).max) if image.dtype in (np.uint8, np.uint16) else None
    return Picture(planes, greatest, known.size, types={name: image.dtype.name for name, image in images.items()})
