"""What an lm-eval task asks of its answers, as the Sampler takes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from dlmsample.evaluation.likelihood import Pair
from dlmsample.models.denoiser import Denoiser
from dlmsample.support.registry import unknown

#: Names of the answer's length, the first one that is given counts; lm-eval's order.
_LENGTHS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
_KNOWN = (*_LENGTHS, "until", "do_sample", "temperature", "top_p", "top_k")
#: Arguments that tasks carry for other models, with the value at which they mean nothing.
_NEUTRAL = {"num_beams": 1, "num_return_sequences": 1, "repetition_penalty": 1.0, "use_cache": True}

_BATCH = 32


class Generation(NamedTuple):
    """How answers of a task are decoded; requests with the same one share batches."""

    new_tokens: int
    stop: tuple[str, ...]
    eos_ids: tuple[int, ...]  #: the model's, and special tokens that the task stops at
    temperature: float
    top_p: float
    top_k: int | None


def generation(model: Denoiser, given: Mapping[str, Any], length: int) -> Generation:
    """The arguments of one request.

    A stop string that is one special token, such as "<|im_end|>", never shows in a text: it becomes an EOS. One that
    only holds a special token can never be found and is left out.

    Args:
        model: with a tokenizer.
        given: ``generation_kwargs`` of the task, ``--gen_kwargs`` included.
        length: of answers where the task says none.

    Raises:
        ValueError: an argument that is not known, or that has no meaning for a diffusion model.

    Example:
        >>> import dlmsample as ds
        >>> generation(ds.load("nano"), {"until": ["Q:"], "temperature": 0.5, "do_sample": False}, 64)
        Generation(new_tokens=64, stop=('Q:',), eos_ids=(1,), temperature=0.0, top_p=1.0, top_k=None)
    """
    for name, value in given.items():
        if name in _NEUTRAL:
            if value not in (None, _NEUTRAL[name]):
                raise ValueError(f"the task's {name}={value!r} has no meaning for a diffusion model: leave it out")
        elif name not in _KNOWN:
            raise unknown("generation argument of a task", name, _KNOWN, " (--gen_kwargs sets them)")
    new = next((given[name] for name in _LENGTHS if given.get(name) is not None), length)
    if isinstance(new, bool) or not isinstance(new, int | float) or int(new) != new or new < 1:
        raise ValueError(f"the task's max_gen_toks must be 1 or more, not {new!r}")
    stop, eos_ids = _stops(model, given.get("until"))
    sampling = (0.0, 1.0, None)
    temperature = float(given.get("temperature") or 0.0)
    if given.get("do_sample", temperature > 0):
        sampling = (temperature, float(given.get("top_p") or 1.0), int(given.get("top_k") or 0) or None)
    return Generation(int(new), stop, eos_ids, *sampling)


def _stops(model: Denoiser, until: Any) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Stop strings, and the ids that end an answer."""
    strings: Sequence[str] = [until] if isinstance(until, str) else until or ()
    tokenizer: Any = model.tokenizer
    special = {tokenizer.convert_ids_to_tokens(token): token for token in model.special_ids if token != model.mask_id}
    stop, eos_ids = [], list(model.eos_ids)
    for string in strings:
        if string in special:
            eos_ids.append(special[string])
        elif string and not set(model.special_ids).intersection(tokenizer.encode(string, add_special_tokens=False)):
            stop.append(string)
    return tuple(stop), tuple(dict.fromkeys(eos_ids))


def rows(given: int | str | None, most: int | None) -> int:
    """Rows of a batch."""
    if given is None or str(given).startswith("auto"):
        return min(_BATCH, most or _BATCH)
    try:
        return int(given)
    except ValueError:
        raise ValueError(f"batch_size is a number of rows or auto, not {given!r}") from None


def windows_of(ids: list[int], given: int, size: int) -> Iterator[Pair]:
    """Parts of a text, at most ``size`` tokens with what precedes them; each token behind ``given`` is in one answer.

    Example:
        >>> [(pair.context, pair.answer) for pair in windows_of([7, 1, 2, 3, 4, 5], 1, 4)]
        [([7], [1, 2, 3]), ([2, 3], [4, 5])]
    """
    for begin in range(given, len(ids), size - given):
        answer = ids[begin : begin + size - given]
        yield Pair(ids[max(0, begin - (size - len(answer))) : begin], answer)
