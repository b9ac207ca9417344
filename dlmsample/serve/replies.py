"""What clients get: OpenAI's objects, and beside them what only diffusion has to tell, under ``dlmsample``."""

from __future__ import annotations

import math
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any

from dlmsample.serve.asks import Ask
from dlmsample.serve.checkpoints import policy_told
from dlmsample.types import Answer, Event
from dlmsample.viewer.runs import change_data

#: RowStats.finish_reason -> OpenAI's
_REASONS = {"eos": "stop", "stop": "stop", "length": "length"}
_LEAST = -9999.0  #: the logarithm of a probability that float32 rounds to 0


def error_object(message: str, kind: str, code: str | None = None) -> dict[str, Any]:
    """OpenAI's form of an error: without the flags that messages name in brackets, and with OpenAI's names.

    Example:
        >>> error_object("raise max_new_tokens (--max-new-tokens), or not (see there)", "invalid")["error"]["message"]
        'raise max_tokens, or not (see there)'
    """
    told = re.sub(r" \(--[a-z][^()]*\)", "", message).replace("max_new_tokens", "max_tokens")
    return {"error": {"message": told, "type": kind, "param": None, "code": code}}


class Reply:
    """The objects of one request's answer, whole or as chunks of a stream.

    Args:
        ask: the request.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        prefix, kind = ("chatcmpl", "chat.completion") if ask.chat else ("cmpl", "text_completion")
        self._kind = kind
        self._head = {"id": f"{prefix}-{secrets.token_hex(12)}", "created": int(time.time()), "model": ask.served.name}

    def whole(self, answers: Sequence[Answer]) -> dict[str, Any]:
        """All answers, in the order of their indices."""
        return {
            **self._head,
            "object": self._kind,
            "choices": [self._choice(index, answer) for index, answer in enumerate(answers)],
            "usage": self._usage(answers),
            "dlmsample": {**self._told(), "choices": [answer.stats.asdict() for answer in answers]},
        }

    def begin(self, index: int) -> dict[str, Any]:
        """The first chunk of a chat's answer, which names the role."""
        return self._chunk([{"index": index, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}])

    def piece(self, index: int, text: str) -> dict[str, Any]:
        """Text of finished blocks."""
        return self._chunk([{"index": index, **self._said(text), "finish_reason": None, "logprobs": None}])

    def end(self, index: int, answer: Answer) -> dict[str, Any]:
        """The last chunk of an answer."""
        said = {"delta": {}} if self._ask.chat else {"text": ""}
        reason = _REASONS[answer.stats.finish_reason]
        choices = [{"index": index, **said, "finish_reason": reason, "logprobs": None}]
        return self._chunk(choices, dlmsample={**self._told(), "index": index, "stats": answer.stats.asdict()})

    def usage(self, answers: Sequence[Answer]) -> dict[str, Any]:
        """The chunk with the figures of all answers."""
        return self._chunk([], usage=self._usage(answers))

    def drafted(self, index: int, events: Sequence[Event]) -> dict[str, Any]:
        """What a forward changed in unfinished blocks; no part of the answer, so it is in no choice."""
        model = self._ask.served.encoder
        told = {
            "index": index,
            "step": events[0].step,
            "block": events[0].block,
            "length": self._ask.new_tokens,
            "changes": [change_data(event, self._piece, model.eos_ids) for event in events],
        }
        return self._chunk([], dlmsample={"draft": told})

    def _piece(self, ids: list[int]) -> str:
        """Text of tokens for a viewer: special ones show."""
        return self._ask.served.encoder.tokenizer.decode(ids)  # type: ignore[union-attr]

    def _chunk(self, choices: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        return {
            **self._head,
            "object": f"{self._kind}.chunk" if self._ask.chat else self._kind,
            "choices": choices,
        } | more

    def _said(self, text: str) -> dict[str, Any]:
        return {"delta": {"content": text}} if self._ask.chat else {"text": text}

    def _choice(self, index: int, answer: Answer) -> dict[str, Any]:
        text = answer.text or ""
        said = (
            {"message": {"role": "assistant", "content": text, "refusal": None}} if self._ask.chat else {"text": text}
        )
        reason = _REASONS[answer.stats.finish_reason]
        return {"index": index, **said, "finish_reason": reason, "logprobs": self._logprobs(answer)}

    def _usage(self, answers: Sequence[Answer]) -> dict[str, int]:
        prompt, new = sum(len(row.before) for row in self._ask.prompts), sum(answer.stats.tokens for answer in answers)
        spent = {name: sum(getattr(answer.stats, name) for answer in answers) for name in ("nfe", "steps", "prefill")}
        return {"prompt_tokens": prompt, "completion_tokens": new, "total_tokens": prompt + new, **spent}

    def _told(self) -> dict[str, Any]:
        sampler = self._ask.sampler
        return {
            **policy_told(sampler.policy),
            "block_length": sampler.block_length,
            "temperature": sampler.temperature,
            "top_p": sampler.top_p,
            "top_k": sampler.top_k,
            "seed": self._ask.seed,
        }

    def _logprobs(self, answer: Answer) -> Mapping[str, Any] | None:
        """Logarithms of the probabilities that the placed tokens had in the forward that placed them."""
        if not self._ask.logprobs:
            return None
        last = {event.position: event.probability for event in answer.trace or ()}
        values = [math.log(p) if (p := last[at]) > 0 else _LEAST for at in range(len(answer.tokens))]
        decode = self._ask.served.encoder.decode
        pieces = [decode([token]) for token in answer.tokens]
        if self._ask.chat:
            tokens = [
                {"token": piece, "logprob": value, "bytes": list(piece.encode()), "top_logprobs": []}
                for piece, value in zip(pieces, values, strict=True)
            ]
            return {"content": tokens, "refusal": None}
        ends = [len("".join(pieces[:at])) for at in range(len(pieces))]
        return {"tokens": pieces, "token_logprobs": values, "top_logprobs": None, "text_offset": ends}
