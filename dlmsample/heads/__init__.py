"""Correction heads: they say which visible tokens are wrong, from hidden states that the backbone computes anyway."""

from dlmsample.heads.calibrate import Detection, auc, choose_offset, precision_recall
from dlmsample.heads.correction import CorrectionHead, HeadConfig
from dlmsample.heads.store import load_head, save_head

__all__ = [
    "CorrectionHead",
    "Detection",
    "HeadConfig",
    "auc",
    "choose_offset",
    "load_head",
    "precision_recall",
    "save_head",
]
