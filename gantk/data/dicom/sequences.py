"""The modality of a DICOM series, recognized by its description and its contrast agent."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from dataclasses import dataclass

from gantk.data.dicom.series import Series
from gantk.data.modalities import canonical
from gantk.errors import UsageError

__all__ = ["Named", "modality_of", "named"]


def _words(*patterns: str) -> re.Pattern[str]:
    """A pattern that matches any of these as a whole word: not inside a longer run of letters."""
    return re.compile(rf"(?<![a-z])(?:{'|'.join(patterns)})(?![a-z])")


# scouts, maps and other series that are not plain anatomical images
_OTHER = _words(
    "loc",
    "localizer",
    "localiser",
    "scout",
    "survey",
    "adc",
    "e?adc",
    "dwi",
    "dti",
    "diff",
    "diffusion",
    "ep2d",
    "trace",
    "tracew",
    "fa",
    "perf",
    "perfusion",
    "dsc",
    "dce",
    "asl",
    "swi",
    "swan",
    "mip",
    "minip",
    "sub",
    "subtraction",
    "tof",
    "mra",
    "bold",
    "fmri",
    "phase",
    "pha",
    "calibration",
    "asset",
    "b0",
    "map",
    "spectro",
    r"t2\W?\*",
    "t2star",
    "gre",
    "hemo",
)
_T1 = _words(r"t1[a-z]*\d*[a-z]*", r"mp.?rage\d?", "bravo", "vibe", "i?r?.?f?spgr", "tfl3?d?")
_FLAIR = _words(r"[a-z]*flair\w*", "tirm", r"da?rk?.?fl(?:uid)?")
_T2 = _words(r"t2[a-z]*\d*[a-z]*")
_PD = _words("pd", "pdw", "dens")
_CONTRAST = _words(
    r"post\w*", r"\+\W?c", r"c\W?\+", r"gd\w*", r"gad\w*", "ce", "km", "contrast", "enhanced", r"t1(?:c|ce|gd|post)"
)
_WITHOUT = _words(r"pre\w*", "without", r"w\W?o", r"nativ\w*", r"non?.?contrast", "unenhanced", r"non?.?ce")
_NO_AGENT = ("", "none", "no", "n", "n/a", "0", "off")
_KINDS = {"CT": "ct", "PT": "pet"}


def modality_of(series: Series) -> str | None:
    """A series's modality, by its name in tables; None if it is not recognized.

    A T1 is t1ce if its description mentions contrast, or if ContrastBolusAgent names an agent and the description does
    not say otherwise. A T1 FLAIR is a T1. CT and PET are recognized by the DICOM modality.
    """
    if series.kind != "MR":
        return _KINDS.get(series.kind)
    if "LOCALIZER" in series.image_type:
        return None
    for text in (series.description, series.protocol):
        words = re.sub(r"[_./]", " ", text.lower())
        if _OTHER.search(words):
            return None
        if (found := _sequence(words)) is not None:
            return "t1ce" if found == "t1" and _enhanced(words, series.agent) else found
    return None


def _sequence(words: str) -> str | None:
    kinds = {"t1": _T1, "flair": _FLAIR, "t2": _T2, "pd": _PD}
    return next((name for name, pattern in kinds.items() if pattern.search(words)), None)


def _enhanced(words: str, agent: str) -> bool:
    if _WITHOUT.search(words):
        return False
    return bool(_CONTRAST.search(words)) or agent.strip().lower() not in _NO_AGENT


@dataclass(frozen=True)
class Named:
    """A user's rule that assigns a modality to series whose description matches a pattern.

    Attributes:
        modality: the modality's name; empty to skip the series.
        pattern: matches the whole description, ignoring case; `*` stands for anything.
    """

    modality: str
    pattern: str

    def fits(self, series: Series) -> bool:
        """Whether a series' description matches the pattern."""
        return fnmatch.fnmatchcase(series.description.lower(), self.pattern.lower())


def named(patterns: Sequence[str]) -> list[Named]:
    """Parse rules such as `t1ce=*mprage*gd*`.

    Raises:
        UsageError: a rule is malformed.
    """
    rules = []
    for text in patterns:
        name, equals, pattern = text.partition("=")
        if not equals or not pattern or not re.fullmatch(r"[\w.-]*", name):
            raise UsageError(
                f"{text!r} is not a valid pattern of series",
                where="--pattern",
                mend='write NAME=DESCRIPTION, such as "t1ce=*mprage*gd*"; * stands for anything, and an empty NAME '
                "leaves such series out",
            )
        rules.append(Named(canonical(name) if name else "", pattern))
    return rules
