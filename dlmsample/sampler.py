"""The Sampler: the only decoding loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch

from dlmsample.batch import FINISHED, MOVED, STAYS, Settings, advance, tree_map
from dlmsample.canvas import Form, Result, open_canvases
from dlmsample.checks import check_options, encode_prompt, encode_text, listed
from dlmsample.inputs import integer, real, row_keys
from dlmsample.models.approximate import Approximation
from dlmsample.models.base import Denoiser, Prompt
from dlmsample.models.reader import Place
from dlmsample.models.readers import cache_kind, open_reader
from dlmsample.policies.base import Policy
from dlmsample.progress import Progress
from dlmsample.stopping import Stops, until_eos
from dlmsample.trace import Recorder
from dlmsample.types import CacheKind, Output


class Sampler:
    """Decode prompts, or the masks inside texts, with a checkpoint under a policy.

    Order of operations, for each batch:

    1. A canvas per row: the prompt's ids, then exactly ``max_new_tokens`` masks; or the ids of a text with masks. Rows
       stand at their own offsets.
    2. One forward over the blocks before the first mask fills the cache (block-causal models).
    3. One forward over the active block of every unfinished row. Rows may stand at different blocks and steps.
    4. :func:`dlmsample.batch.advance`: predict, policy step, bound, cache rule, EOS rule; tensors only.
    5. The host reads one small flag per row and, where there are stop strings, the text of blocks that are done.
       Finished rows leave the batch; go to 3 until none is left.
    6. Texts, tokens up to the first EOS or stop string, statistics and, if asked for, events.

    A batch gives exactly what its rows give alone (float32, CPU). The options are attributes to read, not to set.

    Args:
        model: from :func:`dlmsample.load`.
        policy: any :class:`~dlmsample.policies.base.Policy`.
        block_length: tokens; None: the model's own; "all": the whole answer is one block and the prompt another.
        temperature: 0 is greedy; otherwise candidates are sampled, confidences stay those of temperature 1.
        top_p: nucleus mass in (0, 1].
        top_k: candidates kept before top-p; None keeps all.
        batch_size: rows in one forward.
        cache: use the exact block cache where there is one; False forwards the whole canvas (same tokens, slower).
            "prefix" and "dual": approximations for bidirectional checkpoints (other tokens, faster), see
            :class:`~dlmsample.models.approximate.ApproximateReader`.
        refresh: of these, forwards in a block from one over the whole canvas to the next; None: only on entering one.

    Raises:
        ValueError: an option out of range, a block length the model cannot do, or a head that is missing.
        AttributeError: an option set later: make a new Sampler.

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
        cache: bool | Approximation = True,
        refresh: int | None = None,
    ) -> None:
        check_options(model, policy, block_length, temperature, top_p, top_k, batch_size, cache, refresh)
        self.model, self.policy = model, policy
        length = model.block_length if block_length is None else block_length
        self.block_length = length if isinstance(length, str) else int(length)
        self._form = self._cut_into(self.block_length)
        self._fill_form = self._form if block_length is not None else self._cut_into("all")
        self.temperature, self.top_p = real("temperature", temperature), real("top_p", top_p)
        self.top_k = None if top_k is None else int(top_k)
        self.batch_size, self.refresh = int(batch_size), None if refresh is None else int(refresh)
        self.cache: CacheKind = cache_kind(model, cache)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in vars(self):  # others were derived from it
            raise AttributeError(f"{name} of a Sampler cannot be changed: make a new Sampler")
        super().__setattr__(name, value)

    def generate(
        self,
        prompts: Sequence[Prompt],
        max_new_tokens: int = 128,
        seed: int | Sequence[int] = 0,
        record: bool = False,
        progress: bool = False,
        *,
        chat: bool | None = None,
        stop: Sequence[str] | None = None,
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
            stop: strings that end an answer, looked for in the text that ``texts`` shows. The text is cut before the
                first one; ``tokens`` go up to and including the token in which that text ends (which may hold the stop
                string's beginning). A row stops with the first block that completes a stop string.

        Returns:
            :class:`~dlmsample.types.Output`: tokens, texts, statistics, events; in the prompts' order.

        Raises:
            ValueError: a prompt that is too long, holds a mask (``[MASK]`` too), or cannot be encoded; a single prompt
                instead of a list; ``max_new_tokens`` below 1; a seed list of another length; a single stop string
                instead of a list, an empty one, or any for a model without a tokenizer.
        """
        prompts = listed("prompts", "prompt", prompts)
        max_new_tokens = integer("max_new_tokens", max_new_tokens)
        if max_new_tokens < 1:
            raise ValueError(f"max_new_tokens must be 1 or more, not {max_new_tokens}")
        model = self.model
        stops = Stops(stop or (), model.decode, model.eos_ids)
        if stops and model.tokenizer is None:
            raise ValueError(f"{model.name} has no tokenizer to read stop strings with: leave stop out")
        ids = [encode_prompt(model, prompt, chat, max_new_tokens) for prompt in prompts]
        answer = [model.mask_id] * max_new_tokens
        results = self._run([p + answer for p in ids], row_keys(seed, ids), False, record, progress, stops)

        answers = [until_eos(r.canvas[len(p) :], model.eos_ids) for r, p in zip(results, ids, strict=True)]
        texts = None if model.tokenizer is None else [model.decode(answer) for answer in answers]
        for i, result in enumerate(results):
            if result.cut is not None and texts is not None:
                answers[i], texts[i] = answers[i][: result.cut.tokens], result.cut.text
        return self._output(results, answers, texts, record)

    def fill(
        self,
        texts: Sequence[Prompt],
        seed: int | Sequence[int] = 0,
        record: bool = False,
        progress: bool = False,
    ) -> Output:
        """Decode the masks inside given texts; nothing else changes.

        Given text before and behind a mask is context: seen as far as the model's attention reaches, never edited,
        never counted. A budget of ``steps`` counts the masks. By default all of a text's masks are one block, which
        reaches from the first mask to the text's end; with a ``block_length`` given, blocks without masks cost
        nothing, or, where there is a cache, a forward that writes them. EOS stops nothing; special tokens are no
        candidates.

        Args:
            texts: texts with ``[MASK]`` or the tokenizer's own mask string (see
                :func:`dlmsample.models.template.encode_template`; no chat template), chat messages with masks in
                them, or lists of ids with the model's mask id.
            seed: of all randomness, as in :meth:`generate`.
            record: keep every event in ``out.trace``; positions number the masks of the text.
            progress: a progress bar on standard error when it is a terminal.

        Returns:
            :class:`~dlmsample.types.Output`: ``texts`` whole, special tokens left out; ``tokens`` the ids placed
            at the masks, in order. A text without a mask comes back as it is, at no cost.

        Raises:
            ValueError: a text that is too long or cannot be encoded; a single text instead of a list; a seed list of
                another length.

        Example:
            >>> import dlmsample as ds
            >>> sampler = ds.Sampler(ds.load("nano"), ds.Unmask())
            >>> sampler.fill(["Q: Ann had 3 pens and got 4. How many?\\nA: 3 + 4 = [MASK]. So Ann has 7."]).texts
            ['Q: Ann had 3 pens and got 4. How many?\\nA: 3 + 4 = 7. So Ann has 7.']
        """
        texts = listed("texts", "text", texts)
        model = self.model
        ids = [encode_text(model, text) for text in texts]
        results = self._run(ids, row_keys(seed, ids), True, record, progress)

        placed = [
            [new for old, new in zip(given, r.canvas, strict=True) if old == model.mask_id]
            for given, r in zip(ids, results, strict=True)
        ]
        whole = None
        if model.tokenizer is not None:
            rows = zip(texts, placed, results, strict=True)
            whole = [t if isinstance(t, str) and not new else model.decode(r.canvas) for t, new, r in rows]
        return self._output(results, placed, whole, record)

    def _output(self, results: list[Result], tokens: list[list[int]], texts: list[str] | None, record: bool) -> Output:
        """What a caller gets: the tokens and texts of the decoded rows, and their figures."""
        return Output(
            tokens=tokens,
            stats=[r.stats(len(ids)) for r, ids in zip(results, tokens, strict=True)],
            trace=[list(r.events) for r in results] if record else None,
            decoded=texts,
            cache=self.cache,
        )

    def _run(
        self,
        canvases: list[list[int]],
        keys: list[int],
        filling: bool,
        record: bool,
        progress: bool,
        stops: Stops | None = None,
    ) -> list[Result]:
        """Every canvas decoded, in batches of similar length; in the order given."""
        results = [Result(canvas) for canvas in canvases]
        todo = [i for i, canvas in enumerate(canvases) if self.model.mask_id in canvas]
        todo.sort(key=lambda i: len(canvases[i]))  # equal lengths together: less padding
        with Progress(len(todo), progress) as bar, torch.no_grad():
            for at in range(0, len(todo), self.batch_size):
                batch = todo[at : at + self.batch_size]
                some, their_keys = [canvases[i] for i in batch], [keys[i] for i in batch]
                for i, result in zip(batch, self._decode(some, their_keys, filling, record, bar, stops), strict=True):
                    results[i] = result
        return results

    def _decode(
        self,
        canvases: list[list[int]],
        keys: list[int],
        filling: bool,
        record: bool,
        bar: Progress,
        stops: Stops | None,
    ) -> list[Result]:
        """Steps 1 to 6 for one batch; results in the order of ``canvases``."""
        model, form = self.model, self._fill_form if filling else self._form
        batch = open_canvases(canvases, keys, form, model.mask_id, model.device)
        rows, layout, first = batch.rows, batch.layout, batch.first
        score = "error" in self.policy.needs
        reader = open_reader(
            model, rows.canvas, layout, max(first), cache=self.cache, score=score, refresh=self.refresh
        )
        eos_ids, special = ((), model.special_ids) if filling else (model.eos_ids, None)
        settings = Settings(
            policy=self.policy,
            mask_id=model.mask_id,
            eos_ids=torch.tensor(eos_ids, dtype=torch.long, device=rows.start.device),
            temperature=self.temperature,
            top_p=self.top_p,
            top_k=self.top_k,
            cached=reader.cached,
            special=None if special is None else torch.tensor(special, device=rows.start.device),
            whole=isinstance(form.block_length, str),
            gaps=batch.gaps,
        )
        recorder = Recorder() if record else None
        places = list(range(len(canvases)))  # of the rows still in the batch
        # of every row: its blocks; the one it is at, and the forwards it has had there
        starts, turn, age = batch.starts(reader.cached), [0] * len(canvases), [0] * len(canvases)
        answer = [canvas.index(model.mask_id) for canvas in canvases]
        results = [Result(canvas, prefill=int(reader.cached and first[i] > 0)) for i, canvas in enumerate(canvases)]
        while places:
            known = [Place(starts[i][turn[i]], age[i]) for i in places]
            features = reader.read(rows.canvas, layout, rows.start, known)
            rows, outcome, change = advance(rows, layout, features, settings)
            if recorder is not None:
                recorder.add(places, change)
            flags = outcome.tolist()  # the one look of the host
            if stops:
                for j, i in enumerate(places):
                    end = min(starts[i][turn[i]] + layout.width, len(canvases[i]))
                    if flags[j] != STAYS and (cut := stops.cut(rows.canvas[j, answer[i] : end].tolist())):
                        flags[j], results[i] = FINISHED, results[i]._replace(cut=cut)
            bar.tick(flags.count(FINISHED))
            for i, flag in zip(places, flags, strict=True):
                turn[i] += flag == MOVED
                age[i] = 0 if flag == MOVED else age[i] + 1
            if FINISHED not in flags:
                continue
            for j, i in enumerate(places):
                if flags[j] == FINISHED:
                    counts = tree_map(lambda t, j=j: t[j], rows.counts)
                    results[i] = results[i]._replace(canvas=rows.canvas[j, : len(canvases[i])].tolist(), counts=counts)
            stay = [j for j, flag in enumerate(flags) if flag != FINISHED]
            places = [places[j] for j in stay]
            kept = torch.tensor(stay, dtype=torch.long, device=rows.start.device)
            rows, layout = tree_map(lambda t, kept=kept: t[kept], rows), layout.keep(kept)
            reader.keep(kept)
        if recorder is not None:
            events = recorder.events(first, layout.width, model.mask_id)
            results = [r._replace(events=e) for r, e in zip(results, events, strict=True)]
        return results

    def _cut_into(self, block_length: int | Literal["all"]) -> Form:
        """How canvases are cut: "all" counts from the prompt's end, whatever the model's alignment."""
        return Form(block_length, block_length == "all" or self.model.block_alignment == "prompt")
