"""Docstrings as mkdocstrings wants them: run by griffe on everything that it reads (see mkdocs.yml).

The package writes ``Example:`` before code that runs, and Sphinx roles for names; the site shows both as code.
"""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object

ROLE = re.compile(r":(?:class|func|meth|mod|attr|data):`(~?)([^`]+)`")


class Docstrings(Extension):
    """Rewrite a docstring before its sections are told apart."""

    def on_object(self, *, obj: Object, **kwargs: Any) -> None:
        """Called for every module, class, function and attribute."""
        if obj.docstring is not None:
            text = re.sub(r"^( *)Example:$", r"\1Examples:", obj.docstring.value, flags=re.M)
            obj.docstring.value = ROLE.sub(lambda m: f"`{m[2].rpartition('.')[2] if m[1] else m[2]}`", text)
