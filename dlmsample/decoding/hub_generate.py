"""The same for a repository of the hub: ``custom_generate/generate.py``, and what that file calls."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import dlmsample
from dlmsample.decoding.custom_generate import custom_generate
from dlmsample.decoding.saved import DECODING, dump, read, write
from dlmsample.policies.base import Policy
from dlmsample.policies.registry import policy as policy_by_name
from dlmsample.support.files import atomic_write

#: Arguments of generate that go to :func:`custom_generate`.
_OURS = ("mask_id", "attention", "block_alignment", "logit_shift", "tokenizer", "streamer", "seed", "batch_size")


def push_custom_generate(
    folder: str | Path,
    policy: Policy | str = "unmask",
    *,
    block_length: int | Literal["all"] | None = None,
    temperature: float = 0.0,
    top_p: float = 1.0,
    top_k: int | None = None,
) -> list[Path]:
    """Write ``custom_generate/generate.py`` and ``decoding_config.json`` into a folder that goes to the hub.

    Whoever has dlmsample installed then decodes with the recommended policy by
    ``model.generate(ids, custom_generate="org/name", trust_remote_code=True)``, and with another one by adding
    ``policy="t2m"``. There, ``tokenizer``, ``stop_strings`` and ``streamer`` of ``generate`` work as always.
    Nothing is sent anywhere: upload the folder with ``hf upload``.

    Args:
        folder: of the repository; made where there is none.
        policy: what the repository recommends.
        block_length: as in :class:`dlmsample.Sampler`; None: the checkpoint's own.
        temperature: above 0 the recommendation samples, unless the caller says ``do_sample=False``.
        top_p: as in the Sampler.
        top_k: as in the Sampler.

    Returns:
        The files written.

    Raises:
        ValueError: no such policy, or a file that cannot be written.

    Example:
        >>> import tempfile
        >>> import dlmsample as ds
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     [path.name for path in ds.push_custom_generate(folder, ds.D3IM(steps=48), block_length="all")]
        ['generate.py', 'requirements.txt', 'decoding_config.json']
    """
    rule = policy_by_name(policy) if isinstance(policy, str) else policy
    options = {"block_length": block_length, "temperature": temperature, "top_p": top_p, "top_k": top_k}
    config = write(folder, rule, options)
    place = config.parent / "custom_generate"
    place.mkdir(exist_ok=True)
    template = files(dlmsample).joinpath("decoding", "generate.py.txt").read_text(encoding="utf-8")
    entry = json.dumps(json.dumps(dump(rule, options)))  # a JSON text, as a string of Python
    contents = {
        "generate.py": template.replace('"@RECOMMENDED@"', entry),
        "requirements.txt": f"dlmsample>={dlmsample.__version__}\n",
    }
    for name, text in contents.items():
        with atomic_write(place / name) as file:
            file.write(text)
    return [*(place / name for name in contents), config]


def hub_generate(
    model: Any,
    recommendation: Mapping[str, Any],
    inputs: Any = None,
    policy: Policy | str | None = None,
    block_length: int | Literal["all"] | None = None,
    stop_strings: str | list[str] | None = None,
    **given: Any,
) -> Any:
    """What a repository's ``custom_generate/generate.py`` calls: ``generate`` of the model with our decoding method.

    Args:
        model: the module.
        recommendation: what the repository recommends, as ``decoding_config.json`` holds it.
        inputs: the prompts' ids.
        policy: another one than recommended.
        block_length: likewise.
        stop_strings: end an answer; ``tokenizer`` must be given with them.
        given: all other arguments of ``generate``, and those of :func:`custom_generate`.

    Raises:
        ValueError: as :func:`custom_generate`.
    """
    where = "the recommendation of this custom_generate"
    said = read(recommendation, where)
    options = {**DECODING, **(said.options if policy is None else {})}
    if policy is None:
        policy = said.make(where)
    ours = {name: given.pop(name) for name in _OURS if given.get(name) is not None}
    config = given.get("generation_config")
    stop = (
        stop_strings or getattr(config, "stop_strings", None) or getattr(model.generation_config, "stop_strings", None)
    )
    if options["temperature"] > 0 and given.get("do_sample") is None and config is None:
        sampling = {name: options[name] for name in ("temperature", "top_p", "top_k") if options[name] is not None}
        given = {"do_sample": True, "top_k": 0, **sampling, **{k: v for k, v in given.items() if v is not None}}
    decode = custom_generate(
        policy,
        block_length=options["block_length"] if block_length is None else block_length,
        stop=[stop] if isinstance(stop, str) else stop,
        **ours,
    )
    given = {name: value for name, value in given.items() if value is not None}
    # of its class: an instance that was loaded with remote code has this very function as its generate
    return type(model).generate(model, inputs, custom_generate=decode, **given)
