"""How texts read: their perplexity under the teacher, and how much of them is new."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch


def variety(texts: Sequence[str]) -> dict[str, float]:
    """Different groups of words among all, and groups of four that stood in their text before."""
    found = dict[str, float]()
    for n in (1, 2, 3, 4):
        groups = [
            [*zip(*(words[at:] for at in range(n)), strict=False)] for words in (text.lower().split() for text in texts)
        ]
        total = max(1, sum(map(len, groups)))
        if n < 4:
            found[f"distinct_{n}"] = len({one for text in groups for one in text}) / total
        else:
            found["repeated_4"] = sum(len(text) - len({*text}) for text in groups) / total
    return found


class Judge:
    """The teacher, as one that reads."""

    def __init__(self, folder: Path, device: str, size: int) -> None:
        import transformers

        loaded: Any = transformers.AutoModelForCausalLM
        dtype = torch.bfloat16 if device.startswith("cuda") else torch.float32
        self.model = loaded.from_pretrained(folder, dtype=dtype).to(device).eval()
        self.tokenizer: Any = transformers.AutoTokenizer.from_pretrained(folder)
        self.device, self.size = device, size

    @torch.inference_mode()
    def perplexity(self, beginnings: Sequence[str], texts: Sequence[str]) -> float | None:
        """Of the texts' tokens behind their beginnings, all together."""
        pairs = [
            [self.tokenizer.encode(part, add_special_tokens=False) for part in pair]
            for pair in zip(beginnings, texts, strict=True)
        ]
        lost, count = 0.0, 0
        for first in range(0, len(pairs), self.size):
            batch = pairs[first : first + self.size]
            width = max(len(one) + len(two) for one, two in batch)
            ids = torch.tensor([one + two + [0] * (width - len(one) - len(two)) for one, two in batch])
            place = torch.arange(width)[None]
            start, end = (
                torch.tensor(n)[:, None] for n in zip(*[(len(a), len(a) + len(b)) for a, b in batch], strict=True)
            )
            # No mask: what stands on the right of a text is not seen by it.
            logits = self.model(input_ids=ids.to(self.device)).logits[:, :-1].float()
            losses = torch.nn.functional.cross_entropy(
                logits.flatten(0, 1), ids[:, 1:].flatten().to(self.device), reduction="none"
            ).view(len(batch), -1)
            asked = ((place >= start.clamp(min=1)) & (place < end))[:, 1:].to(self.device)
            lost, count = lost + float(losses[asked].double().sum()), count + int(asked.sum())
        return math.exp(lost / count) if count else None
