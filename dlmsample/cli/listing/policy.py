"""``dlmsample policies NAME``: what a policy does, when to use it and what its options mean, from its own docstring."""

from __future__ import annotations

import inspect
import json
import re
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any

from dlmsample.cli.listing.tables import NARROW, policy_row, typed
from dlmsample.cli.screen import console, say

#: What a command on nano needs beside the policy's name, or is used with.
_BESIDE = {
    "auto": " --adapter certainty",
    "backplay": " --head fca",
    "chain": ":fill=quota,edit=remask",
    "d3im": " --block-length all",
    "dsc": " --head fca",
}


def explained_policy(name: str) -> dict[str, Any]:
    """A policy with the meaning, range and default of each option, and the paragraphs of its docstring.

    Raises:
        ValueError: no such policy.
    """
    from dlmsample.policies.registry import AUTO, policy_class

    if name == AUTO:
        return _auto()
    cls = policy_class(name)
    if any(field.is_required() for field in cls.model_fields.values()):
        return _of_pieces(name, cls.summary)
    paragraphs = inspect.cleandoc(cls.__doc__ or "").split("\n\n")
    meanings, about = {}, []
    for paragraph in paragraphs:
        if paragraph.startswith("Args:"):
            meanings = dict(re.findall(r"^    (\w+): (.*(?:\n {6,}.*)*)", paragraph, re.MULTILINE))
        elif not paragraph.startswith(("Raises:", "Example:", "Examples:")):
            about.append(_prose(paragraph))
    properties = cls.model_json_schema()["properties"] if cls.model_fields else {}
    defaults = policy_row(name)["options"]
    options = {
        option: {
            "default": defaults[option],
            "values": _values(properties.get(option, {})),
            "meaning": _typed(_prose(meanings.get(option, ""))),
        }
        for option in cls.model_fields
    }
    presets = {
        f"{cls.__name__}.{method}()": _prose(inspect.getdoc(getattr(cls, method)) or "")
        for method, member in vars(cls).items()
        if isinstance(member, classmethod) and not method.startswith("_")
    }
    facts = {"name": name, "summary": cls.summary, "paper": cls.paper, "about": about}
    return {**facts, "options": options, "presets": presets}


def _of_pieces(name: str, summary: str) -> dict[str, Any]:
    """A policy without options of its own, and the pieces that it is built from."""
    from dlmsample.policies import detect, edit, fill
    from dlmsample.policies.piece import LATER, Piece
    from dlmsample.support.registry import resolve

    def told(piece: Any) -> str:
        options = []
        for field in fields(piece):
            usual: Any = field.name.upper() if field.default is MISSING else field.default
            options.append(f"{field.name}={usual.rule if isinstance(usual, Piece) else typed(usual)}")
        return f"{piece.rule}({', '.join(options)})"

    about = [
        "It has no options of its own. Name its pieces by --set fill=RULE and --set edit=RULE, and their options by a "
        "dot: --set fill.OPTION=VALUE, --set edit.detector.OPTION=VALUE; or in a grid file, or in Python "
        "(help(dlmsample.chain)).",
    ]
    for title, module, kind in (
        ("Fill rules", fill, "fill rule"),
        ("Edit rules", edit, "edit rule"),
        ("Detectors, of remask and buffered_remask", detect, "detector"),
    ):
        pieces = [
            c for c in vars(module).values() if isinstance(c, type) and issubclass(c, Piece) and "rule" in vars(c)
        ]
        later = [resolve(place) for place in LATER.get(kind, {}).values()]
        about.append(f"{title}: " + ", ".join(told(piece) for piece in (*pieces, *later) if piece.noun == kind))
    return {"name": name, "summary": summary, "paper": "", "about": about, "options": {}, "presets": {}}


