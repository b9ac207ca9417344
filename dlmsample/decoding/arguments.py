"""What callers of the Sampler pass in, checked before any forward; every error names the remedy in one line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from dlmsample import rng
from dlmsample.decoding.answers import Stops, texts
from dlmsample.decoding.options import integer
from dlmsample.models.denoiser import Denoiser
from dlmsample.models.template import Template, open_template
from dlmsample.models.text.chat import Chat, Prompt

T = TypeVar("T")
R = TypeVar("R")
_NOTHING_TO_SEE = (
    "a canvas of masks alone gives no numbers with {} (its forward divides by the share of tokens that are no masks): "
    "give at least one other token"
)


class RowKeys:
    """A 64-bit key per prompt: of the seed, its ids, and how many equal prompts came before."""

    def __init__(self, seed: Any) -> None:
        self._seed = integer("seed", seed)
        self._seen: Counter[int] = Counter()  # by a hash, so that endless prompts leave a number each

    def of(self, ids: Sequence[int]) -> int:
        """The key of the next prompt."""
        prompt = hash(tuple(ids))
        self._seen[prompt] += 1
        return rng.sequence_key(self._seed, ids, self._seen[prompt] - 1)


def row_keys(seed: int | Sequence[int], ids: list[list[int]]) -> list[int]:
    """A key per prompt, see :class:`RowKeys`; with a seed for each, of that seed and its ids alone."""
    if hasattr(seed, "tolist"):  # an array of NumPy's or torch's
        seed = seed.tolist()  # type: ignore[union-attr]
    if isinstance(seed, Sequence) and not isinstance(seed, (str, bytes)):
        if len(seed) != len(ids):
            raise ValueError(f"{len(seed)} seeds for {len(ids)} prompts: give one int, or one per prompt")
        return [rng.sequence_key(integer("seed", s), i, 0) for s, i in zip(seed, ids, strict=True)]
    keys = RowKeys(seed)
    return [keys.of(prompt) for prompt in ids]


def listed(name: str, given: Any) -> list[Any]:
    """The prompts or texts that a caller gives; a single one, in any of its forms, is a list of one.

    Raises:
        ValueError: it is neither a prompt nor a list of prompts.

    Example:
        >>> listed("prompts", "one text"), listed("prompts", [5, 7]), listed("prompts", [[5], [7]])
        (['one text'], [[5, 7]], [[5], [7]])
    """
    if isinstance(given, str):
        return [given]
    if not isinstance(given, Iterable) or isinstance(given, (Mapping, bytes)):
        raise ValueError(
            f"{name} is a text, or a list of texts, of lists of messages or of lists of ids, not {given!r:.40}"
        )
    prompts = list(given)
    one = bool(prompts) and all(isinstance(part, (Mapping, int)) for part in prompts)  # a chat, or ids
    return [prompts] if one else prompts


def each(name: str, given: Sequence[T], read: Callable[[T], R]) -> list[R]:
    """Read every row; an error of one of several names it.

    Example:
        >>> each("prompts", ["1", "b"], int)
        Traceback (most recent call last):
        ValueError: prompts[1]: invalid literal for int() with base 10: 'b'
    """
    return [at_row(name, number, row, read) if len(given) > 1 else read(row) for number, row in enumerate(given)]


def at_row(name: str, number: int, row: T, read: Callable[[T], R]) -> R:
    """Read one row; an error names it, counted from 0 as everywhere in Python and in ``--json``."""
    try:
        return read(row)
    except ValueError as e:
        raise ValueError(f"{name}[{number}]: {e}") from e


class EncodedPrompt(NamedTuple):
    """A prompt as ids; :meth:`~dlmsample.decoding.sampler.Sampler.generate` takes it for a prompt, too."""

    before: list[int]  #: what precedes the answer
    behind: list[int]  #: what follows it: the special tokens that a tokenizer puts behind any text

    def canvas(self, new: Sequence[int]) -> list[int]:
        """The whole canvas, given the masks of the answer."""
        return [*self.before, *new, *self.behind]


class Canvases(NamedTuple):
    """What the prompts of a call become."""

    ids: list[list[int]]
    starts: list[int]  #: where in each of them the answer starts
    keys: list[int]  #: of each one's randomness
    new: int  #: positions of an answer


def encode_prompt(
    model: Denoiser,
    prompt: Prompt | EncodedPrompt,
    chat: Chat,
    new: int,
    template_args: Mapping[str, Any] | None = None,
) -> EncodedPrompt:
    """The ids of a prompt that leaves room for ``new`` tokens.

    A text may hold the characters ``[MASK]`` where the tokenizer takes them for plain text: the mask id is what a
    prompt must not hold.

    Raises:
        ValueError: it holds the mask id, is too long, or cannot be encoded.
    """
    if isinstance(prompt, EncodedPrompt):
        ids, behind = prompt
    else:
        ids, behind = model.enclosed(prompt, chat, template_args)
    if model.facts.mask_id in ids:
        raise ValueError(
            "the prompt holds a mask: generate() answers after a prompt; the masks inside a text are decoded by "
            "Sampler.fill (--template)"
        )
    if len(ids) + len(behind) + new > model.context:
        raise ValueError(
            f"a prompt of {len(ids) + len(behind)} tokens and {new} new ones exceed the context of {model.name} "
            f"({model.context}): shorten the prompt or lower max_new_tokens (--max-new-tokens)"
        )
    if model.interface.needs_text and not ids and not behind:
        raise ValueError(_NOTHING_TO_SEE.format(model.name))
    return EncodedPrompt(ids, behind)


def prompt_reader(
    model: Denoiser, chat: Chat, new: int, template_args: Mapping[str, Any] | None
) -> Callable[[Prompt], EncodedPrompt]:
    """:func:`encode_prompt` for the prompts of a call."""
    return lambda prompt: encode_prompt(model, prompt, chat, new, template_args)


def encode_prompts(
    model: Denoiser,
    prompts: Any,
    chat: Chat,
    template_args: Mapping[str, Any] | None,
    max_new_tokens: Any,
    seed: int | Sequence[int],
) -> Canvases:
    """The canvas of every prompt, with the masks of its answer.

    Raises:
        ValueError: as :func:`listed`, :func:`new_tokens`, :func:`encode_prompt` and :func:`row_keys`.
    """
    prompts, new = listed("prompts", prompts), new_tokens(model, max_new_tokens)
    rows = each("prompts", prompts, prompt_reader(model, chat, len(new), template_args))
    before = [row.before for row in rows]
    return Canvases([row.canvas(new) for row in rows], [len(ids) for ids in before], row_keys(seed, before), len(new))


def stop_strings(model: Denoiser, stop: Any) -> list[str]:
    """The stop strings to look for in an answer's text. One that is a single EOS is dropped: it ends the answer anyway.

    Raises:
        ValueError: no list of texts, an empty one, one with a special token, which texts leave out, or any for a model
            without a tokenizer.

    Example:
        >>> import dlmsample as ds
        >>> stop_strings(ds.load("nano"), ["####"])
        ['####']
    """
    strings = texts(() if stop is None else stop)
    if strings and model.tokenizer is None:
        raise ValueError(f"{model.name} has no tokenizer to read stop strings with: leave stop out")
    special = set(model.special_ids) if strings else set()
    kept = []
    for string in strings:
        ids = model.tokenizer.encode(string, add_special_tokens=False)  # type: ignore[union-attr]
        if len(ids) == 1 and ids[0] in model.eos_ids:
            continue
        if found := [i for i in ids if i in special]:
            raise ValueError(
                f"stop string {string!r} holds the special token {found[0]}, which no text shows, so it would never be "
                f"found: leave it out, or end answers at it: load(..., eos_ids={[*model.eos_ids, found[0]]})"
            )
        kept.append(string)
    return kept


def read_stops(model: Denoiser, stop: Any) -> Stops | None:
    """What looks for stop strings in an answer; None: there is nothing to look for. Raises as :func:`stop_strings`."""
    strings = stop_strings(model, stop)
    return Stops(strings, model.decode, model.facts.eos_ids) if strings else None


def encode_text(
    model: Denoiser, text: Prompt, chat: Chat = None, template_args: Mapping[str, Any] | None = None
) -> Template:
    """A text with masks as ids and in pieces.

    Raises:
        ValueError: it is too long, or cannot be encoded.
    """
    template = open_template(model, text, chat, template_args)
    if len(template.ids) > model.context:
        raise ValueError(
            f"a text of {len(template.ids)} tokens, masks included, exceeds the context of {model.name} "
            f"({model.context}): shorten it"
        )
    if model.interface.needs_text and template.ids and {*template.ids} == {model.mask_id}:
        raise ValueError(_NOTHING_TO_SEE.format(model.name))
    return template


def new_tokens(model: Denoiser, count: Any) -> list[int]:
    """The masks that follow a prompt.

    Raises:
        ValueError: fewer than one.
    """
    count = integer("max_new_tokens", count)
    if count < 1:
        raise ValueError(f"max_new_tokens must be 1 or more, not {count}")
    return [model.facts.mask_id] * count
