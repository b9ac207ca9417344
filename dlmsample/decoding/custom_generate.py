"""transformers' own ``generate``, decoding with the Sampler.

transformers prepares what it always prepares (generation config, processors of logits, stopping criteria) and then
calls ours in place of its own decoding method. What has no meaning for a diffusion model is refused by name, never
passed over.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, Literal

import pydantic
import torch
from torch import Tensor

from dlmsample.decoding.sampler import Sampler
from dlmsample.models.attention.in_place import NAME
from dlmsample.models.denoiser import Alignment, Attention, Denoiser, Facts
from dlmsample.models.embedded import SECTION
from dlmsample.policies.base import Policy
from dlmsample.policies.registry import policy as policy_by_name
from dlmsample.support.validated import mistakes

#: What transformers makes of options that the Sampler takes itself; anything else among them is refused.
_PROCESSORS = frozenset({"TemperatureLogitsWarper", "TopKLogitsWarper", "TopPLogitsWarper"})
_CRITERIA = frozenset({"MaxLengthCriteria", "EosTokenCriteria", "StopStringCriteria"})
#: Attention functions that take a boolean mask for what it is.
_ATTENTION = ("sdpa", NAME)


def custom_generate(
    policy: Policy | str = "unmask",
    *,
    block_length: int | Literal["all"] | None = None,
    mask_id: int | None = None,
    attention: Attention | None = None,
    block_alignment: Alignment | None = None,
    logit_shift: bool | None = None,
    tokenizer: Any = None,
    stop: Sequence[str] | None = None,
    streamer: Any = None,
    seed: int = 0,
    batch_size: int = 32,
    graphs: bool = False,
) -> Callable[..., Any]:
    """A decoding method for ``model.generate(ids, custom_generate=...)`` of any stock decoder of transformers.

    The tokens are those of :class:`~dlmsample.Sampler`. ``generate`` is obeyed in: ``max_new_tokens`` (or
    ``max_length``), ``do_sample`` with ``temperature``, ``top_p`` and ``top_k``, ``eos_token_id``, ``pad_token_id``,
    ``num_return_sequences``, ``attention_mask`` (left padding), ``streamer``, ``return_dict_in_generate``, and
    ``StopStringCriteria`` among ``stopping_criteria``. Beams, penalties, other processors or criteria, and scores are
    refused by name.

    A checkpoint whose ``config.json`` has a ``dlmsample`` section says itself what it is; for another one, say it here.

    Args:
        policy: a policy, or the name of one.
        block_length: tokens; None: the checkpoint's own, or where it says none and attention is bidirectional, "all".
        mask_id: token id of the mask.
        attention: "bidirectional" or "block_causal".
        block_alignment: "prompt" (the default where the checkpoint does not say) or "absolute".
        logit_shift: whether the logits of a position predict the next one, as Dream's do.
        tokenizer: reads stop strings. transformers up to 5.24 does not hand its own ``tokenizer=`` to a callable.
        stop: stop strings, as in :meth:`dlmsample.Sampler.generate`. In place of ``stop_strings`` of ``generate``,
            which transformers refuses there, because it has dropped the tokenizer.
        streamer: gets the prompt, then each row's answer in one piece when it is done (edits inside it never show),
            then ``end``. ``streamer=`` of ``generate`` does the same.
        seed: of all randomness; sampling does not read torch's generator.
        batch_size: rows in one forward.
        graphs: on a GPU, capture forwards as CUDA graphs; that pays off for long calls.

    Returns:
        int64 ``[row, pos]`` as every ``generate``: the prompt, the answer with an EOS where one ended it, padding.

    Raises:
        ValueError: from ``generate``: what is missing or has no meaning here.

    Example:
        >>> import torch
        >>> import dlmsample as ds
        >>> nano = ds.load("nano")
        >>> problem = "Ann had 14 boxes of 12 pens each. Tom gave her 25 pens. How many pens does Ann have?"
        >>> ids = torch.tensor([nano.encode(problem)])
        >>> decode = ds.custom_generate(policy=ds.T2T())
        >>> out = nano.module.generate(ids, custom_generate=decode, max_new_tokens=128)
        >>> nano.decode(out[0].tolist()).splitlines()[-1]
        '#### 193'
    """
    rule = policy_by_name(policy) if isinstance(policy, str) else policy
    said = {"mask_id": mask_id, "attention": attention, "block_alignment": block_alignment, "logit_shift": logit_shift}
    own_streamer = streamer

    def decode(
        model: Any,
        input_ids: Tensor,
        logits_processor: Any = (),
        stopping_criteria: Any = (),
        generation_config: Any = None,
        streamer: Any = None,
        **model_kwargs: Any,
    ) -> Any:
        _check(generation_config, logits_processor, stopping_criteria, model_kwargs)
        # transformers puts the prompt into its streamer and then does not pass it on to a callable
        streamer = streamer or _of_caller("streamer")
        if own_streamer is not None:
            own_streamer.put(input_ids.cpu())
            streamer = own_streamer
        denoiser = _denoiser(model, generation_config, said, block_length, tokenizer)
        length = block_length
        if length is None and denoiser.attention == "bidirectional" and not _section(model):
            length = "all"
        options = _sampling(generation_config)
        sampler = Sampler(denoiser, rule, length, **options, batch_size=batch_size, graphs=graphs)
        strings = [*(stop or ()), *(s for c in stopping_criteria for s in getattr(c, "stop_strings", ()))]
        new = generation_config.max_length - input_ids.shape[1]
        prompts = _prompts(input_ids, model_kwargs.get("attention_mask"))
        out = sampler.generate(prompts, new, seed, stop=strings or None)
        ended = out.ended or [None] * len(out.tokens)
        answers = [ids if eos is None else [*ids, eos] for ids, eos in zip(out.tokens, ended, strict=True)]
        if streamer is not None:
            for answer in answers:
                streamer.put(torch.tensor(answer, dtype=torch.long))
            streamer.end()
        return _result(input_ids, answers, _pad(generation_config, denoiser), generation_config)

    return decode


def _check(config: Any, processors: Any, criteria: Any, model_kwargs: Any) -> None:
    """Refuse what would be passed over in silence."""
    if config is None:
        raise ValueError("give this to generate: model.generate(ids, custom_generate=custom_generate(...))")
    wrong = [type(p).__name__ for p in processors if type(p).__name__ not in _PROCESSORS]
    wrong += [type(c).__name__ for c in criteria if type(c).__name__ not in _CRITERIA]
    asked = {
        "num_beams": (config.num_beams or 1) > 1,
        "output_scores": config.output_scores,
        "output_logits": config.output_logits,
        "output_attentions": config.output_attentions,
        "output_hidden_states": config.output_hidden_states,
        "inputs_embeds": model_kwargs.get("inputs_embeds") is not None,
    }
    if wrong := [*wrong, *(name for name, given in asked.items() if given)]:
        raise ValueError(f"{wrong[0]} has no meaning where blocks are decoded at once: leave it out of generate")


def _of_caller(name: str) -> Any:
    """A local variable of the ``generate`` that called the decoding method; None where there is none."""
    frame = sys._getframe(2)
    return frame.f_locals.get(name) if frame.f_code.co_name == "generate" else None


def _section(model: Any) -> dict[str, Any]:
    """What the checkpoint's config says of itself."""
    said = getattr(model.config, SECTION, None)
    return dict(said) if isinstance(said, dict) else {}


