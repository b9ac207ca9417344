"""The whole decoding loop on one screen: a model, `predict` and a policy, one prompt, no cache.

``ds.Sampler`` gives the same tokens. It adds what one wants in earnest: batches, a cache, captured forwards, stop
strings and statistics.
"""

from __future__ import annotations

import torch

import dlmsample as ds
from dlmsample.predict import predict
from dlmsample.rng import fold, sequence_key


@torch.no_grad()
def decode(model: ds.Denoiser, policy: ds.Policy, prompt: str, new_tokens: int, seed: int = 0) -> list[int]:
    """The answer's ids before the first end-of-text id; for models whose blocks are counted from the prompt's end."""
    ids, length = model.encode(prompt), model.block_length
    canvas = torch.tensor([ids + [model.mask_id] * new_tokens])  # [row, pos], one row
    end, place = canvas.shape[1], torch.arange(canvas.shape[1])
    number = (place - len(ids)).div(length, rounding_mode="floor")  # of each position's block; the prompt's is below 0
    number = number.clamp(min=-1)
    visible = (number[:, None] >= number)[None, None]  # [row, 1, query, key]: own block and earlier ones

    for first in range(len(ids), end, length):
        last, state, done, step = min(first + length, end), None, torch.tensor([False]), 0
        while not done:
            logits = model.module(input_ids=canvas, position_ids=place[None], attention_mask=visible).logits
            block = ds.Block(
                tokens=canvas[:, first:last].clone(),
                editable=torch.ones(1, last - first, dtype=torch.bool),  # no prompt and no padding stands in it
                step=torch.tensor([step]),
                start=torch.tensor([first - len(ids)]),
                stop=torch.tensor([last - len(ids)]),
                total=torch.tensor([new_tokens]),
                key=fold(torch.tensor([sequence_key(seed, ids, 0)]), int(number[first]), step),  # all randomness
                eos_ids=torch.tensor(model.eos_ids),
                mask_id=model.mask_id,
            )
            state = policy.init(block) if state is None else state
            no_eos = policy.asks(state, block).no_eos
            excluded = None if no_eos is None else (no_eos, block.eos_ids)
            pred = predict(
                logits[:, first:last], block.tokens, model.mask_id, excluded=excluded, key=block.key, needs=policy.needs
            )
            state, update = policy.step(state, block, pred)
            canvas[:, first:last], done = update.tokens, update.done
            step += 1
        if torch.isin(canvas[:, first:last], torch.tensor(model.eos_ids)).any():
            break
    answer = canvas[0, len(ids) :].tolist()
    return answer[: next((i for i, token in enumerate(answer) if token in model.eos_ids), new_tokens)]


def main() -> None:
    model = ds.load("nano")
    prompt = ds.tasks.load("wordproblems", split="valid", limit=1)[0].prompt
    print(model.decode(decode(model, ds.T2M(), prompt, 160)))


if __name__ == "__main__":
    main()
