"""A policy and the options of a Sampler as one small JSON object, and back: what ``decoding_config.json`` holds.

The object is what a grid file writes for a policy: its name under ``policy``, its options beside that, and options of
the Sampler among them, such as ``{"policy": "d3im", "steps": 48, "block_length": "all"}``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

from pydantic import ValidationError

from dlmsample.models.attention.approximate import APPROXIMATIONS
from dlmsample.models.denoiser import Denoiser
from dlmsample.models.loading import load
from dlmsample.models.recommended import RECOMMENDED, recommended
from dlmsample.policies.base import Policy
from dlmsample.policies.registry import policy_class
from dlmsample.support.files import atomic_write
from dlmsample.support.registry import unknown
from dlmsample.support.yamlfile import document
from dlmsample.types import CacheKind

#: Options of a Sampler that may stand in the file, with their defaults. What decides no token (batch size, cache of
#: block-causal models, graphs) is the user's alone.
DECODING: dict[str, Any] = {"block_length": None, "temperature": 0.0, "top_p": 1.0, "top_k": None}

_REMEDY = "correct it, or name a policy (--policy)"


class SavedDecoding(NamedTuple):
    """What a file says: a policy's name and options, and options of :class:`dlmsample.Sampler`."""

    policy: str
    policy_options: dict[str, Any]
    options: dict[str, Any]  #: only those that the file names

    def make(self, where: str) -> Policy:
        """The policy.

        Raises:
            ValueError: an option out of range.
        """
        try:
            return policy_class(self.policy)(**self.policy_options)
        except ValidationError as e:
            raise ValueError(f"{where}: policy {e}: {_REMEDY}") from e


