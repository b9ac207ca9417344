"""Stands in for torchvision, which SGLang imports for its models of images; no test calls it.

transformers is asked first, so that it does not take the stand-in for the real package.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from transformers.utils import is_torchvision_available, is_torchvision_v2_available


class _Empty(ModuleType):
    """Any name asked of it is an empty class."""

    __path__: list[str] = []
    __version__ = "0"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


class _Finder(MetaPathFinder, Loader):
    def find_spec(self, fullname: str, path: Sequence[str] | None, target: Any = None) -> ModuleSpec | None:
        ours = fullname.partition(".")[0] == "torchvision"
        return ModuleSpec(fullname, self, is_package=True) if ours else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Empty(spec.name)

    def exec_module(self, module: ModuleType) -> None: ...


def stub_torchvision() -> None:
    """Once, before SGLang is imported."""
    if not is_torchvision_available() and not is_torchvision_v2_available():
        sys.meta_path.append(_Finder())
