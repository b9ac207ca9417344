"""What the papers' own code decodes from the same logits, token for token.

``published.json`` holds what came out of it, and out of which commit; the code itself is not here. It was given the
logits of :func:`tests.zoo.fake.gentle`, the mask id at -1e9, one block, temperature 0.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import dlmsample as ds
from tests.toys import scripted_model
from tests.zoo.fake import VOCAB, gentle

PUBLISHED: dict[str, Any] = json.loads(Path(__file__).with_name("published.json").read_text(encoding="utf-8"))
NAMES = [name for name in PUBLISHED if name not in ("source", "counts")]


@pytest.mark.parametrize("name", NAMES)
def test_the_published_code_decodes_the_same(name: str, tmp_path: Path) -> None:
    counts = tmp_path / "counts.json"
    counts.write_text(json.dumps(PUBLISHED["counts"]), encoding="utf-8")
    files = {"frequencies": str(counts)} if name == "pc_sampler" else {}
    model, steps = scripted_model(gentle, vocab=VOCAB, eos_ids=()), set()
    for row in PUBLISHED[name]:
        sampler = ds.Sampler(model, ds.policy(name, **row["options"], **files), block_length="all")
        out = sampler.generate([row["prompt"]], max_new_tokens=len(row["tokens"]), record=True)
        stats, events = out.stats[0], (out.trace or [[]])[0]
        assert out.tokens[0] == row["tokens"]
        assert (stats.steps, stats.nfe) == (row.get("steps", stats.steps), row.get("nfe", stats.nfe))
        if "order" in row:
            assert [sorted(e.position for e in events if e.step == s) for s in range(stats.steps)] == row["order"]
        steps.add(stats.steps)
    assert len(steps) > 1, "the options make a difference"