def _denoiser(model: Any, config: Any, said: dict[str, Any], block_length: Any, tokenizer: Any) -> Denoiser:
    """The module with the facts that the caller, the generation config and the checkpoint state, in this order."""
    name = getattr(model.config, "name_or_path", "") or type(model).__name__
    used = getattr(model.config, "_attn_implementation", None)
    if used not in _ATTENTION:
        raise ValueError(f"{name} computes attention with {used!r}: load it with attn_implementation='sdpa'")
    eos = config.eos_token_id
    given = {"block_alignment": "prompt", **_section(model)}
    given |= {fact: value for fact, value in said.items() if value is not None}
    if eos is not None or "eos_ids" not in given:
        given["eos_ids"] = [] if eos is None else [eos] if isinstance(eos, int) else list(eos)
    if "block_length" not in given and (isinstance(block_length, int) or given.get("attention") == "bidirectional"):
        given["block_length"] = block_length if isinstance(block_length, int) else 1  # of "all" it decides nothing
    for fact in ("mask_id", "attention", "block_length"):
        if fact not in given:
            raise ValueError(
                f"{name} does not say its {fact}: give custom_generate({fact}=...), or its config a {SECTION} section"
            )
    try:
        facts = Facts(**{**given, "eos_ids": tuple(given["eos_ids"])})
    except pydantic.ValidationError as e:
        wrong = mistakes(e, "facts")
        raise ValueError(f"what {name} or custom_generate says is wrong: {wrong}; correct it") from e
    return Denoiser(name, model, tokenizer, facts)


def _sampling(config: Any) -> dict[str, Any]:
    """Temperature, top-p and top-k of a generation config, as the Sampler takes them."""
    if not config.do_sample:
        return {}
    temperature = 1.0 if config.temperature is None else config.temperature
    return {"temperature": temperature, "top_p": config.top_p or 1.0, "top_k": config.top_k or None}


def _prompts(input_ids: Tensor, mask: Tensor | None) -> list[list[int]]:
    """The ids of every row, without its padding."""
    keep = torch.ones_like(input_ids, dtype=torch.bool) if mask is None else mask.to(input_ids.device).bool()
    return [row[kept].tolist() for row, kept in zip(input_ids, keep, strict=True)]


def _pad(config: Any, model: Denoiser) -> int:
    """What fills the rows up behind their answers."""
    pad = config.pad_token_id
    return pad if pad is not None else model.eos_ids[0] if model.eos_ids else model.mask_id


def _result(input_ids: Tensor, answers: list[list[int]], pad: int, config: Any) -> Any:
    """Prompts and answers in one tensor, as ``generate`` returns it."""
    width = max(map(len, answers), default=0)
    filled = [answer + [pad] * (width - len(answer)) for answer in answers]
    tail = torch.tensor(filled, dtype=input_ids.dtype, device=input_ids.device).view(len(answers), width)
    sequences = torch.cat([input_ids, tail], -1)
    if not config.return_dict_in_generate:
        return sequences
    from transformers.generation.utils import GenerateDecoderOnlyOutput

    return GenerateDecoderOnlyOutput(sequences=sequences)  # type: ignore[arg-type]
