"""The formats in which a generator is exported; each written file is loaded and compared before it gets its final
name."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from gantk.api.at_test import at_rest
from gantk.api.model import Model
from gantk.errors import GantkError
from gantk.files import atomic_folder, atomic_write, checksum, write_text
from gantk.plugins import load_plugins
from gantk.recipe import dump_recipe
from gantk.runs.names import RECIPE
from gantk.runtime.description import Description
from gantk.runtime.exported import open_session
from gantk.translation import Chain, build_translators
from gantk.translation.protocols import output_of

__all__ = ["TOLERANCE", "WRITERS", "Export", "Plain", "Report"]

TOLERANCE = 1e-4
"""How far an exported network may differ from the torch module, of images in [-1, 1]."""

WEIGHTS, DESCRIPTION = "generator.safetensors", "description.json"

Run = Callable[[Tensor], np.ndarray]
"""(B, C, *spatial) to (B, T, *spatial)."""


@dataclass(frozen=True)
class Report:
    """What was exported.

    Attributes:
        files: the written files.
        role: the translator.
        description: the content of the JSON file beside it.
        difference: the largest difference from the torch module, of images in [-1, 1].
        slice: the images of the comparison: a test slice, or a patch.
        remarks: how the exported network differs from what `gantk predict` uses, empty if it does not.
    """

    files: tuple[Path, ...]
    role: str
    description: Description
    difference: float
    slice: str
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class Export:
    """The network to be written, and the output that it must give."""

    out: Path
    model: Model
    role: str
    description: Description
    generator: Plain
    images: list[Tensor]
    wanted: list[np.ndarray]
    title: str
    remarks: tuple[str, ...]

    def compare(self, run: Run) -> float:
        """The largest difference between the written network and the torch module.

        Raises:
            GantkError: it is above the tolerance.
        """
        found = 0.0
        for image, wanted in zip(self.images, self.wanted, strict=True):
            made = run(torch.cat([image, image]))  # a different batch size than during the export
            apart = np.abs(made - np.concatenate([wanted, wanted])).max()
            found = float(np.maximum(found, apart))  # keeps NaN, which `max` may drop
        if not found <= TOLERANCE:  # NaN fails, too
            raise GantkError(
                f"the images of the exported network differ by {found:.2g} from the torch module's",
                where=f"translators.{self.role}.generator",
                why=f"more than {TOLERANCE:g} of images in [-1, 1]",
                mend="export it to another format; nothing was written",
            )
        return found

    def beside(self, file: Path, name: str) -> str:
        """The description of a written file, as JSON."""
        described = replace(self.description, file={"name": name, "sha256": checksum(file)})
        return json.dumps(described.to_dict(), indent=1, ensure_ascii=False) + "\n"

    def report(self, files: tuple[Path, ...], difference: float) -> Report:
        return Report(files, self.role, self.description, difference, self.title, self.remarks)


class Plain(nn.Module):
    """Generators reduced to the last one's image, in float32."""

    def __init__(self, chain: Chain) -> None:
        super().__init__()
        self.chain = chain

    def forward(self, image: Tensor) -> Tensor:
        return output_of(self.chain(image)).float()

    @property
    def weights(self) -> nn.Module:
        """The module that holds the weights; a single generator is that module itself."""
        networks = self.chain.registered
        return networks if len(networks) > 1 else next(iter(networks.values()))


def _onnx(what: Export) -> Report:
    axes = {0: "batch"} if what.description.multiple is None else {0: "batch", 2: "height", 3: "width"}

    def write(path: Path) -> None:
        program = torch.onnx.export(
            what.generator,
            (torch.cat([what.images[0]] * 2),),
            input_names=["image"],
            output_names=["synthesis"],
            dynamic_shapes=(axes,),
            dynamo=True,
            verbose=False,
        )
        assert program is not None
        program.save(path, external_data=False)

    def opened(path: Path) -> Run:
        session = open_session(path)
        return lambda image: np.asarray(session.run(None, {"image": image.numpy()})[0])

    return _file(what, write, opened)


def _pt2(what: Export) -> Report:
    free = torch.export.Dim.DYNAMIC
    axes = {0: free} if what.description.multiple is None else {0: free, 2: free, 3: free}

    def write(path: Path) -> None:
        program = torch.export.export(
            what.generator, (torch.cat([what.images[0]] * 2),), dynamic_shapes=(axes,), strict=False
        )
        torch.export.save(program, path)

    def opened(path: Path) -> Run:
        module = torch.export.load(path).module()
        return lambda image: np.asarray(module(image))

    return _file(what, write, opened)


def _file(what: Export, write: Callable[[Path], None], opened: Callable[[Path], Run]) -> Report:
    """The network's file, and the description beside it."""
    out, beside = what.out, what.out.with_name(what.out.name + ".json")
    with atomic_write(out) as temporary:
        try:
            write(temporary)
        except Exception as error:  # torch's compiler raises many types for networks that it cannot trace
            raise GantkError(
                f"torch cannot export the {what.model.translators[what.role].origins['generator']} to {out.suffix[1:]}",
                where=f"translators.{what.role}.generator",
                why=f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}",
                mend="export to another format, or to a folder, which contains only the weights",
            ) from error
        difference = what.compare(opened(temporary))
        text = what.beside(temporary, out.name)
    write_text(beside, text)
    return what.report((out, beside), difference)


def _folder(what: Export) -> Report:
    """Weights as safetensors, the description and the recipe that builds the network."""
    recipe, model = what.model.recipe, what.model
    with atomic_folder(what.out) as temporary:
        weights = temporary / WEIGHTS
        save_file({name: t.contiguous() for name, t in what.generator.weights.state_dict().items()}, weights)
        write_text(temporary / RECIPE, dump_recipe(recipe))
        rebuilt = Plain(Chain(build_translators(recipe, load_plugins().registry, model.layout), what.role))
        rebuilt.weights.load_state_dict(load_file(weights))
        with at_rest([rebuilt]):
            difference = what.compare(lambda image: rebuilt(image).numpy())
        write_text(temporary / DESCRIPTION, what.beside(weights, WEIGHTS))
    return what.report(tuple(what.out / name for name in (WEIGHTS, DESCRIPTION, RECIPE)), difference)


WRITERS: dict[str, Callable[[Export], Report]] = {"onnx": _onnx, "pt2": _pt2, "folder": _folder}


@contextmanager
def quiet() -> Iterator[None]:
    """A context that silences the torch exporters' messages to their developers."""
    loggers = [logging.getLogger(name) for name in ("torch", "onnxscript")]
    before = [(logger, logger.level) for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger, _ in before:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in before:
                logger.setLevel(level)
