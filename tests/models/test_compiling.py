"""Functions compiled apart do not use up each other's compilations."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from dlmsample.models.fusion.compiling import compile_apart


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    """What a test compiles is dropped behind it."""
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def adding(number: int) -> Callable[..., Tensor]:
    def add(x: Tensor, twice: Tensor | None = None, *, sign: int = 1) -> Tensor:
        return sign * (x + number if twice is None else x + number + 2 * twice)

    return add


def test_functions_of_one_source_are_counted_one_by_one() -> None:
    """Where one compilation is allowed, each of them has its own; plain closures have one together."""
    made: list[torch.fx.GraphModule] = []

    def backend(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable[..., object]:
        made.append(graph)
        return graph.forward

    one = torch.tensor(1)
    with torch._dynamo.config.patch(recompile_limit=1):
        assert [compile_apart(adding(n), "add", backend=backend)(one).item() for n in range(3)] == [1, 2, 3]
        assert len(made) == 3
        assert [torch.compile(adding(n), backend=backend)(one).item() for n in range(3)] == [1, 2, 3]
    assert len(made) == 4


def test_no_two_have_one_name() -> None:
    one, other = (compile_apart(adding(1), "add_one", backend="eager") for _ in range(2))
    names = [getattr(add, "__name__", "") for add in (one, other)]
    assert all(name.startswith("add_one_") for name in names)
    assert len(set(names)) == 2


def test_defaults_and_keywords_are_kept() -> None:
    add = compile_apart(adding(1), "add", backend="eager")
    assert add(torch.tensor(1), torch.tensor(5), sign=-1).item() == -12
