"""The Sampler: prompts in, answers out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from dlmsample.decoding import arguments, options
from dlmsample.decoding.ahead.next_block import checked as checked_next
from dlmsample.decoding.answers import Decoded, Stops, answer_of, filled, generated
from dlmsample.decoding.captured.pool import Pool
from dlmsample.decoding.grow import daedal
from dlmsample.decoding.loop import decode
from dlmsample.decoding.request import DecodingConfig, Recorded, Request, longest_first
from dlmsample.decoding.saved import Pretrained
from dlmsample.models.attention.approximate import Approximation
from dlmsample.models.attention.choice import cache_kind
from dlmsample.models.denoiser import Denoiser
from dlmsample.models.text.chat import Chat, Prompt
from dlmsample.policies.base import Policy
from dlmsample.support.progress import shown
from dlmsample.types import Answer, CacheKind, Output


class Sampler(Pretrained):
    """Decode prompts, or the masks inside texts, with a checkpoint under a policy.

    Order of operations, for each batch:

    1. A canvas per row: the prompt's ids, then exactly ``max_new_tokens`` masks, then what the tokenizer puts behind a
       text, like the [SEP] of a BERT; or the ids of a text with masks. Rows stand at their own offsets.
    2. One forward over the blocks before the first mask fills the cache (block-causal models).
    3. One forward over the active block of every unfinished row. Rows may stand at different blocks and steps.
    4. :func:`dlmsample.decoding.step.advance`: predict, policy step, bound, cache rule, EOS rule; tensors only.
    5. The host reads one small flag per row and, where there are stop strings, the text of blocks that are done.
       Finished rows give their places to the next ones (1, 2); go to 3 until none is left.
    6. Texts, tokens up to the first EOS or stop string, statistics and, if asked for, events.

    A batch gives exactly what its rows give alone (float32, CPU). The options are attributes to read, not to set.

    Args:
        model: from :func:`dlmsample.load`, or what it loads: a name, a folder or a hub id.
        policy: any :class:`~dlmsample.policies.base.Policy`, or the name of one with its defaults.
        block_length: tokens; None: the model's own; "all": the whole answer is one block and the prompt another.
        temperature: 0 is greedy; otherwise candidates are sampled, confidences stay those of temperature 1.
        top_p: nucleus mass in (0, 1].
        top_k: candidates kept before top-p; None keeps all.
        batch_size: rows in one forward.
        cache: use the exact block cache where there is one; False forwards the whole canvas (same tokens, slower).
            "prefix" and "dual": approximations for bidirectional checkpoints (other tokens, faster), see
            :class:`~dlmsample.models.attention.approximate.ApproximateReader`.
        refresh: with these, how many forwards from one over the whole canvas to the next; None: one per block.
        suffix: with these, how many positions behind the active block are looked at, those further behind do not exist
            for the model until their turn comes (other tokens, less to compute); None: all.
        next_block: (begin, settle): fill the next block, too, from these shares of the active one on (other tokens,
            fewer forwards; no cache): :class:`~dlmsample.decoding.ahead.next_block.NextBlock`.
        grow: let answers begin short and grow, up to ``max_new_tokens``; on bidirectional models:
            :class:`~dlmsample.decoding.grow.daedal.Daedal`.
        graphs: on a GPU, capture forwards as CUDA graphs where that can be: the same tokens, faster. Call
            :meth:`release` to free them, or when the module changes but its weights do not.

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
        model: Denoiser | str,
        policy: Policy | str,
        block_length: int | Literal["all"] | None = None,
        temperature: float = 0.0,
        top_p: float = 1.0,
        top_k: int | None = None,
        batch_size: int = 32,
        *,
        cache: bool | Approximation = True,
        refresh: int | None = None,
        suffix: int | None = None,
        next_block: tuple[float, float] | None = None,
        grow: daedal.Daedal | None = None,
        graphs: bool = True,
    ) -> None:
        sampling = temperature, top_p, top_k
        model, policy = options.checked(model, policy, block_length, *sampling, batch_size, cache, refresh, suffix)
        self.model, self.policy = model, policy
        length = model.facts.block_length if block_length is None else block_length
        self.block_length = length if isinstance(length, str) else int(length)
        self._filling_length: int | Literal["all"] = "all" if block_length is None else self.block_length
        self.temperature, self.top_p, self.top_k = float(temperature), float(top_p), top_k and int(top_k)
        self.batch_size, self.refresh = int(batch_size), refresh and int(refresh)
        self.cache: CacheKind = cache_kind(model, cache)
        self.suffix = suffix if suffix is None else int(suffix)
        own = model, policy, self.cache
        self.next_block = None if next_block is None else checked_next(next_block, *own, self.block_length == "all")
        self.grow = None if grow is None else daedal.checked(grow, *own, self.batch_size, self.next_block is not None)
        self.graphs, self._pool = bool(graphs), Pool(bool(graphs), self.batch_size)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in vars(self):  # others were derived from it
            raise AttributeError(f"{name} of a Sampler cannot be changed: make a new Sampler")
        super().__setattr__(name, value)

    def __repr__(self) -> str:
        return f"Sampler({self.model!r}, {self.policy!r}, block_length={self.block_length!r}, cache={self.cache!r})"

    def generate(
        self,
        prompts: Prompt | Sequence[Prompt],
        max_new_tokens: int = 128,
        seed: int | Sequence[int] = 0,
        record: Recorded = False,
        progress: bool = False,
        *,
        chat: Chat = None,
        template_args: Mapping[str, Any] | None = None,
        stop: Sequence[str] | None = None,
    ) -> Output:
        """Answer every prompt.

        Args:
            prompts: texts, chats (messages with a text or parts of type "text" each), lists of ids; or one of these.
            max_new_tokens: answer positions of the canvas.
            seed: of all randomness (samples, random scores): one int, or one per prompt; with one int, repeated
                prompts still differ.
            record: keep every event in ``out.trace``; "alternatives": with entropy and the most probable tokens.
            progress: a progress bar on standard error when it is a terminal.
            chat: None applies the tokenizer's chat template to texts if it has one, False never; ``"text"`` takes texts
                that have been through a template; ``"continue"`` goes on with the last message of a chat:
                :meth:`dlmsample.models.denoiser.Denoiser.encode`.
            template_args: variables of the chat template, such as ``{"enable_thinking": False}`` or ``tools``.
            stop: strings that end an answer, looked for in the text that ``texts`` shows. The text is cut before the
                first one; ``tokens`` go up to and including the token in which that text ends (which may hold the stop
                string's beginning). A row stops with the first block that completes a stop string.

        Returns:
            :class:`~dlmsample.types.Output`: tokens, texts, statistics, events; in the prompts' order.

        Raises:
            ValueError: a prompt that is too long, holds the mask id, or cannot be encoded (one of several is named); a
                single stop string instead of a list, an empty one, or any for a model without a tokenizer;
                ``max_new_tokens`` below 1; a seed list of another length.
        """
        stops = None if stop is None else arguments.read_stops(self.model, stop)
        rows = arguments.encode_prompts(self.model, prompts, chat, template_args, max_new_tokens, seed)
        results = self._run(rows.ids, rows.keys, self.config(record=record), progress, bool(record), stops)
        return generated(self.model, results, rows.starts, rows.new, record, self.cache)

    def stream(
        self,
        prompts: Iterable[Prompt],
        max_new_tokens: int = 128,
        seed: int = 0,
        record: Recorded = False,
        *,
        chat: Chat = None,
        template_args: Mapping[str, Any] | None = None,
        stop: Sequence[str] | None = None,
    ) -> Iterator[Answer]:
        """Answer prompts as they come; each answer as soon as it is done.

        Prompts are read when rows of the batch are free, never further ahead than one; reading waits for the iterable,
        and the first ``batch_size`` are read before the first forward. The answers are those of :meth:`generate`; a
        prompt longer than all before it waits until the batch is empty.

        Args:
            prompts: any iterable, endless ones too.
            max_new_tokens: as in :meth:`generate`, and so is what follows.

        Returns:
            :class:`~dlmsample.types.Answer` by answer, as they are done; inside one looks :func:`dlmsample.watch`.

        Raises:
            ValueError: as :meth:`generate`; for a bad prompt when all before it are answered.

        Example:
            >>> import dlmsample as ds
            >>> sampler = ds.Sampler(ds.load("nano"), ds.Unmask(), batch_size=2)
            >>> sums = (f"Ann had {n} pens and bought 2 more. How many pens does Ann have?" for n in range(3, 6))
            >>> {answer.number: answer.text.split()[-1] for answer in sampler.stream(sums)} == {0: "5", 1: "6", 2: "7"}
            True
        """
        if isinstance(prompts, (str, bytes, Mapping)) or not isinstance(prompts, Iterable):
            raise ValueError(f"stream takes an iterable of prompts, not {type(prompts).__name__}: wrap one in [ ]")
        stops, new = arguments.read_stops(self.model, stop), arguments.new_tokens(self.model, max_new_tokens)
        read = arguments.prompt_reader(self.model, chat, len(new), template_args)
        keys, lengths = arguments.RowKeys(seed), dict[int, int]()

        def requests() -> Iterator[Request]:
            for number, prompt in enumerate(prompts):
                row = arguments.at_row("prompts", number, prompt, read)
                lengths[number] = len(row.before)
                yield Request(number, row.canvas(new), keys.of(row.before), stops, bool(record))

        def answers() -> Iterator[Answer]:
            for number, result in self._decode(requests(), self.config(record=record)):
                tokens, text = answer_of(self.model, result, lengths.pop(number), len(new))
                stats, trace = result.stats(len(tokens)), list(result.events) if record else None
                yield Answer(number, tokens, text, stats, trace, self.cache)

        return answers()

    def fill(
        self,
        texts: Prompt | Sequence[Prompt],
        seed: int | Sequence[int] = 0,
        record: Recorded = False,
        progress: bool = False,
        *,
        chat: Chat = None,
        template_args: Mapping[str, Any] | None = None,
    ) -> Output:
        """Decode the masks inside given texts; nothing else changes.

        What is placed is spliced into the given text, which comes back to the character
        (:func:`dlmsample.models.splice.splice`). It is context before and behind a mask: seen as far as the model's
        attention reaches, never edited, never counted. A budget of ``steps`` counts the masks. By default all of a
        text's masks are one block, which reaches from the first mask to the text's end; with a ``block_length`` given,
        blocks without masks cost nothing, or, where there is a cache, a forward that writes them. EOS stops nothing;
        special tokens are no candidates.

        Args:
            texts: texts with ``[MASK]`` or the tokenizer's own mask string (no chat template), chat messages with masks
                in them, or lists of ids with the model's mask id: :func:`dlmsample.models.template.open_template`.
            seed: of all randomness, as in :meth:`generate`.
            record: keep every event in ``out.trace``; positions number the masks of the text.
            progress: a progress bar on standard error when it is a terminal.
            chat: ``"text"`` for texts that have been through a template; ``"continue"``: a chat's last turn stays open.
            template_args: as in :meth:`generate`, for chats.

        Returns:
            :class:`~dlmsample.types.Output`: ``texts`` whole, of a chat with the separators of its template, of ids
            without special tokens; ``tokens`` the ids placed at the masks, in order. A text without a mask comes back
            as it is, at no cost.

        Raises:
            ValueError: a text that is too long or cannot be encoded (one of several is named); a seed list of another
                length.

        Example:
            >>> import dlmsample as ds
            >>> sampler = ds.Sampler(ds.load("nano"), ds.Unmask())
            >>> sampler.fill(["Q: Ann had 3 pens and got 4. How many?\\nA: 3 + 4 = [MASK]. So Ann has 7."]).texts
            ['Q: Ann had 3 pens and got 4. How many?\\nA: 3 + 4 = 7. So Ann has 7.']
        """
        texts = arguments.listed("texts", texts)
        model = self.model
        rows = arguments.each("texts", texts, lambda text: arguments.encode_text(model, text, chat, template_args))
        ids = [row.ids for row in rows]
        keys = arguments.row_keys(seed, ids)
        results = self._run(ids, keys, self.config(filling=True, record=record), progress, bool(record))
        return filled(model, results, rows, record, self.cache)

    def release(self) -> None:
        """Give captured forwards and their memory back to torch, those of running calls as soon as these end.

        Example:
            >>> import dlmsample as ds
            >>> ds.Sampler(ds.load("nano"), ds.Unmask()).release()  # torch.cuda.empty_cache(): to other programs
        """
        self._pool.release()

    def _run(
        self,
        canvases: list[list[int]],
        keys: list[int],
        config: DecodingConfig,
        progress: bool,
        record: bool,
        stops: Stops | None = None,
    ) -> list[Decoded]:
        """Every canvas decoded; in the order given."""
        results = [Decoded(canvas) for canvas in canvases]
        todo = longest_first(canvases, config.segmentation, self.model.facts.mask_id)
        requests = [Request(i, canvases[i], keys[i], stops, record) for i in todo]
        with shown(len(todo), progress) as bar:
            for i, result in self._decode(requests, config, None if bar is None else bar.tick):
                results[i] = result
        return results

    def _decode(
        self, requests: Iterable[Request], config: DecodingConfig, on_tick: Callable[[int], None] | None = None
    ) -> Iterator[tuple[int, Decoded]]:
        """Steps 1 to 6 for each request; its result as soon as it is done."""
        return decode(requests, config, self.batch_size, self._pool.slots, on_tick)

    def config(self, filling: bool = False, record: Recorded = False) -> DecodingConfig:
        """What is the same for all rows that this sampler decodes: prompts, or (``filling``) texts with masks."""
        length = self._filling_length if filling else self.block_length
        sampling = self.temperature, self.top_p, self.top_k
        options.check_use({"next_block": self.next_block, "grow": self.grow}, filling, bool(record))
        made = DecodingConfig.make(self.model, self.policy, length, sampling, self.cache, self.refresh, filling, record)
        return made._replace(next_block=self.next_block, grow=self.grow, suffix=self.suffix)
