"""Translators, terms, weight maps, and the lazy, memoised step."""

from gantk.translation.assembly import Assembly, assemble
from gantk.translation.plan import StagePlan
from gantk.translation.protocols import ImageRef, Needs, Role, Translation
from gantk.translation.step import Step
from gantk.translation.term import MapSlot, Term
from gantk.translation.translator import Translator
from gantk.translation.view import View

__all__ = [
    "Assembly",
    "ImageRef",
    "MapSlot",
    "Needs",
    "Role",
    "StagePlan",
    "Step",
    "Term",
    "Translation",
    "Translator",
    "View",
    "assemble",
]
