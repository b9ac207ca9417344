"""The Sampler: the only decoding loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch

from dlmsample.batch import FINISHED, MOVED, Counts, Rows, Settings, advance, tree_map
from dlmsample.inputs import integer, row_keys
from dlmsample.models.base import Denoiser, Prompt
from dlmsample.models.reader import Layout, open_reader
from dlmsample.policies.base import Policy
from dlmsample.progress import Progress
from dlmsample.trace import Recorder
from dlmsample.types import Event, Output, RowStats


class Sampler:
    """Decode prompts with a checkpoint under a policy.

    Order of operations, for each batch of prompts:

    1. A canvas per row: the prompt's ids, then exactly ``max_new_tokens`` masks. Rows stand at their own offsets.
    2. One forward over the prompt's finished blocks fills the cache (block-causal models).
    3. One forward over the active block of every unfinished row. Rows may stand at different blocks and steps.
    4. :func:`dlmsample.batch.advance`: predict, policy step, bound, cache rule, EOS rule; tensors only.
    5. The host reads one small flag per row. Finished rows leave the batch; go to 3 until none is left.
    6. Texts, tokens up to the first EOS, statistics and, if asked for, events.

    A batch gives exactly what its rows give alone (float32, CPU).

    Args:
        model: from :func:`dlmsample.load`.
        policy: any :class:`~dlmsample.policies.base.Policy`.
        block_length: tokens; None: the model's own; "all": the whole answer is one block and the prompt another.
        temperature: 0 is greedy; otherwise candidates are sampled, confidences stay those of temperature 1.
        top_p: nucleus mass in (0, 1].
        top_k: candidates kept before top-p; None keeps all.
        batch_size: rows in one forward.
        cache: use the exact block cache where there is one; False forwards the whole canvas (same tokens, slower).

    Raises:
        ValueError: an option out of range, a block length the model cannot do, or a head that is missing.

    Example:
        >>> import dlmsample as ds
        >>> sampler = ds.Sampler(ds.load("nano"), ds.T2T())
        >>> problem = "Ann had 14 boxes of 12 pens each. Tom gave her 25 pens. How many pens does Ann have?"
        >>> sampler.generate([problem]).texts[0].splitlines()[-1]
        '#### 193'
    """

    def __init__(
        self,
        model: Denoiser,
        policy: Policy,
        block_length: int | Literal["all"] | None = None,
        temperature: float = 0.0,
        top_p: float = 1.0,
        top_k: int | None = None,
        batch_size: int = 32,
        *,
        cache: bool = True,
    ) -> None:
        if not isinstance(model, Denoiser) or not isinstance(policy, Policy):
            raise ValueError("Sampler takes a model from dlmsample.load and a policy such as Unmask() or policy(name)")
        least = model.facts.min_block_length
        if isinstance(block_length, str):
            if block_length != "all":
                raise ValueError(f'block_length is a number of tokens or "all", not {block_length!r}')
        elif block_length is not None and not least <= integer("block_length", block_length) <= model.context:
            raise ValueError(
                f"{model.name} cannot decode blocks of {block_length} tokens: "
                f'give {least} to {model.context}, or "all" for the whole answer'
            )
        if not isinstance(temperature, (int, float)) or not 0 <= temperature < float("inf"):
            raise ValueError(f"temperature must be a number, 0 or more, not {temperature!r}")
        if not isinstance(top_p, (int, float)) or not 0 < top_p <= 1:
            raise ValueError(f"top_p must lie in (0, 1], not {top_p}")
        if top_k is not None and integer("top_k", top_k) < 1:
            raise ValueError(f"top_k must be 1 or more (or None), not {top_k}")
        if integer("batch_size", batch_size) < 1:
            raise ValueError(f"batch_size must be 1 or more, not {batch_size}")
        if "error" in policy.needs and model.head is None:
            raise ValueError(
                f'{policy.name} reads a correction head and {model.name} has none: set scorer="random" '
                "(--set scorer=random), or load one: load(name, head=...), --head NAME, or model.with_head(head)"
            )
        self.model, self.policy = model, policy
        self.block_length = model.block_length if block_length is None else block_length
        if not isinstance(self.block_length, str):
            self.block_length = int(self.block_length)
        # whether the whole prompt is one block and the answer's blocks count from its end
        self._prompt_block = block_length == "all" or model.block_alignment == "prompt"
        self.temperature, self.top_p = temperature, top_p
        self.top_k = None if top_k is None else int(top_k)
        self.batch_size, self.cache = int(batch_size), cache

    def generate(
        self,
        prompts: Sequence[Prompt],
        max_new_tokens: int = 128,
        seed: int | Sequence[int] = 0,
        record: bool = False,
        progress: bool = False,
        *,
        chat: bool | None = None,
    ) -> Output:
        """Answer every prompt.

        Args:
            prompts: texts, lists of chat messages, or lists of ids.
            max_new_tokens: answer positions of the canvas.
            seed: of all randomness (samples, random scores): one int, or one per prompt; with one int, repeated
                prompts still differ.
            record: keep every event in ``out.trace``.
            progress: a progress bar on standard error when it is a terminal.
            chat: None applies the tokenizer's chat template to texts if it has one, False never does.

        Returns:
            :class:`~dlmsample.types.Output`: tokens, texts, statistics, events; in the prompts' order.

        Raises:
            ValueError: a prompt that is too long, holds a mask, or cannot be encoded; a seed list of another length.
        """
        if isinstance(prompts, (str, bytes)):
            raise ValueError("prompts is a list: wrap a single prompt in [ ]")
        max_new_tokens = integer("max_new_tokens", max_new_tokens)
        if max_new_tokens < 1:
            raise ValueError(f"max_new_tokens must be 1 or more, not {max_new_tokens}")
        ids = [self._encode(prompt, chat, max_new_tokens) for prompt in prompts]
        keys = row_keys(seed, ids)
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))  # equal lengths together: less padding

        results: list[_Result | None] = [None] * len(ids)
        with Progress(len(ids), progress) as bar, torch.no_grad():
            for at in range(0, len(order), self.batch_size):
                batch = order[at : at + self.batch_size]
                decoded = self._decode([ids[i] for i in batch], [keys[i] for i in batch], max_new_tokens, record, bar)
                for i, result in zip(batch, decoded, strict=True):
                    results[i] = result
        done = [r for r in results if r is not None]
        return Output(
            tokens=[r.answer for r in done],
            stats=[r.stats for r in done],
            trace=[r.events for r in done] if record else None,
            decoded=None if self.model.tokenizer is None else [self.model.decode(r.answer) for r in done],
        )

    def _decode(
        self, prompts: list[list[int]], keys: list[int], new: int, record: bool, bar: Progress
    ) -> list[_Result]:
        """Steps 1 to 6 for one batch; results in the order of ``prompts``."""
        first = [self._first_block(len(p)) for p in prompts]
        rows, layout = self._open(prompts, keys, first, new)
        reader = open_reader(
            self.model, rows.canvas, layout, max(first), cache=self.cache, score="error" in self.policy.needs
        )
        settings = Settings(
            policy=self.policy,
            mask_id=self.model.mask_id,
            eos_ids=torch.tensor(self.model.eos_ids, dtype=torch.long, device=rows.start.device),
            temperature=self.temperature,
            top_p=self.top_p,
            top_k=self.top_k,
            cached=reader.cached,
        )
        recorder = Recorder() if record else None
        places, starts = list(range(len(prompts))), list(first)  # of the rows still in the batch
        ended: dict[int, tuple[torch.Tensor, Counts]] = {}
        while places:
            features = reader.read(rows.canvas, layout, rows.start, max(starts) + layout.width)
            rows, outcome, change = advance(rows, layout, features, settings)
            if recorder is not None:
                recorder.add(places, change)
            flags = outcome.tolist()  # the one look of the host
            starts = [s + layout.width * (f == MOVED) for s, f in zip(starts, flags, strict=True)]
            finished = [j for j, f in enumerate(flags) if f == FINISHED]
            bar.tick(len(finished))
            if not finished:
                continue
            for j in finished:
                ended[places[j]] = (rows.canvas[j], tree_map(lambda t, j=j: t[j], rows.counts))
            stay = [j for j, f in enumerate(flags) if f != FINISHED]
            places, starts = [places[j] for j in stay], [starts[j] for j in stay]
            kept = torch.tensor(stay, dtype=torch.long, device=rows.start.device)
            rows, layout = tree_map(lambda t, kept=kept: t[kept], rows), layout.keep(kept)
            reader.keep(kept)

        lengths = [len(p) for p in prompts]
        events = (
            [[] for _ in prompts]
            if recorder is None
            else recorder.events(lengths, first, layout.width, self.model.mask_id)
        )
        results = []
        for place, length in enumerate(lengths):
            canvas, counts = ended[place]
            answer = _until_eos(canvas[length : length + new].tolist(), self.model.eos_ids)
            prefill = int(reader.cached and first[place] > 0)
            results.append(_Result(answer, _stats(counts, len(answer), prefill), events[place]))
        return results

    def _open(self, prompts: list[list[int]], keys: list[int], first: list[int], new: int) -> tuple[Rows, Layout]:
        """The canvases of a batch, right-padded, each row at its first active block."""
        device = self.model.device
        width = new if isinstance(self.block_length, str) else self.block_length
        lengths = [len(p) + new for p in prompts]
        canvas = torch.full((len(prompts), max(lengths) + width), self.model.mask_id)
        for row, prompt in zip(canvas, prompts, strict=True):
            row[: len(prompt)] = torch.tensor(prompt, dtype=torch.long)

        def column(values: list[int]) -> torch.Tensor:
            return torch.tensor(values, dtype=torch.long, device=device)

        start, zero = column(first), column([0] * len(prompts))
        no = torch.zeros_like(zero, dtype=torch.bool)
        rows = Rows(
            canvas=canvas.to(device),
            prompt=column([len(p) for p in prompts]),
            key=column(keys),
            start=start,
            step=zero,
            entering=~no,
            writing=no,
            finished=no,
            counts=Counts(zero, zero, zero, zero, zero, no, no),
            state=None,
        )
        return rows, Layout(start, column(lengths), width, self._prompt_block)

    def _first_block(self, prompt: int) -> int:
        """Where the first active block of a row starts."""
        if isinstance(self.block_length, str) or self._prompt_block:
            return prompt
        return prompt // self.block_length * self.block_length

    def _encode(self, prompt: Prompt, chat: bool | None, new: int) -> list[int]:
        model = self.model
        ids = model.encode(prompt, chat)
        # nano takes even its mask string as plain bytes; whoever writes it means a mask all the same
        marker = getattr(model.tokenizer, "mask_token", None)
        texts = [prompt] if isinstance(prompt, str) else [m["content"] for m in prompt if isinstance(m, dict)]
        if model.mask_id in ids or (marker and any(marker in text for text in texts)):
            raise ValueError(
                "the prompt holds a mask: generate() answers after a prompt; decoding the masks inside a text is "
                "`fill`, which this version does not have"
            )
        if len(ids) + new > model.context:
            raise ValueError(
                f"a prompt of {len(ids)} tokens and {new} new ones exceed the context of {model.name} "
                f"({model.context}): shorten the prompt or lower max_new_tokens (--max-new-tokens)"
            )
        return ids


class _Result(NamedTuple):
    answer: list[int]
    stats: RowStats
    events: list[Event]


def _until_eos(answer: list[int], eos_ids: tuple[int, ...]) -> list[int]:
    return answer[: next((i for i, token in enumerate(answer) if token in eos_ids), len(answer))]


def _stats(counts: Counts, tokens: int, prefill: int) -> RowStats:
    steps, nfe, fills, replaces, remasks, forced, stopped = (int(c) for c in counts)
    return RowStats(
        steps=steps,
        nfe=nfe,
        prefill=prefill,
        tokens=tokens,
        fills=fills,
        replaces=replaces,
        remasks=remasks,
        edits_per_100=100 * (replaces + remasks) / max(tokens, 1),
        tokens_per_forward=tokens / max(nfe, 1),
        forced=bool(forced),
        finish_reason="eos" if stopped else "length",
    )
