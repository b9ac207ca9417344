"""``dlmsample serve``: an OpenAI-compatible server on this machine."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any

import typer

from dlmsample.cli import options, screen, settings, threads
from dlmsample.policies.registry import AUTO

#: Holds the API key where no file does; on the command line every user of the machine could read it.
KEY_VARIABLE = "DLMSAMPLE_API_KEY"
_NEEDED = ("starlette", "uvicorn", "sse_starlette", "prometheus_client")
_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, kw_only=True)
class ServeOptions(threads.ThreadOptions):
    """Serve checkpoints over the OpenAI API: completions, chat, streaming, and Prometheus figures under /metrics.

    \b
    Examples:
      dlmsample serve
      dlmsample serve --model nano --adapter scope --adapter mdm --policy t2m --port 8000
      dlmsample serve --model runs/mine/final --policy auto --host 0.0.0.0 --api-key-file key.txt

    \b
    Requests name a checkpoint ("nano", with an adapter "nano+scope") and may name a policy and its options:
      client.chat.completions.create(model="nano", messages=[...],
                                     extra_body={"policy": "t2m", "options": {"threshold": 0.2}})
    """

    model: Annotated[
        list[str], typer.Option(metavar="NAME", help="Embedded model, folder, or hub id; repeatable.  [default: nano]")
    ] = field(default_factory=list)
    adapter: Annotated[
        list[str],
        typer.Option(metavar="NAME", help="Serve every model also with this adapter; repeatable."),
    ] = field(default_factory=list)
    head: Annotated[str | None, typer.Option(metavar="NAME", help="Correction head of every model.")] = None
    policy: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            autocompletion=options.policy_names,
            help="Decoding rule where a request names none; auto: the one that the checkpoint was trained for; a "
            ".json or .yaml file: the one saved there.  [default: unmask]",
        ),
    ] = None
    settings: Annotated[
        list[str], typer.Option("--set", metavar="OPTION=VALUE", help="Option of that policy; repeatable.")
    ] = field(default_factory=list)
    block_length: Annotated[
        str | None, typer.Option(metavar="N|all", help="Tokens per block where a request names none.")
    ] = None
    host: Annotated[
        str, typer.Option(metavar="H", help="Address to listen at; others than the default are open to the network.")
    ] = _LOOPBACK
    port: Annotated[int, typer.Option(metavar="P", min=0, max=65535, help="0 takes one that is free.")] = 8000
    api_key_file: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help=f"Requests must carry the key in this file.  [default: {KEY_VARIABLE}, else no key]"
        ),
    ] = None
    batch_size: Annotated[int, typer.Option(metavar="N", min=1, help="Rows in one forward.")] = 32
    batches: Annotated[int, typer.Option(metavar="N", min=1, help="Policies and options decoded in turns.")] = 4
    queue: Annotated[int, typer.Option(metavar="N", min=1, help="Answers that may wait; more are refused.")] = 256
    streams: Annotated[int, typer.Option(metavar="N", min=1, help="Streams open at the same time.")] = 64
    choices: Annotated[int, typer.Option(metavar="N", min=1, help="Answers to one request.")] = 16
    prompt_tokens: Annotated[int, typer.Option(metavar="N", min=1, help="Tokens of a prompt.")] = 4096
    new_tokens: Annotated[int, typer.Option(metavar="N", min=1, help="Tokens of an answer.")] = 1024
    body_bytes: Annotated[int, typer.Option(metavar="N", min=1, help="Bytes of a request.")] = 1 << 20
    body_seconds: Annotated[float, typer.Option(metavar="S", help="Until a request has come.")] = 15.0
    answer_seconds: Annotated[float, typer.Option(metavar="S", help="For an answer, waiting included.")] = 600.0
    reader_seconds: Annotated[float, typer.Option(metavar="S", help="That a stream waits for a slow client.")] = 30.0
    drain_seconds: Annotated[float, typer.Option(metavar="S", help="To finish answers after SIGTERM.")] = 30.0
    device: options.Device = None
    dtype: Annotated[
        str | None, typer.Option(metavar="T", help="Torch dtype.  [default: float32; off CPUs bfloat16]")
    ] = None
    trust_remote_code: options.TrustRemoteCode = False
    family: options.FamilyName = None
    revision: options.Revision = None
    ignore_config: options.IgnoreConfig = None


def serve(given: ServeOptions) -> None:
    """Check what can be checked at once, then load and serve until a signal.

    Raises:
        ValueError: anything the user can put right.
    """
    block_length = settings.block_length(given.block_length)
    changed = settings.parse_settings(given.settings)
    check_installed()
    from dlmsample.serve.limits import ServerLimits

    limits = ServerLimits(**{f.name: getattr(given, f.name) for f in fields(ServerLimits)})
    key = api_key(given.api_key_file)
    names = list(dict.fromkeys(given.model or ["nano"]))
    adapters: list[str | None] = [None, *dict.fromkeys(given.adapter)]
    policies = {
        (name, adapter): settings.choose_policy(given.policy, name, adapter, given.head, changed, given.revision)
        for name in names
        for adapter in adapters
    }
    from dlmsample.serve.run import listen, run

    listening = listen(given.host, given.port)
    screen.silence()
    threads.use(given.threads)
    from dlmsample.serve.app import ServerState
    from dlmsample.serve.guard import LOOPBACK

    models = dict(_served(given, policies, block_length))
    hosts = LOOPBACK | {given.host} if given.host in LOOPBACK else ()
    logging.disable(logging.NOTSET)  # a server's mistakes belong in its log, which is standard error
    run(ServerState(models, limits, key, hosts), listening)


def check_installed() -> None:
    """Find out now that the extra is missing.

    Raises:
        ValueError: it is.
    """
    from importlib.util import find_spec

    if missing := [name for name in _NEEDED if find_spec(name) is None]:
        raise ValueError(f"serve needs {', '.join(missing)}: pip install 'dlmsample[serve]'")


def api_key(file: str | None) -> str | None:
    """The key that requests must carry, from a file or the environment; None: none.

    Raises:
        ValueError: the file cannot be read, or holds no key.
    """
    if file is None:
        return os.environ.get(KEY_VARIABLE) or None
    try:
        key = Path(file).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError, RuntimeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise ValueError(f"cannot read {file!r} (--api-key-file): {why}") from None
    if not key or any(c.isspace() for c in key):
        raise ValueError(f"{file!r} (--api-key-file) must hold one key, without spaces, on one line")
    return key


def _served(given: ServeOptions, policies: dict[Any, Any], block_length: Any) -> Iterator[tuple[str, Any]]:
    from dlmsample.serve.checkpoints import ServedModel, ServedPolicy, served_name

    for (name, adapter), chosen in policies.items():
        checkpoint = options.CheckpointOptions(
            adapter=adapter,
            head=given.head,
            device=given.device,
            dtype=given.dtype,
            trust_remote_code=given.trust_remote_code,
            family=given.family,
            revision=given.revision,
            ignore_config=given.ignore_config,
        )
        recommended = None
        with suppress(ValueError):  # nobody asked for a recommendation: a damaged one is none
            trained_for = settings.choose_policy(AUTO, name, adapter, given.head, {}, given.revision)
            if trained_for.source:
                recommended = ServedPolicy(trained_for.policy, trained_for.options)
        chosen.say()
        called, default = served_name(name, adapter), ServedPolicy(chosen.policy, chosen.options)
        common = {} if block_length is None else {"block_length": block_length}
        yield called, ServedModel(called, checkpoint.load(name), default, recommended, common)
