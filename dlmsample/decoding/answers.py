"""From decoded rows to what a caller gets."""

from __future__ import annotations

from dlmsample.decoding.request import Decoded
from dlmsample.decoding.stopping import until_eos
from dlmsample.models.denoiser import Denoiser
from dlmsample.models.splice import splice
from dlmsample.models.template import Template
from dlmsample.types import CacheKind, Output


def answer_of(model: Denoiser, result: Decoded, prompt: int, new: int) -> tuple[list[int], str | None]:
    """Tokens and text of the ``new`` ones behind a prompt of so many tokens; the text is None without a tokenizer."""
    tokens = until_eos(result.canvas[prompt : prompt + new], model.eos_ids)
    if result.cut is not None:
        return tokens[: result.cut.tokens], result.cut.text
    return tokens, None if model.tokenizer is None else model.decode(tokens)


def filled_of(model: Denoiser, given: Template, result: Decoded) -> tuple[list[int], str | None]:
    """The ids placed at the masks of a text, and the whole text; the text is None without a tokenizer."""
    places = [at for at, token in enumerate(given.ids) if token == model.mask_id]
    placed = [result.canvas[at] for at in places]
    if model.tokenizer is None:
        return placed, None
    if given.pieces is None or len(given.pieces) != len(places) + 1:  # ids, or a word that is the mask id
        return placed, model.decode(result.canvas)
    return placed, splice(model, given.pieces, result.canvas, places)


def output_of(
    results: list[Decoded], rows: list[tuple[list[int], str | None]], record: bool, cache: CacheKind
) -> Output:
    """The output of a call: tokens and text of every row, statistics and, if recorded, events of the decoded rows."""
    texts = [text for _, text in rows if text is not None]
    return Output(
        tokens=[tokens for tokens, _ in rows],
        stats=[result.stats(len(tokens)) for result, (tokens, _) in zip(results, rows, strict=True)],
        trace=[list(result.events) for result in results] if record else None,
        decoded=texts if len(texts) == len(rows) else None,
        cache=cache,
    )