def dump(policy: Policy, options: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON object of a policy and of those options that are not the default.

    Example:
        >>> import dlmsample as ds
        >>> dump(ds.Unmask(steps=8), {"temperature": 0.0, "top_p": 0.9})["top_p"]
        0.9
    """
    changed = {name: options[name] for name in DECODING if name in options and options[name] != DECODING[name]}
    return {"policy": policy.name, **policy.model_dump(mode="json"), **changed}


def read(entry: Mapping[str, Any], where: str) -> SavedDecoding:
    """A JSON object taken apart.

    Args:
        entry: the object.
        where: whose it is, for errors.

    Raises:
        ValueError: no such policy, an option that neither the policy nor the Sampler has, or one of the wrong type.

    Example:
        >>> read({"policy": "d3im", "steps": 48, "block_length": "all"}, "an example")
        SavedDecoding(policy='d3im', policy_options={'steps': 48}, options={'block_length': 'all'})
    """
    named = {name: value for name, value in entry.items() if name != "policy"}
    options = {name: named.pop(name) for name in DECODING if name in named}
    _check(options, where)
    try:
        known = policy_class(entry["policy"]).model_fields
    except ValueError as e:
        raise ValueError(f"{where}: {e}") from None
    for name in named:
        if name not in known:
            raise ValueError(f"{where}: {unknown('option of policy ' + entry['policy'], name, [*known, *DECODING])}")
    return SavedDecoding(entry["policy"], named, options)


def read_file(path: str | Path) -> SavedDecoding:
    """A JSON or YAML file taken apart, as :meth:`Pretrained.save_pretrained` or a policy's ``save`` wrote it.

    Raises:
        ValueError: it cannot be read, or as for :func:`read`.
    """
    entry = document(path, "policy")[0]
    if not isinstance(entry, Mapping) or not isinstance(entry.get("policy"), str):
        raise ValueError(f'{str(path)!r} names no policy: write {{"policy": "t2m", ...}} with its options')
    return read({str(name): value for name, value in entry.items()}, str(path))


def _check(options: Mapping[str, Any], where: str) -> None:
    """The types of a Sampler's options; their ranges are checked by the Sampler."""
    length = options.get("block_length")
    if not (length in (None, "all") or type(length) is int):
        raise ValueError(
            f'{where}: block_length is a number of tokens or "all": correct it, or name a policy (--policy)'
        )
    for name in ("temperature", "top_p"):
        if type(options.get(name, 0)) not in (int, float):
            raise ValueError(f"{where}: {name} is a number: {_REMEDY}")
    if type(options.get("top_k")) not in (int, type(None)):
        raise ValueError(f"{where}: top_k is a whole number or null: {_REMEDY}")


def write(folder: str | Path, policy: Policy, options: Mapping[str, Any]) -> Path:
    """Write ``decoding_config.json`` into a folder, which is made where there is none.

    Raises:
        ValueError: it cannot be written.
    """
    path = Path(folder) / RECOMMENDED
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise ValueError(f"cannot write {str(path)!r}: {e.strerror}; name another folder") from e
    with atomic_write(path) as file:
        file.write(json.dumps(dump(policy, options)) + "\n")
    return path


class Pretrained:
    """What a Sampler keeps beside a checkpoint's weights and takes from there."""

    model: Denoiser
    policy: Policy
    block_length: int | Literal["all"]
    temperature: float
    top_p: float
    top_k: int | None
    cache: CacheKind
    next_block: tuple[float, float] | None
    grow: Any

    def save_pretrained(self, folder: str | Path) -> Path:
        """Write the policy and the decoding options as ``decoding_config.json``, to lie beside a checkpoint's weights.

        Saved are the options that decide tokens: the policy's own, block length, temperature, top-p and top-k. A
        Sampler with an approximate cache, ``next_block`` or ``grow``, which decide tokens as well, is refused.

        Args:
            folder: a checkpoint's, an adapter's or a head's; made where there is none.

        Returns:
            The file's path.

        Raises:
            ValueError: it cannot be written, or has options that the file does not hold.

        Example:
            >>> import tempfile
            >>> import dlmsample as ds
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     path = ds.Sampler(ds.load("nano"), ds.D3IM(steps=48), block_length="all").save_pretrained(folder)
            ...     ds.Sampler.from_pretrained(ds.load("nano"), folder).policy
            D3IM(steps=48, t2t=True, t2m=True, eos='confidence')
        """
        others = {
            "an approximate cache": self.cache in APPROXIMATIONS,
            "next_block": self.next_block is not None,
            "grow": self.grow is not None,
        }
        if found := [name for name, there in others.items() if there]:
            raise ValueError(
                f"{RECOMMENDED} does not hold {' or '.join(found)}, on which this Sampler's tokens depend: save a "
                "Sampler without it, and give it to from_pretrained"
            )
        own = self.block_length == self.model.block_length
        options = {"temperature": self.temperature, "top_p": self.top_p, "top_k": self.top_k}
        return write(folder, self.policy, {"block_length": None if own else self.block_length, **options})

    @classmethod
    def from_pretrained(cls, model: Denoiser | str | Path, folder: str | Path | None = None, **changed: Any) -> Self:
        """A Sampler with the policy and options that a checkpoint carries in its ``decoding_config.json``.

        Args:
            model: from :func:`dlmsample.load`, or what to load. A head's recommendation goes before an adapter's, and
                an adapter's before the checkpoint's own.
            folder: read the file in this folder instead.
            changed: arguments of the Sampler that win over the file's; ``policy`` is one of them.

        Raises:
            ValueError: there is no such file, or it cannot be read.

        Example:
            >>> import dlmsample as ds
            >>> ds.Sampler.from_pretrained(ds.load("nano", adapter="scope")).block_length
            'all'
        """
        if not isinstance(model, Denoiser):
            model = load(model)
        if folder is None:
            source, entry = recommended(model.name, model.adapter, model.head_name, local=False)
        else:
            source, entry = recommended(str(folder), local=False)
        if not entry:
            where = model.name if folder is None else str(folder)
            raise ValueError(f"{where!r} has no {RECOMMENDED}: make a Sampler with a policy of your own")
        saved = read(entry, f"{RECOMMENDED} of {source}")
        policy = changed.pop("policy", None) or saved.make(f"{RECOMMENDED} of {source}")
        return cls(model, policy, **{**saved.options, **changed})  # type: ignore[call-arg]  # those of the Sampler
