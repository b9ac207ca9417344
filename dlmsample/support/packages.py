"""Packages that can be called, because one function is what their users want: ``dlmsample.ablate(...)``."""

from __future__ import annotations

import inspect
import sys
from importlib import import_module
from types import ModuleType
from typing import Any


def make_callable(package: str, module: str, function: str) -> None:
    """Let calls of a package go to one of its functions.

    A subpackage takes the place of whatever its parent exports under the same name as soon as something imports it.
    So the parent cannot export a function of that name, and the package itself has to be callable.

    Args:
        package: full name of the package, which is being imported.
        module: full name of the module that holds the function; it is imported at the first call.
        function: its name.

    Example:
        >>> make_callable("dlmsample.support.packages", "builtins", "max")
        >>> import dlmsample.support.packages
        >>> dlmsample.support.packages(3, 5)  # type: ignore[operator]
        5
    """

    def call(_package: ModuleType, *args: Any, **options: Any) -> Any:
        return getattr(import_module(module), function)(*args, **options)

    def signature(_package: ModuleType) -> inspect.Signature:
        """For help that asks a callable what it takes; what imports is the asking, not the package."""
        return inspect.signature(getattr(import_module(module), function))

    members = {"__call__": call, "__signature__": property(signature)}
    sys.modules[package].__class__ = type("CallablePackage", (ModuleType,), members)
