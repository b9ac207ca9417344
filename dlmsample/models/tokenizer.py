"""A checkpoint's tokenizer: whether a folder has one, and whether its vocabulary came with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlmsample.models.hub import gist, not_fetched
from dlmsample.models.weight_files import check_pointers
from dlmsample.support.text import parse_json

#: What any tokenizer encodes, if need be as unknown.
_ANY_TEXT = "a \u2603"
#: Tokens of more than one letter that need no merge, beside a fiftieth of all: special ones, and what some add by hand.
_UNMADE = 16
_PARTS = ("vocab.json", "merges.txt")
#: A folder has a tokenizer if all files of one of these groups lie in it.
_FILES = (
    ("tokenizer_config.json",),
    ("tokenizer.json",),
    ("vocab.txt",),
    _PARTS,
    ("tokenizer.model",),
    ("spiece.model",),
)
#: What lies beside a tokenizer's vocabulary and is of no use without it.
_REMAINS = ("merges.txt", "special_tokens_map.json", "added_tokens.json", "chat_template.jinja")


def read_tokenizer(
    where: str,
    kind: str,
    trust_remote_code: bool,
    revision: str | None = None,
    of_parts: str = "",
    config: Any = None,
) -> Any | None:
    """The tokenizer, or None for a folder that has none.

    Args:
        where: a folder or a hub id.
        kind: the transformers class that reads its files, whatever they name; "": the one they name.
        trust_remote_code: whether that may be code that comes with the checkpoint.
        revision: of the hub id.
        of_parts: the class that reads a folder with vocab.json and merges.txt but no tokenizer.json; "": ``kind``.
        config: the configuration that says which class reads them where the files name none; None: read from there.

    Raises:
        ValueError: its files cannot be read, or its vocabulary is missing.
    """
    folder = Path(where)
    if folder.is_dir():
        check_pointers(where, folder, [file for group in _FILES for file in group])
        if not _has(folder, _FILES):
            if any((folder / file).is_file() for file in _REMAINS):
                raise _without_vocabulary(where)
            return None
        whole = (folder / "tokenizer.json").is_file()
        if not whole and _has(folder, [_PARTS]):
            kind = of_parts or kind
        if not whole and kind == "PreTrainedTokenizerFast" and _has(folder, _FILES[1:]):
            raise ValueError(f"the download of the tokenizer in {where!r} is incomplete: its tokenizer.json is missing")
    import transformers

    pinned = {} if revision is None else {"revision": revision}
    try:
        if kind:
            tokenizer = getattr(transformers, kind).from_pretrained(where, **pinned)
        else:
            options = {**pinned, "trust_remote_code": trust_remote_code, "config": config}
            tokenizer = transformers.AutoTokenizer.from_pretrained(where, **options)
    except Exception as e:  # the tokenizers library raises bare exceptions on a broken file
        if (reason := not_fetched(e, where, where, revision)) is not None:
            raise ValueError(reason) from e
        if folder.is_dir() and not _has(folder, _FILES[1:]):
            raise _without_vocabulary(where) from e
        raise ValueError(f"cannot read the tokenizer in {where}: {gist(e)}; repair or remove its files") from e
    if folder.is_dir() and tokenizer is not None and _is_empty(tokenizer):
        raise _without_vocabulary(where)
    if folder.is_dir() and not (folder / "tokenizer.json").is_file():
        _check_texts(where, folder, tokenizer)
    try:
        if tokenizer is not None:
            tokenizer.decode(tokenizer.encode(_ANY_TEXT))
    except Exception as e:  # bare ones, too
        raise ValueError(
            f"the tokenizer in {where} cannot encode a text ({gist(e)}): its files are incomplete or damaged; "
            "download them again"
        ) from e
    template = getattr(tokenizer, "chat_template", None)
    if tokenizer is not None and isinstance(template, str):
        tokenizer.chat_template = template.removeprefix("\ufeff")  # a mark of byte order is no text
    return tokenizer


def _has(folder: Path, groups: Sequence[Sequence[str]]) -> bool:
    return any(all((folder / file).is_file() for file in group) for group in groups)


def _is_empty(tokenizer: Any) -> bool:
    """Whether it knows special tokens alone: transformers makes such a tokenizer where the vocabulary was lost."""
    special = {*getattr(tokenizer, "all_special_tokens", ())}
    special |= {str(token) for token in getattr(tokenizer, "added_tokens_decoder", {}).values()}
    return not {*tokenizer.get_vocab()} - special


def _check_texts(where: str, folder: Path, tokenizer: Any) -> None:
    """Refuse lists of tokens that are zero bytes in part, and merges that were cut off.

    A text would be encoded all the same, letter by letter or as unknown.

    Raises:
        ValueError: zero bytes; or tokens of the vocabulary that no merge makes, beyond the few that are special.
    """
    for file in ("merges.txt", "vocab.txt"):
        if (folder / file).is_file() and b"\0" in (folder / file).read_bytes():
            raise ValueError(f"{file} in {where!r} holds zero bytes, as a broken download does: download it again")
    try:
        vocabulary = parse_json((folder / "vocab.json").read_text(encoding="utf-8"))
        lines = (folder / "merges.txt").read_text(encoding="utf-8").split("\n")
    except (OSError, ValueError):  # it has none, or was read by other means
        return
    added = {*getattr(tokenizer, "get_added_vocab", dict)()}
    longer = {token for token in vocabulary if len(token) > 1 and token not in added}
    unmade = longer - {line.rstrip("\r").replace(" ", "", 1) for line in lines}
    if (unmade and unmade == longer) or len(unmade) > _UNMADE + len(longer) // 50:
        raise ValueError(
            f"merges.txt in {where!r} is cut off: it makes {len(longer) - len(unmade)} of the {len(longer)} tokens of "
            "vocab.json that need it; download it again"
        )


def _without_vocabulary(where: str) -> ValueError:
    return ValueError(
        f"the tokenizer in {where!r} has no vocabulary: the download is incomplete; a tokenizer.json, or vocab.json "
        "and merges.txt, or a vocab.txt must lie there (without any tokenizer file, prompts are lists of ids)"
    )
