"""Translators, terms, weight maps, and the lazy, memoized step."""

from gantk.translation.assembly import Assembly, assemble
from gantk.translation.chain import Chain
from gantk.translation.networks import build_translators
from gantk.translation.plan import StagePlan
from gantk.translation.protocols import ImageRef, Judgement, Moment, Needs, Role, Sizes, Transform, Translation
from gantk.translation.step import Step
from gantk.translation.term import MapSlot, Term, TransformSlot
from gantk.translation.translator import Translator
from gantk.translation.view import View

__all__ = [
    "Assembly",
    "Chain",
    "ImageRef",
    "Judgement",
    "MapSlot",
    "Moment",
    "Needs",
    "Role",
    "Sizes",
    "StagePlan",
    "Step",
    "Term",
    "Transform",
    "TransformSlot",
    "Translation",
    "Translator",
    "View",
    "assemble",
    "build_translators",
]
