"""What a model does with its own mistakes, measured on gold answers: the diagnostics of the papers."""

from dlmsample.diagnose.calibration import expected_calibration_error
from dlmsample.diagnose.report import Calibration, Diagnosis, ErrorDetection, Stress, Stuck, TokenShare
from dlmsample.diagnose.run import MASK_RATES, diagnose

__all__ = [
    "MASK_RATES",
    "Calibration",
    "Diagnosis",
    "ErrorDetection",
    "Stress",
    "Stuck",
    "TokenShare",
    "diagnose",
    "expected_calibration_error",
]
