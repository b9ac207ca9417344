"""The kernels of products compile for GPUs that are not here: Triton brings the whole compiler along."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from dlmsample.kernels import experts, product
from tests.kernels.process import needs_triton

pytestmark = needs_triton
POINTERS = {
    "multiply": {"scale": "*fp32", "own": "*fp32", "out": "*fp32"},
    "gate_and_up": {"x": "*bf16", "weight": "*bf16", "members": "*i32", "counts": "*i32", "out": "*bf16"},
    "down": {"share": "*fp32", "x": "*bf16", "weight": "*bf16", "members": "*i32", "counts": "*i32", "out": "*bf16"},
    "assign": {"chosen": "*i64", "members": "*i32", "counts": "*i32"},
}


def cases() -> Iterator[Any]:
    """(module, kernel, types, constants, compute capability, tiles on their way)"""
    for rows, weight, capability in (
        ("bf16", "bf16", 80),
        ("bf16", "bf16", 90),
        ("bf16", "fp8e4nv", 90),
        ("fp8e4nv", "fp8e4nv", 90),
    ):
        types = {"x": f"*{rows}", "weight": f"*{weight}"}
        flags = {"SCALED": weight != "bf16", "NARROW": rows != "bf16"}
        constants = {"ROWS": 32, "FEATURES": 64, "WIDTH": 128, **flags}
        stages = product.STAGES if rows == "bf16" else product.NARROW_STAGES
        yield pytest.param(
            "multiply", "multiply", types, constants, capability, stages, id=f"{rows} {weight} {capability}"
        )
    for kernel in ("gate_and_up", "down"):
        for rows, capability in itertools.product((experts.LEAST, experts.TALL), (80, 89, 90)):
            constants = {"ROWS": rows, "FEATURES": experts.FEATURES, "WIDTH": experts.WIDTH}
            named = f"{kernel} {rows} {capability}"
            yield pytest.param("route", kernel, {}, constants, capability, experts.STAGES, id=named)
    yield pytest.param("route", "assign", {}, {"CHUNK": experts.CHUNK}, 90, 3, id="assign")


@pytest.mark.parametrize(("module", "kernel", "types", "constants", "capability", "stages"), [*cases()])
def test_it_compiles(
    module: str,
    kernel: str,
    types: dict[str, str],
    constants: dict[str, Any],
    capability: int,
    stages: int,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Any,
) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    import triton
    from triton.backends.compiler import GPUTarget

    from dlmsample.kernels import multiply, route

    run = getattr({"multiply": multiply, "route": route}[module], kernel)
    names = run.arg_names
    types = {name: {**POINTERS[kernel], **types}.get(name, "i32") for name in names} | dict.fromkeys(
        constants, "constexpr"
    )
    even = [["tt.divisibility", 16]]
    source = triton.compiler.ASTSource(
        fn=run,
        signature=types,
        constexprs={(names.index(name),): value for name, value in constants.items()},
        attrs={(at,): even for at, name in enumerate(names) if types[name] not in ("i32", "constexpr")},
    )
    options = {"num_warps": 4, "num_stages": stages}
    made = triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options)
    assert made.metadata.shared <= 99 * 1024  # a multiprocessor of Ada has no more, and Hopper holds two of them
    assert made.asm["cubin"]
