"""What a model does with its own mistakes, measured on gold answers: the diagnostics of the papers."""

from dlmsample.diagnose.calibration import expected_calibration_error
from dlmsample.diagnose.report import (
    Calibration,
    Diagnosis,
    ErrorDetection,
    Move,
    Stress,
    Stuck,
    TokenShare,
    Trajectory,
)
from dlmsample.diagnose.run import MASK_RATES, diagnose
from dlmsample.diagnose.trajectory import trajectory

__all__ = [
    "MASK_RATES",
    "Calibration",
    "Diagnosis",
    "ErrorDetection",
    "Move",
    "Stress",
    "Stuck",
    "TokenShare",
    "Trajectory",
    "diagnose",
    "expected_calibration_error",
    "trajectory",
]
