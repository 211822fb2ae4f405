"""The view of a step for one term, with which a loss or weight map is called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeVar

import torch
from torch import Tensor, nn

from gantk.data.layout import Domain
from gantk.errors import PluginError, TrainingError, nearest
from gantk.names import check_name
from gantk.translation.protocols import no_extra
from gantk.translation.step import resize_weight, scales_of
from gantk.translation.term_images import TermImages

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gantk.translation.protocols import Judgement

T = TypeVar("T")


class View(TermImages):
    """A step seen from a role, a batch group and a weight map.

    A loss never runs a network itself: it asks the view, and each result is computed once per step, however many terms
    ask.
    Images are float `(B, C, *spatial)` in [-1, 1], background exactly -1; spatial is (H, W) of slices and (D, H, W) of
    volumes, D along the slices.
    """

    @property
    def output(self) -> Tensor:
        """The output of the term's translator for the source, `(B, T, *spatial)`, with gradient."""
        return self.translate()

    @property
    def fake(self) -> Tensor:
        """The output without gradient, as a discriminator is trained on it."""
        return self.step.detached(self.output)

    def translate(
        self,
        image: Tensor | None = None,
        role: str | None = None,
        grad: bool = True,
        given: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        """The output of a role's generator (by default the term's) for an image (by default the role's source).

        The generator also gets the inputs beside images of the image's group; `given` adds to them or replaces them.
        """
        role = self._known(role)
        image = self.step.source(role, self._group) if image is None else image
        return self.step.translate(role, image, grad, self._group, given)

    def extra(self, name: str, role: str | None = None) -> Tensor:
        """An additional output of a role's generator (by default the term's) for the source; see `Translation.extra`.

        Raises:
            PluginError: the generator has no additional output of this name.
        """
        role = self._known(role)
        made = self.step.extra(role, self.step.source(role, self._group), self._group)
        if name not in made:
            where = None if self._term is None else f"losses.{self._term.name}"
            raise no_extra(name, made, self.step.translators[role].origins["generator"], where)
        return made[name]

    def features(
        self,
        image: Tensor | None = None,
        layers: tuple[int, ...] = (),
        role: str | None = None,
        grad: bool = True,
        given: Mapping[str, Tensor] | None = None,
    ) -> dict[int, Tensor]:
        """Generator features of an image (by default the role's source), `(S·B, C, *spatial)` for S streams."""
        self._check_declared("layers", layers)
        role = self._known(role)
        image = self.step.source(role, self._group) if image is None else image
        return self.step.features(role, image, layers, grad, self._group, given)

    def _check_declared(self, need: Literal["layers", "judged"], layers: tuple[int, ...]) -> None:
        """Refuse undeclared layers, which would cost another pass or be missing. Weight maps declare nothing."""
        missing = set() if self._term is None else set(layers) - set(getattr(self._term.needs, need))
        if missing and self._term is not None:
            raise PluginError(
                f"the {self._term.origin} asks for features of the layers {sorted(missing)}, which it has not declared",
                where=f"losses.{self._term.name}",
                mend=f"declare them in its `needs`: gantk.Needs({need}=({', '.join(map(str, layers))},))",
            )

    def _known(self, role: str | None) -> str:
        """The given role, by default the term's; refused if it does not exist."""
        if role is not None and role not in self.step.translators:
            raise TrainingError(f"there is no translator {role!r}", mend=nearest(role, self.step.translators))
        return role or self.role

    def judge(
        self,
        image: Tensor | None = None,
        source: Tensor | None = None,
        role: str | None = None,
        full_precision: bool = False,
        given: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        """A discriminator's scores `(B, K, *spatial)` of an image (by default the output); `given` as in `translate`.

        Raises:
            PluginError: the discriminator has scores of several scales.
        """
        scores = self._judgement(image, source, role, full_precision, given).scores
        if isinstance(scores, tuple):
            judged = role or self.role
            origin = self.step.translators[judged].origins["discriminator"]
            raise PluginError(
                f"a component asks for one map of scores, but the {origin} has {len(scores)}",
                where=f"translators.{judged}.discriminator",
                mend="choose a loss that asks for view.judge_scales(image), or a discriminator of one scale",
            )
        return scores

    def judge_scales(
        self,
        image: Tensor | str | None = None,
        source: Tensor | None = None,
        role: str | None = None,
        full_precision: bool = False,
        given: Mapping[str, Tensor] | None = None,
    ) -> tuple[Tensor, ...]:
        """As `judge`, for discriminators of one or several scales; a `gantk.ImageRef` may name the image."""
        if isinstance(image, str):
            image, source = self._named(image)
        return scales_of(self._judgement(image, source, role, full_precision, given))

    def judge_features(
        self,
        image: Tensor | None = None,
        source: Tensor | None = None,
        role: str | None = None,
        layers: tuple[int, ...] = (),
        given: Mapping[str, Tensor] | None = None,
    ) -> dict[int, Tensor]:
        """A discriminator's features `(B, C, *spatial)` by layer, from the same pass as the scores; see
        `Needs.judged`."""
        self._check_declared("judged", layers)
        features = self._judgement(image, source, role, given=given).features
        return {layer: features[layer] for layer in layers}

    def _judgement(
        self,
        image: Tensor | None,
        source: Tensor | None,
        role: str | None,
        full_precision: bool = False,
        given: Mapping[str, Tensor] | None = None,
    ) -> Judgement:
        role = self._known(role)
        conditional = self.step.translators[role].conditional
        image = self.output if image is None else image
        if source is None:
            source = self.step.source(role, self._group) if conditional else image
        return self.step.judge(role, image, source, full_precision, self._group, given)

    def pooled(self, image: Tensor) -> Tensor:
        """Images from the term's pool in exchange for these, without gradient; see `Needs.pool`."""
        if self._term is None or self._term.pool is None:
            raise PluginError(
                f"the {'weight map' if self._term is None else self._term.origin} asks for an image pool, but has none",
                where=None if self._term is None else f"losses.{self._term.name}",
                mend="declare them in its `needs`: gantk.Needs(pool=SIZE)",
            )
        return self.step.derive(f"pool {self._term.name}", image, self.translator.pool(self._term.pool).exchange)

    def derive(self, name: str, image: Tensor, make: Callable[[Tensor], T]) -> T:
        """`make(image)`, computed once per step under this name, however many terms ask; names of different modules do
        not clash."""
        return self.step.derive(f"{getattr(make, '__module__', None)}: {name}", image, make)

    def image(self, reference: str) -> Tensor:
        """The image that a parameter of type `gantk.ImageRef` names."""
        owner, dot, what = reference.rpartition(".")
        if what == "output":
            role = owner or self.role
            return self.translate(role=role, grad=False)
        if dot:
            return self.step.image(owner, Domain("source" if what == "source" else "target", None, 0))
        return self.target if what == "target" else self.source

    def judge_image(self, reference: str) -> Tensor:
        """The term's discriminator on the image that a `gantk.ImageRef` names, with that image's own source."""
        return self.judge(*self._named(reference))

    def _named(self, reference: str) -> tuple[Tensor, Tensor]:
        """The image that a `gantk.ImageRef` names, and its source if the discriminator is conditional."""
        owner, dot, what = reference.rpartition(".")
        own = View(self.step, self.role, owner) if dot and what != "output" else self
        image = self.image(reference)
        return image, own.source if self.translator.conditional else image

    def as_source(self, image: Tensor, how: Literal["repeat", "first"] = "repeat") -> Tensor:
        """An image `(B, T, *spatial)` in the shape of the source, so that a generator can take it.

        `repeat` gives it to every input; `first` puts it in place of the first input and leaves the others as they
        are. An image that has the source's channels already is returned as it is.
        """
        if image.shape[1] == self.source.shape[1]:
            return image
        if how == "repeat":
            return self.step.derive("repeat", image, self._repeated)
        rest = self.source[:, image.shape[1] :]
        return self.step.derive("first", image, lambda x: torch.cat([x, rest], dim=1))

    def _repeated(self, image: Tensor) -> Tensor:
        return image.repeat(1, self.source.shape[1] // image.shape[1], *[1] * (image.ndim - 2))

    def log(self, name: str, value: Tensor | float) -> None:
        """Record a number of this step, the mean of a tensor, in journal and MLflow, as `ROLE/TERM.NAME`.

        It has no effect on the training; a value that is not finite is left out.

        Raises:
            ValueError: the name is not valid.
        """
        device = next(self.translator.parameters()).device
        self.step.logged[self._place(name)] = torch.as_tensor(value, device=device).detach().float().mean()

    def log_image(self, name: str, image: Tensor | Callable[[], Tensor], low: float = -1.0, high: float = 1.0) -> None:
        """Keep an image `(B, C, *spatial)` of this step in the run's folder, report and MLflow, as `ROLE/TERM.NAME`.

        Images are kept in the last step of the epochs that have panels (`training.panels_every`); in other steps this
        does nothing. Pass a function if the image has to be computed for this purpose alone. `low` is black and `high`
        white.

        Raises:
            ValueError: the name is not valid, or the tensor is not an image.
        """
        place = self._place(name)
        if self.step.kept.pictures is None:
            return
        made = (image() if callable(image) else image).detach().float()
        while made.ndim > 4:  # of a volume the middle slice
            made = made[:, :, made.shape[2] // 2]
        if made.ndim < 4:
            raise ValueError(f"{name!r} has the shape {tuple(made.shape)}, but an image (B, C, H, W) is expected")
        self.step.kept.pictures[place] = ((made - low) / (high - low)).nan_to_num().clamp(0, 1)

    def rate(self, errors: Tensor) -> None:
        """Rate how hard each image of the term's group was, by the mean of its errors `(B, …)`: a sampler may draw hard
        ones more often from the next epoch on (`data.sampler`). The last rating of a slice counts; without a sampler
        this does nothing.

        Raises:
            ValueError: the errors are not those of the group's images.
        """
        if self.step.kept.ratings is None:
            return
        group = self.group
        if not errors.ndim or len(errors) != len(group):
            raise ValueError(f"errors of {len(group)} images are expected, not the shape {tuple(errors.shape)}")
        values = errors.detach().float().reshape(len(group), -1).mean(1)
        self.step.kept.ratings.append((group.subjects, group.slices, values))

    def _place(self, name: str) -> str:
        """The name under which a term's record is kept."""
        return f"{self.role}/{check_name(name) if self._term is None else f'{self._term.name}.{check_name(name)}'}"

    @property
    def weight(self) -> Tensor | None:
        """The term's weight map `(B, 1, *spatial)` without gradient; None if there is none or it is not active."""
        if self._term is None or self._term.map is None:
            return None
        return self.step.weight(self._term.map, self.role, self._group)

    def weight_like(self, feature: Tensor) -> Tensor | None:
        """The weight map resized to a feature's size and streams, `(S·B, 1, *spatial)`."""
        return None if self.weight is None else resize_weight(self.weight, feature)

    def weighted_mean(self, error: Tensor) -> Tensor:
        """The mean over all elements of weight · error, with the weight resized to the error's size."""
        weight = self.weight_like(error)
        return error.mean() if weight is None else (weight * error).mean()

    @property
    def head(self) -> nn.Module:
        """The term's own module that learns with the current side: the generator's, or the discriminator's."""
        modules = self.translator.modules_of(self._side)
        if self._term is None or self._term.head is None or self._term.head not in modules:
            origin = "weight map" if self._term is None else self._term.origin
            raise PluginError(
                f"the {origin} asks for its own module (such as a projection head), but has none that learns with "
                f"the {self._side}",
                where=None if self._term is None else f"losses.{self._term.name}",
                mend=f'define build_modules(self, sizes), which returns {{"{self._side}": torch.nn.Module}}',
            )
        return modules[self._term.head]

    def project(self, features: dict[int, Tensor], *arguments: object) -> dict[int, Tensor]:
        """Features through the term's heads, in the step's precision."""
        with self.step.autocast():
            return self.head(features, *arguments)
