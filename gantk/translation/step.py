"""The step: one training iteration in which every network output is computed at most once, when first asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from gantk.errors import PluginError, TrainingError
from gantk.plugins.blame import blame
from gantk.translation.images import Images
from gantk.translation.kept import Kept
from gantk.translation.plan import Known, StagePlan, Wanted
from gantk.translation.protocols import Judgement, Moment, Translation
from gantk.translation.statistics import keeping_statistics
from gantk.translation.translator import Translator, takes_given

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gantk.data.batch import Batch
    from gantk.recipe.values import Update

T = TypeVar("T")
Given = Mapping[str, Tensor]
"""A network's inputs beside an image, by name."""
Key = tuple[tuple[str, int], ...]


class Step(Images):
    """One iteration over one batch; see `Images` for how images are known.

    Args:
        translators: by role.
        plan: the stage's terms and maps.
        batch: groups by name, on the translators' device.
        autocast: a context in which networks run (bf16); default: none.
        moment: the step's place in the training; default: the first step of the plan's stage.
        kept: receives the images and ratings that terms keep; by default they keep nothing.
        inference: compute everything without gradient.
    """

    def __init__(
        self,
        translators: Mapping[str, Translator],
        plan: StagePlan,
        batch: Batch,
        autocast: Callable[[], AbstractContextManager[Any]] = nullcontext,
        inference: bool = False,
        moment: Moment | None = None,
        kept: Kept | None = None,
    ) -> None:
        super().__init__(batch, plan.requested, moment or Moment(plan.stage, 0, 1, 0))
        self.translators = translators
        self.plan = plan
        self.autocast = autocast
        self._inference = inference
        self._translations: dict[tuple[str, int, Key, bool], tuple[Tensor, Given, Translation]] = {}
        self._features: dict[tuple[str, int, Key, tuple[int, ...], bool], tuple[Tensor, Given, dict[int, Tensor]]] = {}
        self._judgements: dict[tuple[str, int, Key, int, bool], tuple[Tensor, Tensor, Given, Judgement]] = {}
        self._given: dict[tuple[str, str, Update], Given] = {}
        self._sources: dict[tuple[str, str], Tensor] = {}
        self.logged: dict[str, Tensor] = {}
        self.kept = kept or Kept()
        self._weights: dict[tuple[str, str, str], Tensor] = {}

    def source(self, role: str, group: str) -> Tensor:
        """A role's input from a batch group, `(B, C, H, W)`: images, followed by outputs of other roles, with gradient
        if the stage trains these; the same tensor each time.

        Raises:
            TrainingError: the group lacks the images.
        """
        translator, own = self.translators[role], self.image(group, self.translators[role].takes)
        if not translator.after:
            return own
        if (role, group) not in self._sources:
            outputs = [
                self.translate(other, self.source(other, group), other in self.plan.roles, group)
                for other in translator.after
            ]
            self._sources[role, group] = made = torch.cat([own, *outputs], dim=1)
            self._share(made)
            self._owners[id(made)] = group
        return self._sources[role, group]

    def given(self, role: str, group: str, part: Update = "generator") -> Given:
        """The inputs beside images that a role's network gets from a batch group; the same tensors each time."""
        key = (role, group, part)
        if key not in self._given:
            extra = self.batch[group].extra if group in self.batch else {}
            self._given[key] = self.translators[role].given(extra, part)
            self._share(*self._given[key].values())
        return self._given[key]

    def _beside(self, role: str, part: Update, image: Tensor, group: str, given: Given | None) -> Given:
        """A network's inputs beside an image, by name: those of the image's group (`group` if that is unknown), and
        those that a term gives."""
        found = self.given(role, self._owners.get(id(image), group), part)
        for name in given or ():
            if not takes_given(getattr(self.translators[role], part), name):
                raise TrainingError(
                    f"the {self.translators[role].origins[part]} of {role!r} receives {name!r} but does not accept it",
                    mend=f"choose a {part} whose forward has a keyword argument of this name",
                )
        return {**found, **given} if given else found

    def translate(
        self, role: str, image: Tensor, grad: bool = True, group: str = "", given: Given | None = None
    ) -> Tensor:
        """G_role(image) `(B, T, *spatial)` in [-1, 1]; without `grad` it is detached from the generator.

        `group` is the batch group for an image that belongs to none; `given` are further inputs from a term.
        """
        output = self._translation(role, image, grad, self._beside(role, "generator", image, group, given)).output
        assert output is not None
        return output

    def extra(self, role: str, image: Tensor, group: str) -> Mapping[str, Tensor]:
        """The additional outputs of a role's generator for an image, by name, from the same pass."""
        return self._translation(role, image, True, self._beside(role, "generator", image, group, None)).extra

    def features(
        self,
        role: str,
        image: Tensor,
        layers: tuple[int, ...],
        grad: bool = True,
        group: str = "",
        given: Given | None = None,
    ) -> dict[int, Tensor]:
        """Generator features by layer, from the pass that translates the image where there is one."""
        wanted, beside = self._wanted(role, image), self._beside(role, "generator", image, group, given)
        if wanted.output and set(layers) <= set(wanted.layers):
            found = self._translation(role, image, grad, beside).features
            return {layer: found[layer] for layer in layers}
        layers = tuple(sorted(set(layers) | set(wanted.layers)))
        key = (role, id(image), _key(beside), layers, grad)
        if key not in self._features:
            self._check_taken(role, image)
            with self._running(grad), self._looking(role, grad), self._blaming(role, "generator"):
                found = self.translators[role].translate(image, layers, decode=False, given=beside).features
                self._features[key] = (image, beside, {k: _full(v) for k, v in found.items()})
                self._share(*self._features[key][2].values())
        return self._features[key][2]

    def judge(
        self,
        role: str,
        image: Tensor,
        source: Tensor,
        full_precision: bool = False,
        group: str = "",
        given: Given | None = None,
    ) -> Judgement:
        """D_role(image): scores `(B, K, *spatial)` and the features that terms need; a conditional one gets the source
        too."""
        translator = self.translators[role]
        if translator.discriminator is None:
            raise PluginError(
                f"a component asks for the judgement of {role!r}, which has no discriminator",
                mend=f"give translators.{role} a discriminator, or remove the component",
            )
        beside = self._beside(role, "discriminator", image, group, given)
        key = (role, id(image), _key(beside), id(source) if translator.conditional else 0, full_precision)
        if key not in self._judgements:
            with self._running(True, full_precision), self._blaming(role, "discriminator"):
                before = source.detach() if translator.after else source  # what others made is not this one's to better
                whole = torch.cat([before, image], dim=1) if translator.conditional else image
                shown = translator.augmented(whole)
                if shown.shape != whole.shape:
                    raise PluginError(
                        f"the {translator.origins['shown']} made {tuple(shown.shape)} of {tuple(whole.shape)}",
                        where=f"translators.{role}.shown",
                        mend="return images of the size of its inputs",
                    )
                scores, features = translator.judge(shown, self.plan.judged.get(role, ()), beside)
                several = tuple(map(_full, scores)) if isinstance(scores, tuple) else _full(scores)
                judgement = Judgement(several, {k: _full(v) for k, v in features.items()})
            self._judgements[key] = (image, source, beside, judgement)
            if id(image) in self._real and scales_of(judgement)[0].requires_grad:  # else the generator learns
                translator.observe(scales_of(judgement), len(image))
            self._share(*scales_of(judgement), *judgement.features.values())
        return self._judgements[key][3]

    def weight(self, name: str, role: str, group: str) -> Tensor | None:
        """A weight map `(B, 1, *spatial)` without gradient; None where it is not active in this stage."""
        from gantk.translation.view import View

        slot = self.plan.maps.get(name)
        if slot is None:
            return None
        key = (name, role, group)
        if key not in self._weights:
            view = View(self, role, group)
            where = f"maps.{name}"
            with torch.no_grad(), blame(slot.origin, where), self.unchanged(slot.origin, where):
                weight = _full(slot.component(view).detach())
            expected = (len(self.group(group)), 1, *view.source.shape[2:])
            if tuple(weight.shape) != expected:
                raise PluginError(
                    f"the {slot.origin} gave the shape {tuple(weight.shape)} where {expected} is wanted",
                    where=f"maps.{name}",
                    mend="return one weight per pixel and image",
                )
            self._weights[key] = weight
            self._share(weight)
        return self._weights[key]

    def forget_judgements(self) -> None:
        """Drop what depends on the discriminators, after they have been updated."""
        self._judgements.clear()
        self._weights.clear()

    def _wanted(self, role: str, image: Tensor) -> Wanted:
        for (owner, known), wanted in self.plan.wanted.items():
            if owner == role and self._is(image, known):
                return wanted
        return Wanted()

    def _is(self, image: Tensor, known: Known) -> bool:
        if known.role is not None:
            return self._sources.get((known.role, known.group)) is image
        group = self.batch.get(known.group)
        sides = None if group is None else (group.source, group.target)
        if sides is None or sides[0 if known.domain.side == "source" else 1] is None:
            return False
        return self.image(known.group, known.domain) is image

    def _translation(self, role: str, image: Tensor, grad: bool, beside: Given) -> Translation:
        key = (role, id(image), _key(beside))
        known = self._translations.get((*key, grad))
        if known is None and not grad and (with_grad := self._translations.get((*key, True))):
            output = with_grad[2].output
            assert output is not None
            without = replace(with_grad[2].changed(Tensor.detach), output=self.detached(output))
            known = (image, beside, without)
            self._translations[*key, grad] = known
        if known is None:
            self._check_taken(role, image)
            with self._running(grad), self._looking(role, grad), self._blaming(role, "generator"):
                layers = self._wanted(role, image).layers
                made = self.translators[role].translate(image, layers, given=beside)
                self.translators[role].check_output(made.output, len(image), image.shape[2:])
                known = (image, beside, made.changed(_full))
            self._translations[*key, grad] = known
            self._share(known[2].output, *known[2].features.values(), *known[2].extra.values())
            assert known[2].output is not None
            self._belongs(known[2].output, image)
        return known[2]

    def _check_taken(self, role: str, image: Tensor) -> None:
        """Blame the term, not the generator, if a term gives an input that the translator does not take."""
        takes = self.translators[role].in_channels
        if image.shape[1] != takes:
            raise TrainingError(
                f"the translator {role!r} takes {takes} channels and is given an image of {image.shape[1]}",
                mend=f"name a translator or an image that fits, or set takes and gives in translators.{role}",
            )

    def _blaming(self, role: str, part: str) -> AbstractContextManager[None]:
        return blame(self.translators[role].origins[part], f"translators.{role}.{part}")

    def _looking(self, role: str, grad: bool) -> AbstractContextManager[None]:
        """A pass without gradient leaves a network as it is: the teacher does not learn from its student's images."""
        return nullcontext() if grad else keeping_statistics(self.translators[role])

    @contextmanager
    def _running(self, grad: bool, full_precision: bool = False) -> Iterator[None]:
        """Networks run with gradient even when asked by a weight map: a term may ask for the same tensor later.

        What they give is brought to full precision in here too: outside, under a map, that would cut the gradient.
        """
        gradient = torch.set_grad_enabled(grad and not self._inference)
        with gradient, nullcontext() if full_precision else self.autocast():
            yield


def scales_of(judgement: Judgement) -> tuple[Tensor, ...]:
    """The scores of every scale."""
    return judgement.scores if isinstance(judgement.scores, tuple) else (judgement.scores,)


def _key(given: Given) -> Key:
    """The key of a set of further arguments."""
    return tuple((name, id(values)) for name, values in sorted(given.items()))


def _full(tensor: Tensor) -> Tensor:
    """The tensor in single precision at least: losses are computed there, whatever precision networks run in."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def resize_weight(weight: Tensor, feature: Tensor) -> Tensor:
    """A weight map `(B, 1, H, W)` brought to a feature `(S·B, C, h, w)`: area average, repeated for S streams; or of
    volumes, `(B, 1, D, H, W)` to `(S·B, C, d, h, w)`."""
    if weight.shape[2:] != feature.shape[2:]:
        weight = F.interpolate(weight, size=feature.shape[2:], mode="area")
    streams, rest = divmod(feature.shape[0], weight.shape[0])
    if rest:
        raise PluginError(f"features of batch {feature.shape[0]} are no multiple of the weight map's {weight.shape[0]}")
    return weight.repeat(streams, *[1] * (weight.ndim - 1)) if streams > 1 else weight
