"""Export of a run's generator: ONNX, torch.export, or weights with their description; compared before it is written."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from gantk.api.cohort import slice_settings
from gantk.api.inference import at_rest
from gantk.api.model import Model, load
from gantk.api.preparing import Request
from gantk.data.slices import centre
from gantk.errors import GantkError, UsageError
from gantk.evaluation.examples import Examples
from gantk.files import atomic_folder, atomic_write, checksum, write_text
from gantk.plugins import load_plugins
from gantk.progress import Progress, default_progress
from gantk.recipe import dump_recipe
from gantk.runs.folders import resolve_run
from gantk.runs.names import EVALUATION, RECIPE
from gantk.runtime.description import Description
from gantk.runtime.exported import open_session
from gantk.translation import build_translators
from gantk.translation.shapes import fitting_multiple
from gantk.translation.translator import takes_given

__all__ = ["TOLERANCE", "Report", "check_packages", "export"]

TOLERANCE = 1e-4
"""How far an exported network may differ from the torch module, of images in [-1, 1]."""

WEIGHTS, DESCRIPTION = "generator.safetensors", "description.json"

Run = Callable[[Tensor], np.ndarray]
"""(B, C, H, W) to (B, T, H, W)."""


@dataclass(frozen=True)
class Report:
    """What was exported.

    Attributes:
        files: what was written.
        role: the translator.
        description: what travels along.
        difference: the largest from the torch module, of images in [-1, 1].
        slice: the test slice that they were compared on.
        remarks: how the exported network differs from what `gantk predict` uses, empty for not at all.
    """

    files: tuple[Path, ...]
    role: str
    description: Description
    difference: float
    slice: str
    remarks: tuple[str, ...]


def export(
    run: str | Path,
    out: str | Path,
    *,
    role: str | None = None,
    target: str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Write a run's generator for other programs, with what its images are scaled and padded by.

    The written file is loaded again, and compared with the torch module on a test slice of the run and on a larger
    image, before it takes its name.

    Args:
        run: folder or id.
        out: `X.onnx` (for `gantk.runtime` and every ONNX runtime), `X.pt2` (`torch.export`), or a folder for the
            weights as safetensors; beside a file lies `X.onnx.json` or `X.pt2.json`.
        role: the translator; the recipe's `predict` where absent.
        target: which of the images that the role gives; the first that the recipe measures where absent.
        overwrite: whether files that exist are replaced; a folder never is.
        progress: shows notes.

    Raises:
        UsageError: the name or the role is wrong, a package is not installed, or the run has no example slice.
        GantkError: the network cannot be exported, or what was written gives other images.
    """
    out, progress = Path(out), progress or default_progress()
    kind = _kind(out)
    _check_out(out, kind, overwrite)
    if kind == "onnx":
        check_packages()
    folder = resolve_run(run)
    model = load(folder, device="cpu")
    role, description, remarks = _described(model, role, target)
    translator = model.translators[role]
    if translator.extra or hasattr(translator.generator, "sample"):
        why = (
            f"it takes {', '.join(translator.extra)} too" if translator.extra else "it makes images of noise, in steps"
        )
        raise UsageError(f"{role!r} cannot be exported: what is exported takes images alone", where="role", why=why)
    generator = _Plain(translator.generator)
    title, image = _real_slice(folder, model, role)
    images = [image]
    if description.multiple is not None:
        height, width = (-(-n // description.multiple) * description.multiple for n in image.shape[-2:])
        images = [_sized(image, (height, width)), _sized(image, (height + description.multiple, width))]
    with at_rest([generator]), _quiet():
        wanted = [generator(one).numpy() for one in images]
        return _WRITERS[kind](_Export(out, model, role, description, generator, images, wanted, title, remarks))


@dataclass(frozen=True)
class _Export:
    """What is to be written, and what it must give."""

    out: Path
    model: Model
    role: str
    description: Description
    generator: _Plain
    images: list[Tensor]
    wanted: list[np.ndarray]
    title: str
    remarks: tuple[str, ...]

    def compare(self, run: Run) -> float:
        """The largest difference of what was written from the torch module.

        Raises:
            GantkError: it is above the tolerance.
        """
        found = 0.0
        for image, wanted in zip(self.images, self.wanted, strict=True):
            made = run(torch.cat([image, image]))  # another batch than the one that it was made with
            found = max(found, float(np.abs(made - np.concatenate([wanted, wanted])).max()))
        if not found <= TOLERANCE:  # NaN fails, too
            raise GantkError(
                f"the exported network gives images that differ by {found:.2g} from the torch module's",
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


class _Plain(nn.Module):
    """A generator with nothing to be asked of it but its image, in float32."""

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, image: Tensor) -> Tensor:
        output: Tensor = self.generator(image)
        return output.float()


def _kind(out: Path) -> Literal["onnx", "pt2", "folder"]:
    match out.suffix.lower():
        case ".onnx":
            return "onnx"
        case ".pt2":
            return "pt2"
        case "":
            return "folder"
    raise UsageError(
        f"{out.suffix} is no format that networks are exported to",
        where=out,
        mend="name a file that ends in .onnx or .pt2, or a folder for the weights",
    )


def _check_out(out: Path, kind: str, overwrite: bool) -> None:
    if out.exists() and (kind == "folder" or not overwrite):
        raise UsageError(
            "this exists",
            where=out,
            mend="give another name" + ("" if kind == "folder" else ", or --overwrite (overwrite=True)"),
        )


def check_packages() -> None:
    """Whether what exports to ONNX is installed.

    Raises:
        UsageError: a package is not.
    """
    for name in ("onnx", "onnxscript", "onnxruntime"):
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            raise UsageError(
                f"ONNX needs the package {name}, which is not installed",
                mend="install what exports to ONNX",
                command="pip install 'gantk[export]'",
            ) from None


def _described(model: Model, role: str | None, target: str | None) -> tuple[str, Description, tuple[str, ...]]:
    recipe = model.recipe
    role, takes, target, place = model.preparation.asked(Request(role, target))
    translator = model.translators[role]
    if given := [name for name in translator.extra if takes_given(translator.generator, name)]:
        raise UsageError(
            f"the generator of {role!r} is given {', '.join(given)} beside images, which an exported network is not",
            where=f"translators.{role}",
            mend="predict with gantk, or export another role (--role)",
        )
    hidden = {target} if recipe.data.may_lack else {*recipe.evaluation.missing, target}
    dataset = model.dataset
    description = Description(
        takes=tuple(takes),
        inputs=tuple(name for name in takes if name not in hidden) or tuple(takes),
        target=target,
        place=(place.start, place.stop),
        channels=model.layout.channels,
        reach=model.layout.neighbours if translator.takes.side == "source" else 0,
        pictures=".nii.gz" not in getattr(dataset, "writes", ()),
        incomplete=recipe.data.may_lack,
        size=getattr(dataset, "size", None),
        settings=slice_settings(recipe),
        meaning=model.meaning,
        multiple=fitting_multiple(translator, recipe.data.crop),
        batch=recipe.evaluation.batch,
        facts={
            "recipe": recipe.name,
            "run": model.checkpoint.folder.parent.parent.name,
            "role": role,
            "generator": recipe.translators[role].generator.model_dump(mode="json"),
            "step": model.checkpoint.facts.get("position", {}).get("total"),
            "gantk": metadata.version("gantk"),
            "torch": torch.__version__,
        },
    )
    remarks = []
    if recipe.translators[role].at_test == "train":
        remarks.append('The network is exported in evaluation mode; gantk predict keeps dropout (at_test = "train")')
    if recipe.run.precision != "fp32":
        remarks.append(f"The network is exported in fp32; gantk predict computes in {recipe.run.precision}")
    return role, description, tuple(remarks)


def _real_slice(folder: Path, model: Model, role: str) -> tuple[str, Tensor]:
    """A test slice of the run as the role is given it, (1, C, H, W), and what it is called."""
    path = folder / EVALUATION / "examples.npz"
    if not path.is_file():
        raise UsageError(
            "this run has no test slice that the exported network could be compared on",
            where=path,
            mend="evaluate the run first",
            command=f"gantk evaluate {folder}",
        )
    examples = Examples.load(path)
    known = dict(examples.inputs)
    if examples.target is not None:
        known |= dict.fromkeys(model.recipe.measured[:1], examples.target)
    domain = model.translators[role].takes
    takes = model.recipe.translators[role].takes or model.layout.names(domain.side)
    planes = []
    for name in takes:
        image = known.get(name, next(iter(known.values())))[0]
        channels = image.transpose(2, 0, 1) if image.ndim == 3 else image[None]
        planes += [channels] * model.layout.depth(domain.side)
    return examples.titles[0], torch.from_numpy(np.concatenate(planes)[None].copy())


def _sized(image: Tensor, size: tuple[int, int]) -> Tensor:
    return torch.from_numpy(centre(image.numpy(), size, -1.0))


def _onnx(what: _Export) -> Report:
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


def _pt2(what: _Export) -> Report:
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


def _file(what: _Export, write: Callable[[Path], None], opened: Callable[[Path], Run]) -> Report:
    """The network's file, and the description beside it."""
    out, beside = what.out, what.out.with_name(what.out.name + ".json")
    with atomic_write(out) as temporary:
        try:
            write(temporary)
        except Exception as error:  # whatever of torch's compiler raises at a network that it cannot follow
            raise GantkError(
                f"torch cannot export the {what.model.translators[what.role].origins['generator']} to {out.suffix[1:]}",
                where=f"translators.{what.role}.generator",
                why=f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}",
                mend="export to another format, or to a folder, which holds the weights alone",
            ) from error
        difference = what.compare(opened(temporary))
        text = what.beside(temporary, out.name)
    write_text(beside, text)
    return what.report((out, beside), difference)


def _folder(what: _Export) -> Report:
    """Weights as safetensors, the description and the recipe that builds the network."""
    recipe, model = what.model.recipe, what.model
    with atomic_folder(what.out) as temporary:
        weights = temporary / WEIGHTS
        save_file({name: t.contiguous() for name, t in what.generator.generator.state_dict().items()}, weights)
        write_text(temporary / RECIPE, dump_recipe(recipe))
        rebuilt = build_translators(recipe, load_plugins().registry, model.layout)[what.role].generator
        rebuilt.load_state_dict(load_file(weights))
        with at_rest([rebuilt]):
            difference = what.compare(lambda image: _Plain(rebuilt)(image).numpy())
        write_text(temporary / DESCRIPTION, what.beside(weights, WEIGHTS))
    return what.report(tuple(what.out / name for name in (WEIGHTS, DESCRIPTION, RECIPE)), difference)


_WRITERS: dict[str, Callable[[_Export], Report]] = {"onnx": _onnx, "pt2": _pt2, "folder": _folder}


@contextmanager
def _quiet() -> Iterator[None]:
    """torch's exporters without their advice to their own authors."""
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
