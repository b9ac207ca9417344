"""How often each token occurs in a corpus: counted, written as JSON, read back as a table of surprisals."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dlmsample.support.text import one_line, parse_json

EPSILON = 1e-9  #: added to a frequency before its logarithm, as in the published code
#: Keys of a file; the counts have another name in the published baselines than in files of the published counter.
_TOTAL, _COUNTS, _HARMLESS = "num_token", ("p_baseline_dict", "token_frequency_dict"), ("metadata",)


def write(path: str | Path, texts: Iterable[Sequence[int]]) -> None:
    """Count the ids of texts and write the counts to a file, in the format of PC-Sampler's published baselines.

    Args:
        path: of the file, which is written over.
        texts: the ids of each text, such as ``model.encode(text, chat=False)``.

    Raises:
        ValueError: there is not one token.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "counts.json"
        >>> write(path, [[5, 6, 5], [5]])
        >>> [round(value, 3) for value in surprisal(path).tolist()[5:]]
        [0.288, 1.386, 1.386]
    """
    counts: Counter[int] = Counter()
    for ids in texts:
        counts.update(ids)
    if not counts:
        raise ValueError("there is no token to count: give at least one text")
    content = {_TOTAL: counts.total(), _COUNTS[0]: {str(token): n for token, n in sorted(counts.items())}}
    Path(path).write_text(json.dumps(content) + "\n", encoding="utf-8")


def surprisal(path: str | Path) -> Tensor:
    """float32 ``[id]``: ``-log(f(id) + 1e-9)``, with f(id) = count / total, and 1 / total for an id without a count.

    The last entry is that of every id beyond the counted ones.

    Raises:
        ValueError: the file cannot be read, or is no file of counts.
    """
    counts, total = _read(Path(path))
    table = torch.full((max(counts) + 2,), 1 / total, dtype=torch.float64)
    table[list(counts)] = torch.tensor([n / total for n in counts.values()], dtype=torch.float64)
    return -(table + EPSILON).log().float()


def _read(path: Path) -> tuple[dict[int, int], int]:
    def wrong(reason: str) -> ValueError:
        return ValueError(f"{path} is no file of token counts: {reason}; frequencies.write makes one")

    try:
        content: Any = parse_json(path.read_text(encoding="utf-8-sig"), once=True)
    except OSError as e:
        raise ValueError(f"{path} cannot be read ({e.strerror}): frequencies.write makes such a file") from e
    except ValueError as e:
        raise wrong(f"it is not JSON ({one_line(e, 100)})") from e
    if not isinstance(content, dict):
        raise wrong("it holds no object")
    if other := content.keys() - {_TOTAL, *_COUNTS, *_HARMLESS}:
        raise wrong(f"unknown key {sorted(other)[0]!r}")
    given = [content[key] for key in _COUNTS if key in content]
    total = content.get(_TOTAL)
    if not isinstance(total, int) or isinstance(total, bool) or total < 1:
        raise wrong(f"{_TOTAL} must be a whole number, 1 or more")
    if len(given) != 1 or not isinstance(given[0], dict) or not given[0]:
        raise wrong(f"it must hold {' or '.join(_COUNTS)}, an object with counts")
    counts = {}
    for token, count in given[0].items():
        if not token.isdecimal() or len(token) > 8 or int(token) >= 1 << 24:
            raise wrong(f"{token!r} is no token id")
        if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count <= total:
            raise wrong(f"the count of id {token} must be a whole number from 0 to {_TOTAL}")
        counts[int(token)] = count
    return counts, total
