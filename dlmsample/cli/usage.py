"""Mistakes in the command line itself, said in one line with the remedy."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

#: What the command-line library raises for a wrong word; typer exports it under no name of its own.
UsageError: type[Exception] = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")

#: Class of a usage error -> what to do about it.
_REMEDIES = {
    "MissingParameter": "give it, or see {command} --help",
    "UsageError": "quote what has several words, and see {command} --help",
}


class Group(TyperGroup):
    """A group of commands that answers a wrong command name with the nearest right one."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args[0] not in self.commands and not args[0].startswith("-"):
            from dlmsample.support.registry import unknown

            raise unknown("command", args[0], self.commands)
        return super().resolve_command(ctx, args)


def explain(error: Any) -> ValueError:
    """The usage error as one line that names the remedy."""
    context = getattr(error, "ctx", None)
    wrong = getattr(error, "option_name", None)
    if type(error).__name__ == "NoSuchOption" and context is not None:
        from dlmsample.support.registry import unknown

        params = context.command.get_params(context)
        known = [max(p.opts, key=len) for p in params if p.param_type_name == "option"]
        dash = "; a prompt that begins with a dash goes after --" if len(known) < len(params) else ""
        return unknown("option", wrong, known, dash)
    command = context.command_path if context is not None else "dlmsample"
    remedy = _REMEDIES.get(type(error).__name__, "see {command} --help").format(command=command)
    return ValueError(f"{error.format_message().rstrip('.')}; {remedy}")
