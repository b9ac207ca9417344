"""A tokenizer and training rows from sampled texts.

    python -m benchmarks.tales.rows runs/tales --out runs/tales/data --size 4096

Reads every ``part-*.jsonl`` in the folder, in order; of texts with the same opening in several parts the first stays.
Writes OUT/tokenizer (byte-level BPE, learned from a share of the texts), OUT/train.jsonl and OUT/held.jsonl. A text is
held out by a hash of its first words: one in a hundred. Three in ten rows are whole texts, the others continue a
beginning: the prompt is one to three sentences, the answer is the rest.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.tales.kept import opening, sentences

SPECIAL = {"pad_token": "<|pad|>", "eos_token": "<|eos|>", "mask_token": "<|mask|>"}  # ids 0, 1, 2
SPLIT = r"\p{N}| ?\p{L}+|'\p{L}+| ?[^\s\p{L}\p{N}]+|\s+"
WHOLE = 0.3
HELD = 100
FIRST = 8  #: words that no held-out text shares with one of the others


def texts(folder: Path) -> Iterator[str]:
    """Every text once, in the order of the parts."""
    seen = set[str]()
    for path in sorted(folder.glob("part-*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            text = json.loads(line)["text"]
            if opening(text) not in seen:
                seen.add(opening(text))
                yield text


def number(text: str) -> int:
    """By which a text is put aside, and its row is cut; equal for texts with the same first words."""
    return int.from_bytes(hashlib.blake2b(opening(text, FIRST).encode(), digest_size=8).digest(), "big")


def row(text: str) -> dict[str, str]:
    """A training row: the whole text, or a beginning of whole sentences and the rest.

    Example:
        >>> row("A cat sat here. It slept. It woke up.")
        {'prompt': 'A cat sat here. It slept.', 'answer': ' It woke up.'}
    """
    draw = random.Random(number(text))
    parts = sentences(text)
    most = min(3, len(parts) - 1)
    if draw.random() < WHOLE or most < 1:
        return {"text": text}
    prompt = " ".join(parts[: draw.randint(1, most)])
    return {"prompt": prompt, "answer": text[len(prompt) :]}


def learn(lines: Sequence[str], size: int, folder: Path) -> None:
    """A tokenizer's folder."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE())
    parts = [pre_tokenizers.Split(Regex(SPLIT), "isolated"), pre_tokenizers.ByteLevel(False, use_regex=False)]
    made.pre_tokenizer = pre_tokenizers.Sequence(parts)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = list(SPECIAL.values())
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=special, initial_alphabet=alphabet)
    made.train_from_iterator(lines, trainer)
    wrapped = PreTrainedTokenizerFast(tokenizer_object=made, padding_side="left", split_special_tokens=True, **SPECIAL)
    wrapped.save_pretrained(folder)


def main(args: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", type=int, default=4096, help="of the vocabulary")
    parser.add_argument("--learn", type=int, default=50_000, help="texts that the tokenizer is learned from")
    parser.add_argument("--held", type=int, default=HELD, help="one text in so many is held out")
    given = parser.parse_args(args)
    found = list(texts(given.folder))
    given.out.mkdir(parents=True, exist_ok=True)
    learn([text for text in found if number(text) % given.held][: given.learn], given.size, given.out / "tokenizer")
    for name, held in (("train", False), ("held", True)):
        lines = [json.dumps(row(text)) + "\n" for text in found if (number(text) % given.held == 0) == held]
        (given.out / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
        print(f"{name}: {len(lines):,} texts")


if __name__ == "__main__":
    sys.exit(main())
