"""Segmentation with synthesized images: how well a tumor can be segmented using a method's output."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from gantk.evaluation.bounds import Scores, digest, keep, known
from gantk.evaluation.protocols import Findings
from gantk.evaluation.regions import LABELS
from gantk.evaluation.results import NO_TARGET, REAL_TARGET, Column, is_baseline
from gantk.evaluation.segmentation_network import SmallUNet, train
from gantk.ranges import Count, Positive, Whole

if TYPE_CHECKING:
    from gantk.data.batch import Group
    from gantk.progress import Bar, Progress

__all__ = ["SegmentationProbe", "dice", "folds"]

VERSION = 1
"""Version of the cached bounds; increase it when the same images and settings give different bounds."""

_COLUMNS = {"dice_et": "et", "dice_tc": "tc", "dice_wt": "tumour"}


def dice(prediction: Tensor, truth: Tensor) -> float:
    """Dice coefficient 2·|A ∩ B| / (|A| + |B|) of two bool tensors of one shape; NaN if `truth` is empty."""
    if not truth.any():
        return math.nan
    overlap = int((prediction & truth).sum())
    return 2 * overlap / (int(prediction.sum()) + int(truth.sum()))


def folds(patients: Sequence[str], count: int, seed: int) -> list[list[str]]:
    """Split the patients randomly into parts of nearly equal size; depends only on the set of ids and the seed."""
    ids = sorted(patients)
    # sorts random numbers: NumPy guarantees this stream across versions
    order = np.argsort(np.random.Generator(np.random.Philox(np.random.SeedSequence(seed))).random(len(ids)))
    return [sorted(ids[i] for i in order[start::count]) for start in range(count)]


class SegmentationProbe:
    """Dice of tumor regions that a small U-Net finds with the inputs and the synthesized target.

    The test patients are divided into folds. For each fold, a network is trained on the other patients from the inputs
    (the slices themselves, without neighbors) and a method's output, and segments the fold's patients. Every patient is
    therefore segmented by a network that was not trained on that patient. The values are Dice over all of the patient's
    slices for the enhancing tumor (`dice_et`), the tumor core (`dice_tc`) and the whole tumor (`dice_wt`). Two more
    rows, `target:real` with the real target and `target:none` with background in its place, are the upper and the lower
    bound; they are cached for other runs on the same test patients. All networks start with the same weights and see
    the same slices in the same order. A patient without a region has no value for it; a patient without any tumor is
    skipped.

    Args:
        folds: number of folds; at most the number of patients.
        steps: updates of each network.
        batch: slices per update; half of them show tumor.
        channels: channels of the network's finest resolution, a multiple of 8.
        rate: initial learning rate of Adam; it falls to 0 along a cosine.
        seed: seed of folds, weights and order.
        baselines: whether to segment baselines such as `input:t1` too; they add no information to the inputs.
        dimensions: number of spatial dimensions; only 2 (slices).
    """

    higher_is_better = True
    title = "Dice"
    paired = True

    def __init__(
        self,
        folds: Annotated[int, Field(ge=2)] = 5,
        steps: Count = 250,
        batch: Annotated[int, Field(ge=2)] = 8,
        channels: Annotated[int, Field(ge=8, multiple_of=8)] = 16,
        rate: Positive = 3e-3,
        seed: Whole = 0,
        baselines: bool = False,
        dimensions: Literal[2] = 2,
    ) -> None:
        self.folds = folds
        self.steps = steps
        self.batch = batch
        self.channels = channels
        self.rate = rate
        self.seed = seed
        self.baselines = baselines

    @property
    def columns(self) -> dict[str, Column]:
        """`dice_et`, `dice_tc` and `dice_wt`."""
        unseen = "the training of the segmentation networks (one per method and fold of patients)"
        return {name: Column(self.title, region, self.higher_is_better, unseen) for name, region in _COLUMNS.items()}

    def collect(self) -> _Collection:
        """Start an evaluation."""
        return _Collection(self)


class _Spool:
    """Slices in a temporary file, 2 bytes per pixel, because a cohort with all outputs does not fit into memory."""

    def __init__(self) -> None:
        self.file = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the collection
        self.count = 0
        self.shape: tuple[int, ...] = ()

    def add(self, images: Tensor) -> None:
        """Append (B, C, H, W)."""
        self.file.write(images.to(torch.float16).cpu().contiguous().numpy().tobytes())
        self.count, self.shape = self.count + len(images), tuple(images.shape[1:])

    def read(self) -> np.ndarray:
        """All slices, float16 (N, C, H, W), mapped into memory."""
        self.file.flush()
        return np.memmap(self.file, np.float16, "r", shape=(self.count, *self.shape))


@dataclass(frozen=True)
class _Data:
    """The data on which the networks of one method are trained and tested.

    Args:
        inputs: (N, C, H, W) float16 in [-1, 1].
        target: (N, T, H, W) float16 in [-1, 1]; None for background in its place.
        labels: (N, H, W) uint8.
        rows: indices into N of each patient's slices.
        channels: T.
        device: where the networks run.
    """

    inputs: np.ndarray
    target: np.ndarray | None
    labels: np.ndarray
    rows: dict[str, np.ndarray]
    channels: int
    device: torch.device

    def images(self, rows: np.ndarray) -> Tensor:
        """(B, C + T, H, W) float32."""
        inputs = torch.from_numpy(self.inputs[rows].astype(np.float32))
        if self.target is None:
            target = torch.full((len(rows), self.channels, *inputs.shape[2:]), -1.0)
        else:
            target = torch.from_numpy(self.target[rows].astype(np.float32))
        return torch.cat([inputs, target], dim=1).to(self.device)

    def truth(self, rows: np.ndarray) -> Tensor:
        """(B, R, H, W) bool, in the order of the columns."""
        labels = torch.from_numpy(self.labels[rows])
        return torch.stack([LABELS[region](labels) for region in _COLUMNS.values()], dim=1).to(self.device)


class _Collection:
    """The slices of one evaluation."""

    def __init__(self, probe: SegmentationProbe) -> None:
        self.probe = probe
        self.inputs = _Spool()
        self.targets: dict[str, _Spool] = {}
        self.labels: list[np.ndarray] = []
        self.patients: list[str] = []
        self.device = torch.device("cpu")

    def add(self, group: Group, images: Mapping[str, Tensor]) -> None:
        """Add slices with source, target and labels."""
        assert group.source is not None
        assert group.target is not None
        assert group.segmentation is not None
        self.device = group.source.device
        # only the slices, without neighbors, so that the probe is the same for every method
        self.inputs.add(group.source if group.own is None else group.source[:, list(group.own)])
        self.labels.append(group.segmentation[:, 0].cpu().numpy())
        self.patients += group.patients
        self._target(REAL_TARGET, group.target)
        for method, image in images.items():
            if self.probe.baselines or not is_baseline(method):
                self._target(method, 2 * image - 1)

    def conclude(self, progress: Progress) -> Findings:
        """Train and test networks for the methods, then for the bounds."""
        labels = np.concatenate(self.labels) if self.labels else np.zeros((0, 1, 1), np.uint8)
        owners = np.array(self.patients)
        rows = {patient: np.flatnonzero(owners == patient) for patient in dict.fromkeys(self.patients)}
        rows = {patient: own for patient, own in rows.items() if labels[own].any()}
        if len(rows) < 2:
            progress.note("Dice is skipped because the segmentation probe needs two test patients with tumor")
            return Findings()
        parts = folds(list(rows), min(self.probe.folds, len(rows)), self.probe.seed)
        inputs, real = self.inputs.read(), self.targets[REAL_TARGET]
        data = {
            method: _Data(inputs, self._read(method), labels, rows, real.shape[0], self.device)
            for method in [*(m for m in self.targets if m != REAL_TARGET), REAL_TARGET, NO_TARGET]
        }
        keys = {bound: self._key(data[bound]) for bound in (REAL_TARGET, NO_TARGET)}
        scores = {bound: known(key) for bound, key in keys.items()}
        missing = [method for method in data if scores.get(method) is None]
        with progress.task("Segmenting", len(missing) * len(parts) * self.probe.steps) as bar:
            for method in missing:
                scores[method] = found = self._scores(data[method], parts, bar)
                if method in keys:
                    keep(keys[method], found)
        return Findings(patients={(p, m): values for m in data for p, values in (scores[m] or {}).items()})

    def _read(self, method: str) -> np.ndarray | None:
        return self.targets[method].read() if method in self.targets else None

    def _key(self, data: _Data) -> str:
        settings = {name: value for name, value in vars(self.probe).items() if name != "baselines"}
        settings["version"] = VERSION
        arrays = [data.inputs, data.target, data.labels]
        return digest(settings | {"device": data.device.type, "channels of T": data.channels}, arrays, self.patients)

    def _scores(self, data: _Data, parts: Sequence[Sequence[str]], bar: Bar) -> Scores:
        """Segment the patients of each fold with a network trained on the other folds."""
        found: dict[str, dict[str, float]] = {}
        for number, part in enumerate(parts):
            network = self._trained(data, [p for p in data.rows if p not in part], number, bar)
            found |= {patient: self._measured(network, data, data.rows[patient]) for patient in part}
        return found

    def _target(self, method: str, images: Tensor) -> None:
        self.targets.setdefault(method, _Spool()).add(images)

    def _trained(self, data: _Data, patients: Sequence[str], fold: int, bar: Bar) -> SmallUNet:
        probe = self.probe
        return train(
            _batches(data, patients, probe.batch, (probe.seed, fold)),
            len(_COLUMNS),
            channels=probe.channels,
            steps=probe.steps,
            rate=probe.rate,
            seed=probe.seed + fold,
            after_step=bar.advance,
        )

    def _measured(self, network: SmallUNet, data: _Data, rows: np.ndarray) -> dict[str, float]:
        """Dice over a patient's slices by column."""
        with torch.no_grad():
            parts = [network(data.images(rows[i : i + 32])) > 0 for i in range(0, len(rows), 32)]
        prediction, truth = torch.cat(parts), data.truth(rows)
        return {name: dice(prediction[:, i], truth[:, i]) for i, name in enumerate(_COLUMNS)}


def _batches(data: _Data, patients: Sequence[str], size: int, seed: tuple[int, ...]) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless batches: half from slices with tumor, half from all slices; slices are mirrored with probability 1/2."""
    everything = np.concatenate([data.rows[patient] for patient in patients])
    tumour = everything[data.labels[everything].any(axis=(1, 2))]
    random = np.random.Generator(np.random.Philox(np.random.SeedSequence(seed)))
    while True:
        half = size // 2
        rows = np.concatenate([_draw(random, tumour, half), _draw(random, everything, size - half)])
        mirrored = torch.from_numpy(random.random(size) < 0.5).to(data.device)[:, None, None, None]
        images, truth = data.images(rows), data.truth(rows).float()
        yield torch.where(mirrored, images.flip(-1), images), torch.where(mirrored, truth.flip(-1), truth)


def _draw(random: np.random.Generator, rows: np.ndarray, count: int) -> np.ndarray:
    return rows[(random.random(count) * len(rows)).astype(int)]
