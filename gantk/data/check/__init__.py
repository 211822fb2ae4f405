"""`gantk data check`: reads a cohort's files patient by patient and reports what looks wrong."""

from gantk.data.check.cohort import CohortCheck, check_cohort
from gantk.data.check.patient import Finding, PatientCheck

__all__ = ["CohortCheck", "Finding", "PatientCheck", "check_cohort"]