def _auto() -> dict[str, Any]:
    """What ``--policy auto`` is, and which policy that is for what comes with the package."""
    from dlmsample.cli.settings import choose_policy
    from dlmsample.models.embedded import list_models
    from dlmsample.models.recommended import RECOMMENDED
    from dlmsample.policies.registry import AUTO

    lines = []
    for model in list_models():
        parts = [("", None, None), *((f" --adapter {one['name']}", one["name"], None) for one in model["adapters"])]
        parts += [(f" --head {one['name']}", None, one["name"]) for one in model["heads"]]
        for words, adapter, head in parts:
            note = choose_policy(AUTO, model["name"], adapter, head, {}).note
            lines.append(f"--model {model['name']}{words}: {note}")
    about = [
        "No rule of its own: the policy, and options such as the block length, that the adapter, else the head, else "
        f"the checkpoint recommends in its {RECOMMENDED}; unmask where none does. What was chosen is told on standard "
        "error. --set and other options win over it.",
        "Where no checkpoint is at hand, in grid files and in Python, write the policy itself; in Python "
        "Sampler.from_pretrained reads the same file.",
        *lines,
    ]
    summary = "what the adapter, head or checkpoint was trained for"
    return {"name": AUTO, "summary": summary, "paper": "", "about": about, "options": {}, "presets": {}}


def _prose(text: str) -> str:
    """A docstring's paragraph on one line, without its marks."""
    text = re.sub(r":\w+:`~?(?:[\w.]+\.)?(\w+)`", r"\1", text)
    return " ".join(text.replace("``", "").split())


def _typed(text: str) -> str:
    """Python's constants as they are written after ``--set``."""
    return re.sub(r"\b(?:None|True|False)\b", lambda found: {"None": "null"}.get(found[0], found[0].lower()), text)


def _values(schema: Mapping[str, Any]) -> str:
    """What an option takes, from its JSON schema.

    Example:
        >>> _values({"anyOf": [{"type": "number", "minimum": 0, "maximum": 1}, {"type": "null"}]})
        'a number from 0 to 1, or null'
    """
    if "anyOf" in schema:
        return ", or ".join(filter(None, map(_values, schema["anyOf"])))
    if "enum" in schema or "const" in schema:
        return ", ".join(map(str, schema.get("enum", [schema.get("const")])))
    kinds = {
        "integer": "a whole number",
        "number": "a number",
        "boolean": "true or false",
        "string": "a text",
        "null": "null",
    }
    said = kinds.get(str(schema.get("type", "")), "")
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    if low is not None and high is not None:
        return f"{said} from {low:g} to {high:g}"
    if low is not None:
        return f"{said}, at least {low:g}"
    return said if high is None else f"{said}, at most {high:g}"


def show_policy(name: str, as_json: bool) -> None:
    """Explain one policy in words, or print it as one JSON object.

    Raises:
        ValueError: no such policy.
    """
    row = explained_policy(name)
    if as_json:
        sys.stdout.write(json.dumps(row, default=str) + "\n")
        return
    page = console(sys.stdout)
    width = page.width if page.is_terminal else NARROW

    def wrapped(text: str, indent: str = "", hanging: str = "") -> str:
        return textwrap.fill(text, width, initial_indent=indent, subsequent_indent=indent + hanging)

    lines = [wrapped(f"{name}: {row['summary']} " + (f" ({row['paper']})" if row["paper"] else ""))]
    lines += ["\n" + wrapped(paragraph) for paragraph in row["about"]]
    lines += ["\nOptions, with their defaults"] if row["options"] else []
    for option, facts in row["options"].items():
        takes = f"  ({facts['values']})" if facts["values"] else ""
        lines.append(wrapped(f"--set {option}={typed(facts['default'])}{takes}", "  ", "  "))
        lines += [wrapped(facts["meaning"], " " * 6)] if facts["meaning"] else []
    lines += ["\nSettings with a name in Python"] if row["presets"] else []
    lines += [wrapped(f"{call}: {meaning}", "  ", "  ") for call, meaning in row["presets"].items()]
    say(page, "\n".join([*lines, f"\nTry it:\n  {tried(name)}"]))


def tried(name: str) -> str:
    """A command that decodes with the policy; of one that needs options and is not known here, with their place."""
    from dlmsample.policies.registry import AUTO, make_policy

    words = _BESIDE.get(name, "")
    if not words and name != AUTO:
        try:
            make_policy(name, {})
        except ValueError:
            words = " --set OPTION=VALUE"
    return f'dlmsample generate "What is 12 plus 30?" --policy {name}{words}'
