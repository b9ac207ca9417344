"""Loading published weights into a stock module: transformers renames, splits and stacks tensors as it reads them.

That way sharded files, device maps and quantisation work as for any stock checkpoint. The conversions are registered
under a model type of ours, which the config has only while it loads; a module that is saved has the stock names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from dlmsample.models.families.base import Family, Join, Rename, Split, Stack
from dlmsample.models.hub import gist, not_fetched
from dlmsample.models.weight_files import QUANTISED, stored_quantised

#: Tensors that a checkpoint may lack, because decoding never reads them; and may have although the body derives them.
_UNUSED = ("contact_head", "pooler", "position_ids")
_DERIVED = ("inv_freq", "position_ids")


def conversions(family: Family) -> list[Any]:
    """A family's transforms as those of transformers."""
    from transformers.core_model_loading import Concatenate, MergeModulelist, WeightConverter, WeightRenaming

    from dlmsample.models.families.cut import RowCut

    done: list[Any] = []
    for rule in family.weights:
        if isinstance(rule, Rename):
            done.append(WeightRenaming(rule.published, rule.stock))
        elif isinstance(rule, Split):
            done.append(WeightConverter(rule.published, list(rule.stock), operations=[RowCut()]))
        elif isinstance(rule, Stack):
            join = [Concatenate(dim=1)] if len(rule.published) > 1 else []
            done.append(WeightConverter(list(rule.published), rule.stock, operations=[MergeModulelist(dim=0), *join]))
        elif isinstance(rule, Join):
            done.append(WeightConverter(list(rule.published), rule.stock, operations=[Concatenate(dim=1)]))
    return done


@contextmanager
def _converting(family: Family, config: Any) -> Iterator[None]:
    """Inside, a module that is loaded with ``config`` takes published names."""
    if not family.weights:
        yield
        return
    from transformers.conversion_mapping import register_checkpoint_conversion_mapping

    key = f"dlmsample_{family.name}"
    register_checkpoint_conversion_mapping(key, conversions(family), overwrite=True)
    with model_type(config, key):
        yield


@contextmanager
def model_type(config: Any, name: str) -> Iterator[None]:
    """Inside, a configuration has another ``model_type``, by which transformers and PEFT look up conversions."""
    config.model_type = name  # the instance's, over that of its class
    try:
        yield
    finally:
        del config.model_type


def load_module(
    name: str,
    where: str,
    model_class: Any,
    family: Family,
    config: Any,
    dtype: Any,
    *,
    trust_remote_code: bool = False,
    revision: str | None = None,
    allow_pickle: bool = False,
    device_map: Any = None,
    quantization: Any = None,
    attention: str | None = "sdpa",
) -> Any:
    """A module with all its weights, on the CPU unless a device map says otherwise.

    Raises:
        ValueError: weights that are missing, damaged, or do not fit.
    """
    options: dict[str, Any] = {
        "device_map": device_map,
        "quantization_config": quantization,
        "attn_implementation": attention,
        "revision": revision,
    }
    if trust_remote_code:
        options["trust_remote_code"] = True
    try:
        with _converting(family, config), _without_bars():
            loaded: Any = model_class.from_pretrained(
                where,
                config=config,
                dtype=dtype,
                use_safetensors=None if allow_pickle else True,
                output_loading_info=True,
                **{key: value for key, value in options.items() if value is not None},
            )
    except Exception as e:  # files that nobody here wrote may break a loader anywhere
        if (reason := not_fetched(e, name, where, revision)) is not None:
            raise ValueError(reason) from e
        if "offload_folder" in str(e):
            raise ValueError(
                f"weights of {name!r} would stay on disk, where there are only the published ones and the family "
                f"{family.name!r} rewrites them while they load: let device_map put them on cpu or a GPU"
            ) from e
        needed = "a model.safetensors that fits config.json"
        if quantization is not None:
            needed += ", and a bitsandbytes that works on this device"
        raise ValueError(f"cannot load the weights of {name!r}: {gist(e)} (needed: {needed})") from e
    module, report = loaded
    if family.weights:
        # the instance's, not the class's: what is saved from here on is stock
        module.config.__dict__.pop("model_type", None)
        module._weight_conversions = None
    unexpected = report["unexpected_keys"]
    if unexpected and (found := stored_quantised(unexpected)):  # of a hub id: a folder was looked at before
        raise ValueError(QUANTISED.format(name=repr(name), sign=found[0]))
    if missing := _beyond(report["missing_keys"], _UNUSED):  # transformers would fill them with random numbers
        raise ValueError(
            f"the weights of {name!r} are incomplete: {len(missing)} tensors like {missing[0]} are missing"
        )
    if family.config and (extra := _beyond(report["unexpected_keys"], _DERIVED)):
        raise ValueError(
            f"the weights of {name!r} do not fit {family.model}: {len(extra)} tensors like {extra[0]} have no place "
            f"in it; is it of the family {family.name!r}? (--family names another)"
        )
    if not family.config and (extra := _of_more_layers(report["unexpected_keys"], module.state_dict())):
        raise ValueError(
            f"the weights of {name!r} have more layers than its config.json says: {len(extra)} tensors like {extra[0]} "
            "have no place; take the published config.json"
        )
    return module


def _of_more_layers(keys: Sequence[str], known: Iterable[str]) -> list[str]:
    """The keys that differ from a known one in a number alone."""
    kinds = {re.sub(r"\b\d+\b", "*", key) for key in known}
    return sorted(key for key in keys if re.sub(r"\b\d+\b", "*", key) in kinds)


@contextmanager
def _without_bars() -> Iterator[None]:
    """Inside, transformers shows no progress bars, unless the caller has hooked them."""
    from transformers.utils import logging

    previous = logging.set_tqdm_hook(lambda factory, args, options: logging.EmptyTqdm(*args, **options))
    if previous is not None:
        logging.set_tqdm_hook(previous)
    try:
        yield
    finally:
        logging.set_tqdm_hook(previous)


def _beyond(keys: Sequence[str], known: Sequence[str]) -> list[str]:
    return sorted(key for key in keys if not any(part in key for part in known))
