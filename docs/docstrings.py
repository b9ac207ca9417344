"""Docstrings as mkdocstrings wants them: run by griffe on everything that it reads (see mkdocs.yml).

The package writes ``Example:`` before code that runs, and Sphinx roles for names; the site shows both as code.
Policies and objectives declare their options as fields; the site shows these as the arguments that they are.
"""

from __future__ import annotations

import re
from typing import Any

from griffe import Class, Extension, Function, Object, Parameter, ParameterKind, Parameters

ROLE = re.compile(r":(?:class|func|meth|mod|attr|data):`(~?)([^`]+)`")


class Docstrings(Extension):
    """Rewrite a docstring before its sections are told apart."""

    def on_object(self, *, obj: Object, **kwargs: Any) -> None:
        """Called for every module, class, function and attribute."""
        if obj.docstring is not None:
            text = re.sub(r"^( *)Example:$", r"\1Examples:", obj.docstring.value, flags=re.M)
            obj.docstring.value = ROLE.sub(lambda m: f"`{m[2].rpartition('.')[2] if m[1] else m[2]}`", text)
            if isinstance(obj, Class) and "Args:" in text and "__init__" not in obj.members:
                obj.set_member("__init__", _from_fields(obj))


def _from_fields(cls: Class) -> Function:
    """The constructor that a class gets from its annotated fields."""
    fields = [
        Parameter(name, annotation=field.annotation, kind=ParameterKind.keyword_only, default=field.value)
        for name, field in cls.attributes.items()
        if "instance-attribute" in field.labels and not name.startswith(("_", "model_"))
    ]
    this = Parameter("self", kind=ParameterKind.positional_or_keyword)
    return Function("__init__", parameters=Parameters(this, *fields))
