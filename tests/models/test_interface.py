"""What this package asks of the modules of transformers, over all the versions it may meet."""

from __future__ import annotations

from typing import Any

import pytest
from torch import nn

from dlmsample.models.interface import cache_argument


class Since524(nn.Module):
    def forward(self, input_ids: Any, cache: Any = None, **others: Any) -> None: ...


class Before(nn.Module):
    def forward(self, input_ids: Any, past_key_values: Any = None, **others: Any) -> None: ...


class Unknown(nn.Module):
    __module__ = "transformers.models.unknown"

    def forward(self, input_ids: Any, memory: Any = None, **others: Any) -> None: ...


class Ours(nn.Module):
    def forward(self, input_ids: Any, **others: Any) -> None: ...


def test_the_cache_goes_by_the_name_that_a_body_declares() -> None:
    assert cache_argument(Since524) == "cache"
    assert cache_argument(Before) == "past_key_values"
    assert cache_argument(Ours) == "cache"


def test_a_body_that_would_swallow_the_cache_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Unknown .* install transformers>=5.13.1,<5.40"):
        cache_argument(Unknown)
