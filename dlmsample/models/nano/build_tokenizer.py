"""Build nano's tokenizer: ``python -m dlmsample.models.nano.build_tokenizer [FOLDER]`` (ten seconds).

Byte-level BPE over generated training problems: 1,024 ids, namely pad 0, eos 1, mask 2, the 256 bytes, and
merges. Each digit is a token of its own; runs of punctuation take a space on either side (`` + ``, `` = ``),
words one in front. No normalisation and no special tokens added, so ``decode(encode(text)) == text`` for any
text; a special token's name inside a text is ordinary text. The same input gives the same files.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from dlmsample.tasks.wordproblems import texts

VOCABULARY = 1024
PROBLEMS = 30_000
PAD, EOS, MASK = "<|pad|>", "<|eos|>", "<|mask|>"
CONTEXT = 2048

PIECES = r"\p{N}| ?\p{L}+| ?[^\s\p{L}\p{N}]+(?:\s(?!\p{L}))?|\s+(?!\S)|\s+"
"""Merges never cross the borders of these: a digit; a word; punctuation; white space."""

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'user' %}{{ 'Q: ' + message['content'] + '\n' }}"
    "{% elif message['role'] == 'assistant' %}{{ 'A: ' + message['content'] + '\n' }}"
    "{% else %}{{ message['content'] + '\n' }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ 'A:' }}{% endif %}"
)
"""``Q: ...\\nA:``, after which an answer follows as ``Example.completion``: a space, the solution."""


def build(problems: int = PROBLEMS, vocabulary: int = VOCABULARY) -> PreTrainedTokenizerFast:
    """Train the tokenizer on that many problems of the train split, of every number of steps.

    Raises: ValueError if they do not yield the asked vocabulary.

    Example:
        >>> tokenizer = build(problems=100, vocabulary=300)
        >>> len(tokenizer), tokenizer.tokenize("12")
        (300, ['1', '2'])
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[PAD, EOS, MASK],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_corpus(problems), trainer)
    if tokenizer.get_vocab_size() != vocabulary:
        raise ValueError(f"got {tokenizer.get_vocab_size()} tokens, not {vocabulary}: use more problems")
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=EOS,
        mask_token=MASK,
        clean_up_tokenization_spaces=False,
        split_special_tokens=True,
        model_max_length=CONTEXT,
        padding_side="left",
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast


def _corpus(problems: int) -> Iterator[str]:
    for number, text in enumerate(texts("train", problems, free_wording=False)):
        yield f"A:{text}" if number % 2 else f"Q: {text}\n"


def main(folder: str | Path = Path(__file__).parent) -> None:
    """Build and write tokenizer.json, tokenizer_config.json and chat_template.jinja into ``folder``."""
    build().save_pretrained(str(folder))


if __name__ == "__main__":
    main(*sys.argv[1:2])
