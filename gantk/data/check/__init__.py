"""`gantk data check`: the contents of a cohort's files, patient by patient, and what looks wrong in them."""

from gantk.data.check.cohort import CohortCheck, check_cohort
from gantk.data.check.patient import Finding, PatientCheck

__all__ = ["CohortCheck", "Finding", "PatientCheck", "check_cohort"]
