"""Rows of a data set on the Hugging Face hub, streamed in its own order; needs the extra ``data``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dlmsample.support.text import one_line
from dlmsample.train.config import TrainError
from dlmsample.train.config.sections import DataSection


def rows(section: DataSection) -> Iterator[dict[str, Any]]:
    """The rows of ``section.hub``; only as many are fetched as are asked for.

    Raises:
        TrainError: ``datasets`` is not installed, or the hub does not give the rows.
    """
    try:
        from datasets import load_dataset  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise TrainError("data.hub needs the package datasets: pip install 'dlmsample[data]'") from None
    assert section.hub is not None
    try:
        yield from load_dataset(section.hub, section.subset, split=section.split, streaming=True)
    except Exception as error:  # its errors are those of many libraries
        said = one_line(error, 200)
        raise TrainError(
            f"cannot read the data set {section.hub} (split {section.split}): {said}; "
            "check its name and the network, or save it as JSON lines and give data.path"
        ) from None
