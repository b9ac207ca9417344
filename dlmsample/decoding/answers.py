"""From decoded rows to what a caller gets."""

from __future__ import annotations

from dlmsample.decoding.request import Decoded
from dlmsample.decoding.stopping import until_eos
from dlmsample.models.denoiser import Denoiser
from dlmsample.types import CacheKind, Output


def answer_of(model: Denoiser, result: Decoded, prompt: int) -> tuple[list[int], str | None]:
    """Tokens and text of the answer behind a prompt of so many tokens; the text is None without a tokenizer."""
    tokens = until_eos(result.canvas[prompt:], model.eos_ids)
    if result.cut is not None:
        return tokens[: result.cut.tokens], result.cut.text
    return tokens, None if model.tokenizer is None else model.decode(tokens)


def output_of(
    results: list[Decoded], tokens: list[list[int]], texts: list[str] | None, record: object, cache: CacheKind
) -> Output:
    """The output of a call: tokens and texts as given, statistics and, if recorded, events of the decoded rows."""
    return Output(
        tokens=tokens,
        stats=[result.stats(len(ids)) for result, ids in zip(results, tokens, strict=True)],
        trace=[list(result.events) for result in results] if record else None,
        decoded=texts,
        cache=cache,
    )
