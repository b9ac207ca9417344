"""How a command's options are declared: one dataclass per command, one annotated field per option.

A field's annotation is what typer needs (its name, help and metavar), its default is the option's default, and the
docstring of the class is the help of the command. Options that several commands share stand here, singly
(:data:`AsObject`) or as a group to inherit from (:class:`CheckpointOptions`). Only typer is imported here, so that
``--help`` stays fast.
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

Device = Annotated[str | None, typer.Option(metavar="D", help="Torch device.  [default: cpu]")]
OutputFile = Annotated[str | None, typer.Option(metavar="FILE", help="Write there what would go to standard output.")]
AsObject = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
AsList = Annotated[bool, typer.Option("--json", help="Print one JSON list.")]
FamilyName = Annotated[
    str | None, typer.Option(metavar="F", help="Family of the checkpoint, where its files do not say.")
]
Revision = Annotated[
    str | None, typer.Option(metavar="R", help="Branch, tag or commit of a hub id.  [default: its main branch]")
]
IgnoreConfig = Annotated[
    list[str] | None,
    typer.Option("--ignore-config", metavar="KEY", help="Ignore a key of config.json that is not known; repeatable."),
]
TrustRemoteCode = Annotated[
    bool, typer.Option("--trust-remote-code", help="Run modelling code that comes with the checkpoint.")
]
ReportTo = Annotated[
    list[str] | None,
    typer.Option(
        "--report-to",
        metavar="NAME",
        help="Also send the numbers to wandb, trackio, tensorboard or mlflow; repeatable, or with commas.",
    ),
]
Scorer = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="How answers to your file are judged, such as number.  [default: exact]"),
]
Pattern = Annotated[
    str | None, typer.Option(metavar="REGEX", help="With --scorer regex: what the last match of an answer is.")
]
AcceptVersions = Annotated[
    bool,
    typer.Option(
        "--accept-versions",
        help="Count stored results of other versions and devices as the same; without it they stand apart.",
    ),
]


def policy_names(incomplete: str) -> list[str]:
    """What a shell can complete the name of a policy to."""
    from dlmsample.policies.registry import list_policies

    return [name for name in (*list_policies(), "auto") if name.startswith(incomplete)]


def rule_names(incomplete: str) -> list[str]:
    """What a shell can complete the name of a policy to, where ``auto`` is none."""
    return [name for name in policy_names(incomplete) if name != "auto"]


def task_names(incomplete: str) -> list[str]:
    """What a shell can complete the name of a task to."""
    from dlmsample.tasks import list_tasks

    return [name for name in list_tasks() if name.startswith(incomplete)]


def adapter_names(incomplete: str) -> list[str]:
    """What a shell can complete the name of an embedded model's adapter to."""
    return _parts("adapters", incomplete)


def head_names(incomplete: str) -> list[str]:
    """What a shell can complete the name of an embedded model's correction head to."""
    return _parts("heads", incomplete)


def _parts(kind: str, incomplete: str) -> list[str]:
    from dlmsample.models.embedded import list_models

    names = (part["name"] for model in list_models() for part in model[kind])
    return [name for name in dict.fromkeys(names) if name.startswith(incomplete)]


def recipe_names(incomplete: str) -> list[str]:
    """What a shell can complete the name of a recipe to."""
    from dlmsample.train.config.recipes import recipes

    return [row["name"] for row in recipes() if row["name"].startswith(incomplete)]


@dataclass(frozen=True, kw_only=True)
class CheckpointOptions:
    """What is attached to a checkpoint and how it is loaded; the command itself declares ``model``."""

    adapter: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Adapter: one that comes with the model (see dlmsample models), a PEFT folder, or a hub id.",
            autocompletion=adapter_names,
        ),
    ] = None
    head: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Correction head: one that comes with the model, a folder, or a hub id.",
            autocompletion=head_names,
        ),
    ] = None
    device: Device = None
    dtype: Annotated[
        str | None,
        typer.Option(
            metavar="T",
            help="Torch dtype; auto: bfloat16 also on CPUs that have it.  [default: float32; off CPUs bfloat16]",
        ),
    ] = None
    trust_remote_code: TrustRemoteCode = False
    family: FamilyName = None
    revision: Revision = None
    ignore_config: IgnoreConfig = None

    def load(self, model: str, **more: Any) -> Any:
        """The checkpoint that the options name.

        Args:
            model: embedded model, folder or hub id.
            more: further options of :func:`dlmsample.load`.

        Raises:
            ValueError: as :func:`dlmsample.load`.
        """
        import dlmsample

        for name in filter(None, (model, self.adapter, self.head)):
            _say_asked(name)
        given = {field.name: getattr(self, field.name) for field in fields(CheckpointOptions)}
        for optional in ("revision", "ignore_config"):  # given on only where they were given
            if not given[optional]:
                del given[optional]
        return dlmsample.load(model, **given, **more)


def _say_asked(name: str) -> None:
    """Say that a name is looked for on the hub, which may take a while."""
    from huggingface_hub import constants

    from dlmsample.cli import screen

    here = name.startswith((".", "~", "/")) or Path(name).is_dir()
    if name.count("/") == 1 and not here and not constants.HF_HUB_OFFLINE:
        screen.note(f"looking for {name} on {constants.ENDPOINT} (HF_HUB_OFFLINE=1 reads the local cache alone)")


def judged(declared: Any) -> dict[str, str]:
    """What was said of how answers to a file are judged, as options of its task."""
    return {name: value for name in ("scorer", "pattern") if (value := getattr(declared, name)) is not None}


def words(declared: Any, *without: str) -> list[str]:
    """The options that differ from their defaults, as they would be typed; arguments are left out.

    Args:
        declared: an instance of a command's dataclass, whose options are named as their fields are.
        without: fields that are not wanted.
    """
    typed: list[str] = []
    for field in fields(declared):
        value = getattr(declared, field.name)
        if field.default is MISSING or field.name in without or value == field.default:
            continue
        flag = f"--{field.name.replace('_', '-')}"
        typed += [flag] if value is True else [flag, str(value)]
    return typed


def typed(name: str, declared: Any) -> str:
    """A command as it could be typed again: its options that differ from their defaults, and its arguments.

    Args:
        name: of the command.
        declared: an instance of its dataclass.
    """
    import shlex

    hints = get_type_hints(type(declared), include_extras=True)
    words, arguments = ["dlmsample", name], list[str]()
    for field in fields(declared):
        value = getattr(declared, field.name)
        default = field.default if field.default_factory is MISSING else field.default_factory()
        if value == default or value is None:
            continue
        how = next(m for m in hints[field.name].__metadata__ if hasattr(m, "param_decls"))
        if type(how).__name__ == "ArgumentInfo":
            arguments.append(str(value))
            continue
        given = (how.default, *(how.param_decls or ()))  # in an annotation typer takes the first name for a default
        named = (word for word in given if isinstance(word, str) and word.startswith("--"))
        flag = next(named, f"--{field.name.replace('_', '-')}")
        if value is True:
            words.append(flag)
            continue
        for one in value if isinstance(value, list) else [value]:
            words += [flag, str(one)]
    dashed = ["--"] if any(argument.startswith("-") and argument != "-" for argument in arguments) else []
    return shlex.join([*words, *dashed, *arguments])
