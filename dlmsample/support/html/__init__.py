"""Pages that need nothing but themselves: no script, no request; texts are escaped, what does not show is spelt out.

``base.html.j2`` is the frame of all (its policy forbids scripts and requests), ``base.css`` the look they share.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dlmsample.support.text import printable

_HERE = Path(__file__).parent


def render(folder: Path, name: str, /, **values: Any) -> str:
    """A page from a folder's template ``name.html.j2``, which extends ``base.html.j2``, and ``name.css`` beside it.

    Args:
        folder: where both lie.
        name: of both, without their endings.
        values: what the template uses; escaped where they stand, unless they are ``Markup``. The filter ``printable``
            is :func:`dlmsample.support.text.printable`.

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
    environment.filters["printable"] = printable
    sheets = (_HERE / "base.css", folder / f"{name}.css")
    style = Markup("".join(sheet.read_text(encoding="utf-8") for sheet in sheets))
    return environment.get_template(f"{name}.html.j2").render(style=style, **values)
