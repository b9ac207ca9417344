"""How answers are decoded, as it is typed: ``--block-length``, ``--cache``, ``--set``, ``--policy``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from dlmsample.cli import screen
from dlmsample.models.recommended import RECOMMENDED, recommended
from dlmsample.policies.registry import AUTO, FILES, changed_options, make_policy
from dlmsample.support.registry import resolve, unknown
from dlmsample.support.text import flat, scalar

if TYPE_CHECKING:
    from dlmsample.cli.answers.asked import GenerateOptions

#: Options of ``generate`` that the Sampler takes as they were typed.
_AS_TYPED = ("temperature", "top_p", "top_k", "batch_size", "refresh", "suffix")
_GROWTHS = {"daedal": "dlmsample.decoding.grow.daedal:Daedal"}  #: what ``--grow`` names


def block_length(given: str | None) -> int | Literal["all"] | None:
    """A number of tokens, ``all``, or None.

    Raises:
        ValueError: neither.
    """
    if given is None or given == "all":
        return given
    try:
        return int(given)
    except ValueError as e:
        raise ValueError(f'--block-length is a number of tokens or "all", not {given!r}') from e


def tried_split(task: str, given: str | None) -> str | None:
    """The split that something is tried on: the one that was given, else the validation split, if the task has one.

    Raises:
        ValueError: no such task.
    """
    from dlmsample.tasks import task_class

    return given or ("valid" if "valid" in task_class(task).splits else None)


class Typed(NamedTuple):
    """How answers are decoded, as it was typed: what was not given is left out."""

    sampler: dict[str, Any]
    """Options of the Sampler."""
    policy: dict[str, Any]
    """Options of the policy, from ``--set``."""
    template: dict[str, Any]
    """Variables of the chat template."""
    chat: Any
    """How prompts become ids: the ``chat`` of the library."""


def typed_options(given: GenerateOptions) -> Typed:
    """What ``generate`` was told of how to decode.

    Raises:
        ValueError: a block length, cache, option, variable or seed that cannot be taken.
    """
    check_seed(given.seed)
    sampler = {name: getattr(given, name) for name in _AS_TYPED} | {
        "block_length": block_length(given.block_length),
        "cache": _cache(given.cache),
        "grow": _grow(given),
    }
    options = {name: value for name, value in sampler.items() if value is not None}
    chat = False if given.raw else "text" if given.text else "continue" if given.go_on else None
    return Typed(options, parse_settings(given.settings), parse_template_args(given.template_arg), chat)


def check_seed(seed: int) -> None:
    """Refuse a seed of more bits than there are: it would be another one's twin.

    Raises:
        ValueError: there are more than 64.
    """
    if not -(2**63) <= seed < 2**63:
        raise ValueError(f"a seed has 64 bits: give --seed one from -2^63 to 2^63 - 1, not {seed}")


def _cache(given: str | None) -> Any:
    """What a Sampler takes as ``cache``; None: its default."""
    if given is None:
        return None
    from dlmsample.models.attention.approximate import APPROXIMATIONS

    if given not in (*APPROXIMATIONS, "none"):
        raise unknown("cache", given, [*APPROXIMATIONS, "none"])
    return given != "none" and given


def _grow(given: GenerateOptions) -> Any:
    """What a Sampler takes as ``grow``; None: answers do not."""
    if given.grow is None:
        if given.grow_settings:
            raise ValueError("--grow-set is for what --grow names: give --grow daedal, or leave it out")
        return None
    if given.grow not in _GROWTHS:
        raise unknown("growth", given.grow, [*_GROWTHS])
    beside = {"--template": given.template, "--show": given.show, "--trace": given.trace}
    if found := [name for name, value in beside.items() if value]:
        raise ValueError(f"--grow does not go with {found[0]}, which needs positions that stay: leave one of them out")
    return resolve(_GROWTHS[given.grow])(**parse_settings(given.grow_settings, "--grow-set"))


def parse_settings(settings: Sequence[str], flag: str = "--set") -> dict[str, Any]:
    """``["threshold=0.2"]`` -> ``{"threshold": 0.2}``; values are YAML scalars, a dot leads into a piece of a chain.

    Raises:
        ValueError: no ``=``, no value, a value that is no scalar, or the same option twice.

    Example:
        >>> parse_settings(["threshold=0.2", "steps=null"])
        {'threshold': 0.2, 'steps': None}
        >>> parse_settings(["fill=steps", "fill.steps=40", "edit.detector.rule=low_prob"])
        {'fill': {'rule': 'steps', 'steps': 40}, 'edit': {'detector': {'rule': 'low_prob'}}}
    """
    from dlmsample.support import yamlfile

    options: dict[str, Any] = {}
    for setting in settings:
        key, equals, value = (part.strip() for part in setting.partition("="))
        if not (key and equals and value):
            raise ValueError(f"{flag} takes option=value, like threshold=0.2 (null for none), not {setting!r}")
        if key in options:
            raise ValueError(f"{flag} {key} is given twice: keep one")
        try:
            options[key] = yamlfile.load(value, key)[0]
        except ValueError as e:
            raise ValueError(f"{flag} {setting!r}: the value is no YAML: put it in quotes") from e
        if isinstance(options[key], (dict, list, set)):
            raise ValueError(f"{flag} {setting!r}: the value must be one YAML scalar, like 0.2, true or null")
    return _nested(options)


def _nested(flat: dict[str, Any]) -> dict[str, Any]:
    """Dotted keys as mappings; a piece that is named by its rule alone may have options beside it."""
    whole: dict[str, Any] = {}
    for key, value in sorted(flat.items(), key=lambda item: item[0].count(".")):
        *path, last = key.split(".")
        inside = whole
        for part in path:
            above = inside.get(part, {})
            inside[part] = above if isinstance(above, dict) else {"rule": above}
            inside = inside[part]
        if not all((*path, last)) or last in inside:
            raise ValueError(f"--set {key}: give each option of a piece once, like edit.threshold=0.5")
        inside[last] = value
    return {key: whole[key] for key in dict.fromkeys(key.partition(".")[0] for key in flat)}


def parse_template_args(given: Sequence[str]) -> dict[str, Any]:
    """``["enable_thinking=false"]`` -> ``{"enable_thinking": False}``; a value is JSON, or YAML, or else a text.

    Raises:
        ValueError: no ``=``, no value, brackets that do not close, or the same key twice.

    Example:
        >>> parse_template_args(["enable_thinking=False", 'tools=[{"type": "function"}]', "date_string=26 Jul 2024"])
        {'enable_thinking': False, 'tools': [{'type': 'function'}], 'date_string': '26 Jul 2024'}
    """
    from dlmsample.support import yamlfile

    found: dict[str, Any] = {}
    for argument in given:
        key, equals, value = (part.strip() for part in argument.partition("="))
        if not (key and equals and value):
            raise ValueError(f"--template-arg takes KEY=VALUE, like enable_thinking=false, not {argument!r}")
        if key in found:
            raise ValueError(f"--template-arg {key} is given twice: keep one")
        try:
            found[key] = json.loads(value)
        except ValueError:
            try:
                read = yamlfile.load(value, key)[0]
            except ValueError as e:
                if value[0] in "[{":
                    raise ValueError(f"--template-arg {key}: the value is no JSON and no YAML: mend it") from e
                read = value
            found[key] = read if isinstance(read, (bool, int, float, list, dict, type(None))) else value
    return found


#: What stands in for ``--policy`` where it is not given, and where ``auto`` finds no recommendation.
DEFAULT_POLICY = "unmask"


class ChosenPolicy(NamedTuple):
    """A policy, the options of the Sampler that come with it, and what a user should know about the choice."""

    policy: Any
    options: dict[str, Any]
    note: str
    source: str = ""  #: what recommends it, like "adapter scope", or the file it was read from; empty: nothing
    spelled: bool = True  #: whether its name was typed: what ``auto`` or a file gives is told

    def say(self) -> None:
        """Tell what was chosen, on standard error: always where it was asked for, else on a terminal alone."""
        if self.note:
            (screen.note if self.spelled else screen.tell)(self.note)


def choose_policy(
    name: str | None,
    model: str,
    adapter: str | None,
    head: str | None,
    changed: dict[str, Any],
    revision: str | None = None,
) -> ChosenPolicy:
    """The policy that was asked for, or with ``auto`` the one that the adapter, head or checkpoint was trained for.

    Args:
        name: from ``--policy``: a name, which options may follow (``t2m:threshold=0.2,max_remasks=2``), ``auto``, or
            the path of a file that ``policy.save`` or a Sampler's ``save_pretrained`` wrote; None: it was not given.
        model: embedded model, folder or hub id.
        adapter: attached to it, or None.
        head: attached to it, or None.
        changed: options of the policy from ``--set``; they win over all others.
        revision: of the model on the hub.

    Raises:
        ValueError: no such policy, a wrong option, or a recommendation or file that cannot be read.
    """
    if name not in (None, AUTO):
        if not name.endswith(FILES):
            name, _, own = name.partition(":")
            return ChosenPolicy(make_policy(name, parse_settings(own.split(",") if own else []) | changed), {}, "")
        from dlmsample.decoding.saved import read_file

        return _chosen(read_file(name), changed, f"from {name}", name)
    from dlmsample.decoding.saved import SavedDecoding, read

    source, said = "", SavedDecoding(DEFAULT_POLICY, {}, {})
    with suppress(*() if name == AUTO else (ValueError,)):  # nobody asked for a recommendation: a damaged one is none
        source, entry = recommended(model, adapter, head, revision, local=name is None)
        if entry:
            said = read(entry, f"{RECOMMENDED} of {source}")
    if name is None:
        fits = said.policy == DEFAULT_POLICY
        note = "" if fits else f"{source} was trained for --policy {said.policy}; --policy auto takes it"
        return ChosenPolicy(make_policy(DEFAULT_POLICY, changed), {}, note)
    nothing = f"the default, as {' with '.join(filter(None, (model, adapter, head)))} recommends none"
    return _chosen(said, changed, f"as {source} was trained for" if source else nothing, source)


def _chosen(said: Any, changed: dict[str, Any], why: str, source: str) -> ChosenPolicy:
    """The policy of a recommendation or a file, with some options changed."""
    policy = make_policy(said.policy, changed_options(said.policy_options, changed))
    usual = policy
    with suppress(ValueError):  # it may lack what --set gives
        usual = make_policy(said.policy, said.policy_options)
    more = "".join(f", {name.replace('_', ' ')} {value}" for name, value in said.options.items())
    instead = f"; with --set it is {spell(policy)}" if policy != usual else ""
    return ChosenPolicy(policy, said.options, f"policy {spell(usual)}{more}, {why}{instead}", source, spelled=False)


def spell(policy: Any) -> str:
    """A policy as it would be typed, with the options that are not the default.

    Example:
        >>> spell(make_policy("t2m", {"threshold": 0.2, "max_remasks": 1}))
        't2m threshold=0.2'
        >>> spell(make_policy("t2t", {"edit_threshold": None}))
        't2t edit_threshold=null'
    """
    fields = type(policy).model_fields
    given = {n: v for n, v in policy.model_dump().items() if fields[n].is_required() or v != fields[n].default}
    return " ".join([policy.name, *(f"{name}={scalar(value)}" for name, value in flat(given))])
