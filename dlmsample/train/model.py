"""The model of a training run: a stock module, adapters and a head around it, called on a batch of streams."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import torch
from torch import Tensor, nn

from dlmsample.models.denoiser import known_ids
from dlmsample.models.families import Opened
from dlmsample.models.interface import DECODER, ModuleInterface, context_of
from dlmsample.models.probe import check_padding
from dlmsample.models.weight_files import check_weights
from dlmsample.objectives.base import Batch, Corrupted, Ids, Objective, Outputs
from dlmsample.support.text import one_line
from dlmsample.train.config import TrainConfig, TrainError
from dlmsample.train.config.sections import HeadSection
from dlmsample.train.config.start import open_start
from dlmsample.train.data.layout import StreamLayout
from dlmsample.train.lora import add_lora

_LOGITS = frozenset({"logits"})


class StreamModel(nn.Module):
    """A stock module (and a correction head) called on streams; wrappers (DDP, FSDP, autocast) go around this forward.

    The vocabulary head runs on the window's positions only, and only when logits are wanted. ``module`` stays
    a plain transformers model (or one with LoRA layers inside), so its weight names are what a checkpoint holds.

    Args:
        module: the backbone; where none of it requires gradients it stays in eval mode.
        head: reads one layer's output of the same forward; on block-causal models each block for itself.
        reads: how hidden states and logits are had of the module.
        logit_shift: the logits of position i predict the token at i + 1.
        lora_targets: the layers that have adapters.
    """

    def __init__(
        self,
        module: Any,
        head: Any = None,
        reads: ModuleInterface = DECODER,
        logit_shift: bool = False,
        lora_targets: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        self.module, self.head, self.reads = module, head, reads
        self.logit_shift, self.lora_targets = logit_shift, lora_targets
        self.frozen = not any(p.requires_grad for p in module.parameters())
        self.last = context_of(module.config, reads) - 1
        # in a tuple: as attributes they would be registered a second time
        self._parts = reads.parts(module)
        self._no_split_modules = module._no_split_modules  # what FSDP shards by

    @property
    def has_dropout(self) -> bool:
        """Whether a forward in training mode draws random numbers."""
        parts = [part for part in self.module.modules() if isinstance(part, nn.Dropout)]
        return any(part.p > 0 for part in parts) or bool(getattr(self.module.config, "attention_dropout", 0.0))

    def tie_weights(self) -> None:
        """Join tied weights again after a wrapper has moved them apart."""
        self.module.tie_weights()

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        if self.frozen:
            self.module.eval()
        return self

    def forward(self, batch: StreamLayout, window: Tensor, want: frozenset[str] = _LOGITS) -> Tensor | Outputs:
        """What is wanted of the window when its tokens are ``window`` ``[row, n]``.

        Returns:
            logits ``[row, n, vocab]`` for {"logits"}, error logits ``[row, n]`` for {"error"}, else both. The logits
            at a position are those that predict its own token, also for models that predict the next one.
        """
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            body, vocabulary = self._parts
            out = body(
                input_ids=model_input(batch, window),
                # padding may reach beyond a learned table of positions; nobody reads it
                position_ids=batch.positions.clamp(max=self.last),
                attention_mask=batch.mask,
                use_cache=False,
                output_hidden_states="error" in want,
            )
            logits = None
            if "logits" in want:
                logits = vocabulary(self._window(batch, out.last_hidden_state))
        if "error" not in want:
            assert logits is not None
            return logits
        error = self._error(batch, out.hidden_states[self.head.layer])
        return error if logits is None else Outputs(logits, error)

    def _window(self, batch: StreamLayout, hidden: Tensor) -> Tensor:
        """The hidden states that predict the window, of ``[row, input, width]``."""
        if batch.take is None:
            return hidden[:, : batch.clean.shape[1]]
        # the first token of all has nothing before it, and is predicted by itself
        take = (batch.take - 1).clamp(min=0) if self.logit_shift else batch.take
        return hidden.gather(1, take[..., None].expand(-1, -1, hidden.shape[-1]))

    def _error(self, batch: StreamLayout, hidden: Tensor) -> Tensor:
        if batch.blocks is None:
            return self.head(hidden, batch.positions, batch.real).gather(1, batch.take)
        n = batch.clean.shape[1]
        return self.head(hidden[:, :n], batch.positions[:, :n], batch.valid, batch.blocks)


def model_input(batch: StreamLayout, window: Tensor) -> Tensor:
    """The ids the model sees, int64 ``[row, input]``, for a (corrupted) window ``[row, n]``."""
    return torch.where(batch.noisy, window.gather(1, batch.slot), batch.base)


def corrupt(objective: Objective, model: nn.Module, batch: StreamLayout, ids: Ids, dropout: bool = False) -> Corrupted:
    """The objective's corruption of a batch; a draft is the model's own forward, without gradient and dropout.

    Args:
        objective: the training rule.
        model: the :class:`StreamModel`, maybe wrapped.
        batch: the clean batch.
        ids: the checkpoint's token ids.
        dropout: whether the model has any that is to be switched off for the draft.
    """

    def draft(tokens: Tensor) -> Tensor:
        training = model.training
        model.train(training and not dropout)
        with torch.no_grad():
            logits = model(batch, tokens)
        model.train(training)
        return logits

    clean = Batch(batch.clean, batch.editable, batch.keys, ids, batch.blocks)
    return objective.corrupt(clean, draft)


def loss_of(
    objective: Objective,
    model: nn.Module,
    batch: StreamLayout,
    ids: Ids,
    needs: frozenset[str] = _LOGITS,
    dropout: bool = False,
) -> tuple[Tensor, dict[str, Tensor]]:
    """:func:`corrupt`, forward and loss: the mean over the rows of a micro-batch; and its metrics."""
    corrupted = corrupt(objective, model, batch, ids, dropout)
    if corrupted.apart is None:
        return objective.loss(model(batch, corrupted.input, needs), corrupted)
    apart = model(batch, corrupted.apart.input, _LOGITS)
    if "error" in needs:
        return objective.loss(Outputs(apart, model(batch, corrupted.input, frozenset({"error"}))), corrupted)
    return objective.loss(Outputs(apart, of_input=model(batch, corrupted.input, _LOGITS)), corrupted)


def build_model(config: TrainConfig, device: torch.device | str = "cpu") -> StreamModel:
    """The module to train with its adapters and its head: what trains is float32 and requires gradients.

    Raises:
        TrainError: as :func:`build_module`; unknown LoRA targets; a head that does not fit.
    """
    opened = _opened(config)
    model = complete(config, _load(config, opened, device), opened)
    # Where accelerate has one process read the weights for all, the others hold none yet.
    return model._apply(lambda t: torch.empty_like(t, device=device) if t.is_meta else t.to(device))


def build_module(config: TrainConfig, device: torch.device | str = "cpu") -> Any:
    """The bare module of a run, new (seeded) or with its weights, made ready for the masks of training.

    Weights go straight to ``device``, in ``model.dtype``. So does a new module that stays frozen (random weights, to
    measure a large shape); one that trains is made on the CPU in float32, so that every device starts from the same
    numbers.

    Raises:
        TrainError: no such weights, weights that do not fit, or a shape that the stock body refuses.
    """
    return _load(config, _opened(config), device)


def skeleton(config: TrainConfig) -> StreamModel:
    """The model on the meta device: every name and shape, no number, no memory; nothing is fetched that a shape tells.

    Raises:
        TrainError: as :func:`build_model`.
    """
    opened = _opened(config, fetch=False)
    try:
        module = opened.shell()
    except (OSError, ValueError, TypeError) as error:
        raise TrainError(f"cannot build the model: {one_line(error)}") from None
    return complete(config, module, opened)


def _opened(config: TrainConfig, fetch: bool = True) -> Opened:
    try:
        return open_start(config.model, fetch=fetch)
    except TrainError:
        raise
    except (OSError, ValueError, TypeError) as error:
        raise TrainError(f"cannot build the model: {one_line(error)}") from None


def _load(config: TrainConfig, opened: Opened, device: torch.device | str) -> Any:
    dtype = getattr(torch, config.model.dtype)
    try:
        if config.model.init is not None:
            check_weights(opened.name, opened.where, allow_pickle=False)
            module = opened.load(dtype, device_map=None if torch.device(device).type == "cpu" else {"": device})
        else:
            module = _new(config, opened, torch.float32 if config.trains_whole else dtype, device)
        check_padding(str(config.model.init), module, opened.interface(module), config.geometry.mask_id)
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        said = one_line(error)
        raise TrainError(said if config.model.init is not None else f"cannot build the model: {said}") from None
    if opened.family.module_kind == "decoder":
        module.set_attn_implementation("sdpa")  # what decoding has in its place reads a cache, and training has none
    module.config.use_cache = False
    return module


def _new(config: TrainConfig, opened: Opened, dtype: torch.dtype, device: torch.device | str) -> Any:
    """A body with random weights, a function of the run's seed."""
    from transformers import AutoModelForCausalLM

    with _seeded(config.seed, device), torch.device("cpu" if config.trains_whole else device):
        return AutoModelForCausalLM.from_config(opened.config, attn_implementation="sdpa", dtype=dtype)


