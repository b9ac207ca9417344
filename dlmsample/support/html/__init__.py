"""Pages that need nothing but themselves: no request; texts are escaped, what does not show is spelt out.

``base.html.j2`` is the frame of all (its policy forbids requests, and scripts but for those that a page names by their
hash), ``base.css`` the look they share.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

from dlmsample.support.text import printable, scalar

_HERE = Path(__file__).parent


def render(folder: Path, name: str, /, **values: Any) -> str:
    """A page from a folder's template ``name.html.j2``, which extends ``base.html.j2``, and the style sheets beside it.

    Args:
        folder: where both lie.
        name: of both, without their endings.
        values: what the template uses; escaped where they stand, unless they are ``Markup``. The filter ``printable``
            is :func:`dlmsample.support.text.printable`, ``figure`` is :func:`figure`.

    Raises:
        jinja2.UndefinedError: the template uses a value that is not given.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader([folder, _HERE]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(printable=printable, figure=figure)
    sheets = (_HERE / "base.css", *sorted(folder.glob("*.css")))
    style = Markup("".join(sheet.read_text(encoding="utf-8") for sheet in sheets))
    return environment.get_template(f"{name}.html.j2").render(style=style, **values)


def allow(script: str) -> str:
    """The part of a page's policy that lets this script run and no other: the name of its hash.

    Example:
        >>> allow("")
        "script-src 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
    """
    return f"script-src 'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def figure(value: Any) -> str:
    """A value as it would be written after ``--set``, floats in short.

    Example:
        >>> figure(None), figure(True), figure(0.123456), figure("all")
        ('null', 'true', '0.1235', 'all')
    """
    return f"{value:.4g}" if isinstance(value, float) else scalar(value)
