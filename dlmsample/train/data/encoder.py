"""Text to ids with a folder's tokenizer: the chat template around prompts, EOS after answers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from dlmsample.support.text import one_line
from dlmsample.train.config import TrainConfig, TrainError

_CONTENT = "dlmsampleprompttext"

RenderedTemplate = list[int | list[str | int]]
"""A rendered template: ids of special tokens, and spans of text; an int inside a span is a message's number."""


class Encoder:
    """Batches of text to ids; special tokens come from the chat template alone, never from the text itself.

    The template is rendered once for each sequence of roles and the texts are spliced in, which is several
    times faster than once per example. So a template that changes what a message says (beyond its ends) is
    not followed. Without a template a prompt stands behind the special tokens that the tokenizer puts before a text
    (none for most), as it does in decoding.

    Raises:
        TrainError: the folder holds no fast tokenizer.
    """

    def __init__(self, folder: Path, eos: int) -> None:
        from tokenizers import Tokenizer
        from transformers import AutoTokenizer

        if not (folder / "tokenizer.json").is_file():
            raise TrainError(f"no tokenizer.json in {folder}: set model.tokenizer to a tokenizer folder")
        self.eos, self.fast = eos, Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.fast.encode_special_tokens = True  # text never makes special ids
        self.outer: Any = AutoTokenizer.from_pretrained(str(folder))
        self.special = {t.content: i for i, t in self.outer.added_tokens_decoder.items() if t.special}
        self._forms: dict[tuple[str, ...], RenderedTemplate] = {(): []}

    def chats(self, roles: Sequence[tuple[str, ...]], contents: Sequence[tuple[str, ...]]) -> list[list[int]]:
        """Ids of conversations up to where the next answer begins.

        Args:
            roles: of each conversation, one a message.
            contents: of each conversation, one a message.

        Raises:
            TrainError: the template refuses these roles, or there is none and a role is not the one user's.
        """
        forms = [self.form(row) for row in roles]
        spans = [
            "".join(part if isinstance(part, str) else row[part] for part in piece)
            for form, row in zip(forms, contents, strict=True)
            for piece in form
            if not isinstance(piece, int)
        ]
        encoded = iter(self._encode(spans))
        return [list(_joined(form, encoded)) for form in forms]

    def rows(
        self, roles: Sequence[tuple[str, ...]], contents: Sequence[tuple[str, ...]], answers: Sequence[str]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """:meth:`chats` and their :meth:`answers`, see :func:`flatten`; of a document no roles are given."""
        return flatten(self.chats(roles, contents), self.answers(answers))

    def answers(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of texts taken as they are, each with one EOS behind it."""
        return [[*ids, self.eos] for ids in self._encode(texts)]

    def form(self, roles: tuple[str, ...]) -> RenderedTemplate:
        """The template rendered for these roles; nothing for none.

        Raises:
            TrainError: see :meth:`chats`.
        """
        if roles not in self._forms:
            self._forms[roles] = self._render(roles)
        return self._forms[roles]

    def _render(self, roles: tuple[str, ...]) -> RenderedTemplate:
        marks = [f"{_CONTENT}{number:04d}" for number in range(len(roles))]
        text = marks[0]
        if self.outer.chat_template:
            messages = [{"role": role, "content": mark} for role, mark in zip(roles, marks, strict=True)]
            try:
                text = str(self.outer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
            except Exception as error:  # a template raises what it likes
                said = one_line(error)
                raise TrainError(f"the chat template refuses the roles {', '.join(roles)}: {said}") from None
        elif roles != ("user",):
            raise TrainError("the tokenizer has no chat template: give prompt and answer, not messages")
        if any(text.count(mark) != 1 for mark in marks):
            raise TrainError(f"the chat template leaves out or repeats a message of the roles {', '.join(roles)}")
        form: RenderedTemplate = []
        names = sorted(map(re.escape, self.special), key=len, reverse=True)
        for part in re.split(f"({'|'.join([_CONTENT + '[0-9]{4}', *names])})", text):
            if part in self.special:
                form.append(self.special[part])
            elif part:
                if not form or isinstance(form[-1], int):
                    form.append([])
                span = form[-1]
                assert isinstance(span, list)
                span.append(marks.index(part) if part in marks else part)
        return form if self.outer.chat_template else self._behind_special_tokens(form, text)

    def _behind_special_tokens(self, form: RenderedTemplate, text: str) -> RenderedTemplate:
        whole, inside = (self.outer.encode(text, add_special_tokens=special) for special in (True, False))
        starts = range(len(whole) - len(inside) + 1)
        start = next((at for at in starts if whole[at : at + len(inside)] == inside), 0)
        return [*whole[:start], *form]

    def _encode(self, texts: Sequence[str]) -> list[list[int]]:
        return [encoding.ids for encoding in self.fast.encode_batch_fast(list(texts), add_special_tokens=False)]


def flatten(prompts: list[list[int]], answers: list[list[int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows as one int32 array, with their prompt and answer lengths (int64 ``[row]``)."""
    prompt, answer = (np.array([len(ids) for ids in part], dtype=np.int64) for part in (prompts, answers))
    ids = chain.from_iterable(part for row in zip(prompts, answers, strict=True) for part in row)
    return np.fromiter(ids, dtype=np.int32, count=int(prompt.sum() + answer.sum())), prompt, answer


def make_encoder(config: TrainConfig, local: bool = False) -> Encoder:
    """The encoder of a run; a tokenizer on the hub is fetched unless ``local``.

    Raises:
        TrainError: no tokenizer there.
    """
    folder = config.tokenizer_folder
    if not folder.exists() and len(folder.parts) == 2 and folder.parts[0] not in (".", "..", "~", "/"):
        folder = _fetch("/".join(folder.parts), local)
    return Encoder(folder, config.geometry.eos_ids[0])


def _fetch(name: str, local: bool) -> Path:
    from huggingface_hub import snapshot_download

    patterns = ["tokenizer*", "special_tokens_map.json", "chat_template*"]
    try:
        return Path(snapshot_download(name, allow_patterns=patterns, local_files_only=local))
    except Exception as error:  # its errors are those of many libraries
        said = one_line(error, 200)
        raise TrainError(f"cannot get the tokenizer of {name}: {said}; or set model.tokenizer to a folder") from None


def _joined(form: RenderedTemplate, encoded: Iterator[list[int]]) -> Iterator[int]:
    for piece in form:
        if isinstance(piece, int):
            yield piece
        else:
            yield from next(encoded)
