"""Cutting one published matrix into several parameters, as an operation of transformers' weight conversion.

transformers has one of its own since 5.20 only.
"""

from __future__ import annotations

from typing import Any

from transformers.core_model_loading import Concatenate, ConversionOps


class RowCut(ConversionOps):
    """Cuts a matrix along its rows: each target gets as many rows as its parameter in the module has."""

    def convert(
        self,
        input_dict: dict[str, Any],
        source_patterns: list[str],
        target_patterns: list[str],
        full_layer_name: str = "",
        model: Any = None,
        **_: Any,
    ) -> dict[str, Any]:
        """``{published pattern: matrix}`` -> ``{stock pattern: its rows}``; ``full_layer_name``: the first target's."""
        (given,) = input_dict.values()
        matrix = given[0] if isinstance(given, list) else given
        names = [full_layer_name.replace(target_patterns[0], target) for target in target_patterns]
        pieces = matrix.split([model.get_parameter(name).shape[0] for name in names])
        return {target: piece.contiguous() for target, piece in zip(target_patterns, pieces, strict=True)}

    @property
    def reverse_op(self) -> ConversionOps:
        """Joins the rows again."""
        return Concatenate(dim=0)
