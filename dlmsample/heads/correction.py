"""The correction head of "Teach Diffusion Language Models to Learn from Their Own Mistakes" (DSC)."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn

from dlmsample.models.attention import masks

_Count = Annotated[int, Field(ge=1)]


class HeadConfig(BaseModel):
    """The shape of a correction head and its operating point.

    Args:
        hidden_size: width of the backbone it reads.
        width: its own; a linear projection leads there where the two differ.
        layers: Transformer blocks.
        heads: attention heads; ``width / heads`` must be even (rotary positions).
        mlp: inner width of the blocks' MLP, units.
        layer: entry of the backbone's ``hidden_states`` it reads; -2 is the penultimate layer's output.
        offset: added to the error logit, so that P_error = 0.5 is the operating point.
        max_positions: longest canvas it was made for, positions.
        with_adapter: whether an adapter was trained together with it (joint training, Eq. 3.3): without that adapter
            the hidden states are others than those that it learned to read.

    Raises:
        ValueError: an unknown field, or a value out of range.

    Example:
        >>> HeadConfig(hidden_size=256, width=128, heads=4, mlp=512).layer
        -2
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    hidden_size: _Count
    width: _Count
    layers: _Count = 2
    heads: _Count
    mlp: _Count
    layer: int = -2
    offset: Annotated[float, Field(allow_inf_nan=False)] = 0.0
    max_positions: _Count = 2048
    with_adapter: bool = False

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.width % (2 * self.heads):
            raise ValueError(f"width {self.width} must be an even multiple of heads {self.heads}")
        return self


class CorrectionHead(nn.Module):
    """Error logit of every position: Transformer blocks on a hidden layer of the backbone, then a linear logit.

    Rule (arXiv:2601.06428, §4; called BackPlay since its second version): two blocks on the output of the
    penultimate backbone layer; ``P_error = sigmoid(logit)``, trained towards 1 where the visible token differs from
    gold. The forward that made the hidden states is one that decoding makes anyway.

    The blocks are a stock Llama body without its embedding, attention unmasked but for ``valid`` and ``blocks``.
    transformers' ``hidden_states`` holds the embeddings first, then each layer's output, the last one after the
    final norm; so ``[-2]`` is what the penultimate layer gives, unnormed. It is normed here first.

    Args:
        config: its shape.

    Example:
        >>> import torch
        >>> head = CorrectionHead(HeadConfig(hidden_size=8, width=4, layers=1, heads=1, mlp=8))
        >>> positions = torch.arange(3)[None]
        >>> head(torch.zeros(1, 3, 8), positions, positions >= 0).shape
        torch.Size([1, 3])

    Deviations: two blocks (the text also says three); the output is an *error* logit (the paper's signs
    conflict); on block-causal backbones it sees the active block only, so it needs no cache; an RMS norm before the
    first block (not in the paper), because the hidden states come unnormed.
    """

    layer: int  #: which entry of the backbone's ``hidden_states`` it reads

    def __init__(self, config: HeadConfig) -> None:
        super().__init__()
        from transformers import AutoModel, LlamaConfig  # seconds; only who builds a head pays

        shape = LlamaConfig(
            vocab_size=1,
            hidden_size=config.width,
            intermediate_size=config.mlp,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            num_key_value_heads=config.heads,
            max_position_embeddings=config.max_positions,
            pad_token_id=None,
            bos_token_id=None,
            eos_token_id=None,
            use_cache=False,
        )
        shape.is_causal = False
        # eager would add a boolean mask as 0/1
        body: Any = AutoModel.from_config(shape, attn_implementation="sdpa")
        body.embed_tokens = None  # it is given hidden states
        self.config, self.layer = config, config.layer
        # The residual stream is far from unit scale at that depth (about 40 in nano), where new blocks weigh nothing.
        self.norm = nn.RMSNorm(config.hidden_size, eps=1e-6)
        self.project = (
            nn.Identity() if config.hidden_size == config.width else nn.Linear(config.hidden_size, config.width)
        )
        self.body = body
        self.out = nn.Linear(config.width, 1)

    def add_offset(self, offset: float) -> None:
        """Move the operating point: ``head.add_offset(choose_offset(logits, wrong))`` for logits of this head."""
        fields = self.config.model_dump()
        self.config = HeadConfig(**{**fields, "offset": fields["offset"] + float(offset)})

    def forward(self, hidden: Tensor, positions: Tensor, valid: Tensor, blocks: Tensor | None = None) -> Tensor:
        """Error logits, offset included.

        Args:
            hidden: ``[row, pos, hidden_size]``, any float dtype and with it the backbone's; cast to the head's own.
            positions: int ``[row, pos]``, counted from each row's first token.
            valid: bool ``[row, pos]``; a position that is not valid is seen by no other, its logit means nothing
                but is finite.
            blocks: int ``[row, pos]`` block index; a position then attends within its block only. None: to all
                that is given, which is the active block, or the whole canvas of a bidirectional backbone.

        Returns:
            float32 ``[row, pos]``.
        """
        mask = masks.bidirectional(valid)
        if blocks is not None:
            mask = mask & (blocks[:, :, None] == blocks[:, None, :])[:, None]
        seen = self.project(self.norm(hidden.to(self.out.weight.dtype)))
        out = self.body(inputs_embeds=seen, position_ids=positions, attention_mask=mask, use_cache=False)
        return self.out(out.last_hidden_state)[..., 0].float() + self.config.offset