@contextmanager
def _seeded(seed: int, device: torch.device | str) -> Iterator[None]:
    """Draw from ``seed`` and leave torch's generators as they were."""
    with torch.random.fork_rng(devices=[device] if torch.device(device).type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def complete(config: TrainConfig, module: Any, opened: Opened) -> StreamModel:
    """Adapters, head and gradients of a run around a built module."""
    targets: tuple[str, ...] = ()
    if not config.trains_backbone:
        module.requires_grad_(False)
    elif config.lora is not None:
        targets = add_lora(config, config.lora, module, opened.lora_targets)
    else:
        module.float()
    if config.gradient_checkpointing:
        _checkpoint_activations(module)
    reads = opened.interface(module)
    head = None if config.head is None else build_head(config, config.head, module, reads)
    return StreamModel(module, head, reads, config.geometry.logit_shift, targets)


def _checkpoint_activations(module: Any) -> None:
    try:
        if hasattr(module, "activation_checkpointing_enable"):
            module.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
        else:  # transformers before 5.23
            module.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    except ValueError:
        raise TrainError(f"{type(module).__name__} has no gradient checkpointing: leave it out") from None


def build_head(config: TrainConfig, section: HeadSection, module: Any, reads: ModuleInterface) -> Any:
    """A new correction head for ``module``, float32, seeded."""
    from dlmsample.heads import CorrectionHead, HeadConfig

    body, options = module.config, section.model_dump(exclude={"calibration_rows", "operating"})
    made_for = {"hidden_size": body.hidden_size, "max_positions": context_of(body, reads)}
    try:
        shape = HeadConfig(**made_for, with_adapter=config.lora is not None, **options)
    except ValueError as error:
        raise TrainError(f"head: {one_line(error)}") from None
    with _seeded(config.seed, "cpu"):
        return CorrectionHead(shape).float()


def token_ids(config: TrainConfig, model: StreamModel, tokenizer: Any | None = None) -> Ids:
    """The ids an objective may need; a tokenizer tells which have no token. TrainError: one outside the vocabulary."""
    geometry, body = config.geometry, model.module.config
    special = {geometry.mask_id, *geometry.eos_ids, pad_id(model.module)}
    if model.reads.kind == "masked_lm":  # its texts stand between tokens of its own
        named = (getattr(body, f"{part}_token_id", None) for part in ("bos", "cls", "sep"))
        special |= {i for i in named if isinstance(i, int) and 0 <= i < body.vocab_size}
    if max(special) >= body.vocab_size:
        raise TrainError(f"special id {max(special)} lies outside the vocabulary of {body.vocab_size}")
    return Ids(geometry.mask_id, tuple(sorted(special)), *known_ids(tokenizer, body.vocab_size, special))


def pad_id(module: Any) -> int:
    """The id that fills rows up."""
    return module.config.pad_token_id or 0
