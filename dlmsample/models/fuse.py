"""The small operations of a stock body fused by ``torch.compile``: what is left to gain where forwards are captured."""

from __future__ import annotations

from typing import Any

#: Ends of the class names of stock parts that are a few operations a value, all of one shape: they compile in seconds.
_PARTS = ("RMSNorm", "LayerNorm", "MLP")


def fuse(module: Any, backend: str = "inductor") -> Any:
    """Let the norms and MLPs of a module be compiled when they first run; in place, and returned.

    Layers are not compiled whole: each would be compiled anew, for half a minute, and attention stays as it is.
    Parts of one class share what was compiled. Logits change by rounding.

    Args:
        module: any torch module.
        backend: of ``torch.compile``.

    Example:
        >>> import dlmsample as ds
        >>> fuse(ds.load("nano").module)._get_name()
        'Qwen3ForCausalLM'
    """
    for part in module.modules():
        if type(part).__name__.endswith(_PARTS):
            part.compile(dynamic=True, backend=backend)
    return module
