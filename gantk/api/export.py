"""Export of a run's generator: ONNX, torch.export, or weights with their description; compared before it is written."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from gantk.api.at_test import at_rest
from gantk.api.cohort import slice_settings
from gantk.api.export_formats import TOLERANCE, WRITERS, Export, Plain, Report, quiet
from gantk.api.model import Model, load
from gantk.api.preparing import Request
from gantk.data.normalisation import BACKGROUND
from gantk.data.planes import centre
from gantk.data.windows import Blended
from gantk.errors import UsageError
from gantk.evaluation.examples import Examples
from gantk.progress import Progress, default_progress
from gantk.recipe import Recipe
from gantk.runs.folders import resolve_run
from gantk.runs.names import EVALUATION
from gantk.runtime.description import Description
from gantk.translation.chain import Chain
from gantk.translation.shapes import fitting_multiple

__all__ = ["TOLERANCE", "Report", "check_exportable", "check_packages", "export"]


def export(
    run: str | Path,
    out: str | Path,
    *,
    role: str | None = None,
    target: str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Write a run's generator for other programs, with the parameters for scaling and padding images.

    The written file is loaded again, and compared with the torch module on a test slice of the run and on a larger
    image, before it takes its name; of volumes on a random patch as large as a window.

    Args:
        run: folder or id.
        out: `X.onnx` (for `gantk.runtime` and every ONNX runtime), `X.pt2` (`torch.export`), or a folder for the
            weights as safetensors; beside a file lies `X.onnx.json` or `X.pt2.json`.
        role: the translator; default: the recipe's `predict`.
        target: the image to export, of those that the role gives; default: the first that the recipe measures.
        overwrite: whether files that exist are replaced; a folder never is.
        progress: shows notes.

    Raises:
        UsageError: the name or the role is wrong, a package is not installed, or a run of slices has no example.
        GantkError: the network cannot be exported, or the written network gives different images.
    """
    out, progress = Path(out), progress or default_progress()
    kind = _kind(out)
    _check_out(out, kind, overwrite)
    if kind == "onnx":
        check_packages()
    folder = resolve_run(run)
    model = load(folder, device="cpu")
    role, description, remarks = _described(model, role, target)
    chain = model.chains[role]
    check_exportable(chain, model.recipe, role)
    generator = Plain(chain)
    title, images = _compared(folder, model, role, description.multiple)
    with at_rest([generator]), quiet():
        wanted = [generator(one).numpy() for one in images]
        return WRITERS[kind](Export(out, model, role, description, generator, images, wanted, title, remarks))


def _kind(out: Path) -> Literal["onnx", "pt2", "folder"]:
    match out.suffix.lower():
        case ".onnx":
            return "onnx"
        case ".pt2":
            return "pt2"
        case "":
            return "folder"
    raise UsageError(
        f"{out.suffix} is not an export format",
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


def check_exportable(chain: Chain, recipe: Recipe, role: str, where: str = "role") -> None:
    """Check that a role's network takes images, without other inputs, in one pass.

    Raises:
        UsageError: it is not.
    """
    if chain.draws:
        why = "it makes images of noise, in steps, and an exported network is one pass without chance"
    elif chain.extra:
        why = f"it is given {', '.join(chain.extra)} beside images, and an exported network takes images alone"
    else:
        return
    others = where == "role" and len(recipe.translators) > 1
    mend = "translate with gantk predict" if where == "role" else "take this key out of the recipe"
    raise UsageError(
        f"the network of {role!r} cannot be exported",
        where=where,
        why=why,
        mend=f"{mend}{', or export another role' if others else ''}",
    )


def check_packages() -> None:
    """Check that the packages for ONNX export are installed.

    Raises:
        UsageError: a package is not.
    """
    for name in ("onnx", "onnxscript", "onnxruntime"):
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            raise UsageError(
                f"ONNX needs the package {name}, which is not installed",
                mend="install the packages for ONNX export",
                command="pip install 'gantk[export]'",
            ) from None


def _described(model: Model, role: str | None, target: str | None) -> tuple[str, Description, tuple[str, ...]]:
    recipe = model.recipe
    role, takes, target, place = model.preparation.asked(Request(role, target))
    chain = model.chains[role]
    hidden = {target} if recipe.data.may_lack else {*recipe.evaluation.missing, target}
    dataset, of = model.dataset, recipe.inference
    description = Description(
        takes=tuple(takes),
        inputs=tuple(name for name in takes if name not in hidden) or tuple(takes),
        target=target,
        place=(place.start, place.stop),
        channels=model.layout.channels,
        reach=model.layout.neighbours if chain.takes.side == "source" else 0,
        pictures=".nii.gz" not in getattr(dataset, "writes", ()),
        incomplete=recipe.data.may_lack,
        size=getattr(dataset, "size", None),
        settings=slice_settings(recipe),
        meaning=model.meaning,
        multiple=fitting_multiple(chain, recipe.data.crop) if recipe.data.dimensions == 2 else None,
        batch=recipe.evaluation.batch,
        dimensions=recipe.data.dimensions,
        windows=None if recipe.window is None else Blended(recipe.window, of.overlap, of.blend, of.batch),
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


def _compared(folder: Path, model: Model, role: str, multiple: int | None) -> tuple[str, list[Tensor]]:
    """The images for the comparison with the torch module, each (1, C, *spatial), and the name of each."""
    recipe = model.recipe
    if recipe.data.dimensions == 3:
        assert recipe.window is not None
        patch = torch.rand(1, model.chains[role].takes.size, *recipe.window, generator=torch.Generator().manual_seed(0))
        patch = patch * 2 - 1
        patch[:, :, : recipe.window[0] // 4] = BACKGROUND
        return f"a random patch of {' × '.join(map(str, recipe.window))} voxels", [patch]
    title, image = _real_slice(folder, model, role)
    if multiple is None:
        return title, [image]
    height, width = (-(-n // multiple) * multiple for n in image.shape[-2:])
    return title, [_sized(image, (height, width)), _sized(image, (height + multiple, width))]


def _real_slice(folder: Path, model: Model, role: str) -> tuple[str, Tensor]:
    """A test slice of the run as input of the role, (1, C, H, W), and its name."""
    path = folder / EVALUATION / "examples.npz"
    if not path.is_file():
        raise UsageError(
            "this run has no test slice on which the exported network could be compared",
            where=path,
            mend="evaluate the run first",
            command=f"gantk evaluate {folder}",
        )
    examples = Examples.load(path)
    known = dict(examples.inputs)
    if examples.target is not None:
        known |= dict.fromkeys(model.recipe.measured[:1], examples.target)
    domain = model.chains[role].takes
    planes = []
    for name in model.recipe.shown_to(role):
        image = known.get(name, next(iter(known.values())))[0]
        channels = image.transpose(2, 0, 1) if image.ndim == 3 else image[None]
        planes += [channels] * model.layout.depth(domain.side)
    return examples.titles[0], torch.from_numpy(np.concatenate(planes)[None].copy())


def _sized(image: Tensor, size: tuple[int, int]) -> Tensor:
    return torch.from_numpy(centre(image.numpy(), size, -1.0))
