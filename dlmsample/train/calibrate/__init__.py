"""The operating point of a trained correction head, from the validation split: by decoding, or by F1."""

from dlmsample.train.calibrate.operating import operating_point
from dlmsample.train.calibrate.scores import calibrate, measure, validation

__all__ = ["calibrate", "measure", "operating_point", "validation"]
