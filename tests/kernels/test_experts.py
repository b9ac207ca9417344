"""Experts of a mixture: the kernels (in a process of its own, interpreted where there is no GPU), and plain torch."""

from __future__ import annotations

import torch

from dlmsample.kernels.experts import experts, fits
from tests.kernels.experts_cases import rows, slot_by_slot, weights
from tests.kernels.process import needs_triton, run_cases


@needs_triton
def test_the_kernels_equal_a_loop_over_slots() -> None:
    run_cases("experts_cases.py")


def test_plain_torch_equals_it_too() -> None:
    given = [t.float() if t.is_floating_point() else t for t in (*rows(11, 2), *weights(0))]
    assert not fits(given[0], given[1], *given[3:])
    torch.testing.assert_close(experts(*given).double(), slot_by_slot(*given), rtol=1e-4, atol=1e-5)
