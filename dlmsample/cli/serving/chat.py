"""``dlmsample chat``: questions and answers at a terminal, the canvas live; or line by line through a pipe."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dlmsample.cli import interrupt, options, screen, settings, threads
from dlmsample.support.text import one_line

if TYPE_CHECKING:
    from rich.console import Console

    from dlmsample.cli.serving.session import ChatReply, ChatSession
    from dlmsample.types import Event

_PROMPT = "> "
_GREETING = (
    "every question is read with what was said before, which /clear forgets; /help lists commands, Ctrl-D leaves"
)
_LEAVE, _AGAIN = "/quit", "/again"


@dataclass(frozen=True, kw_only=True)
class ChatOptions(threads.ThreadOptions, options.CheckpointOptions):
    """Chat with a model; at a terminal the canvas is shown while it is decoded.

    \b
    Examples:
      dlmsample chat
      dlmsample chat --model nano --adapter scope --policy auto
      dlmsample chat --policy t2m --set threshold=0.2 --max-new-tokens 96

    Lines that begin with / are commands: /policy t2m, /set threshold=0.2, /undo, /again, /history, /help, /quit.
    """

    model: Annotated[
        str, typer.Option(metavar="NAME", help="Embedded model, folder, or hub id; see dlmsample models.")
    ] = "nano"
    policy: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            autocompletion=options.policy_names,
            help="Decoding rule at first; auto: the one that the checkpoint was trained for; a .json or .yaml file: "
            "the one saved there.  [default: unmask]",
        ),
    ] = None
    settings: Annotated[
        list[str], typer.Option("--set", metavar="OPTION=VALUE", help="Option of the policy; repeatable.")
    ] = field(default_factory=list)
    max_new_tokens: Annotated[int, typer.Option(metavar="N", min=1, help="Length of an answer in tokens.")] = 160
    block_length: Annotated[
        str | None, typer.Option(metavar="N|all", help="Tokens per block, or all.  [default: the model's own]")
    ] = None
    temperature: Annotated[
        float | None, typer.Option(metavar="T", help="0 takes the most probable token always.  [default: 0]")
    ] = None
    top_p: Annotated[
        float | None, typer.Option(metavar="P", help="Draw from tokens of this probability together.  [default: 1]")
    ] = None
    top_k: Annotated[int | None, typer.Option(metavar="K", help="Draw from the K most probable tokens.")] = None
    seed: Annotated[int, typer.Option(metavar="S", help="The same seed gives the same answers.")] = 0
    raw: Annotated[
        bool, typer.Option("--raw", help="Each line as it is: no chat template, nothing of what was said before.")
    ] = False


def chat(given: ChatOptions) -> None:
    """Load, then answer until the input ends.

    Raises:
        ValueError: anything the user can put right before the first question.
    """
    block_length = settings.block_length(given.block_length)
    changed = settings.parse_settings(given.settings)
    settings.check_seed(given.seed)
    chosen = settings.choose_policy(given.policy, given.model, given.adapter, given.head, changed, given.revision)
    screen.silence()
    threads.use(given.threads)
    model = given.load(given.model)
    if model.tokenizer is None:
        raise ValueError(f"{model.name} has no tokenizer to chat with: put its files into the folder")
    chosen.say()
    from dlmsample.cli.serving.session import ChatSession

    asked = {"block_length": block_length, **{name: getattr(given, name) for name in ("temperature", "top_p", "top_k")}}
    sampling = {name: value for name, value in asked.items() if value is not None}
    session = ChatSession(
        model, chosen.policy, sampling, given.max_new_tokens, given.seed, given.raw, own=chosen.options
    )
    session.command("/policy")
    interrupt.raise_from_here()
    _talk(session, screen.console(sys.stdout))


def _talk(session: ChatSession, page: Console) -> None:
    if page.is_terminal:
        screen.say(page, f"{session.model.name}; {_GREETING}")
    for line in _lines(page.is_terminal):
        said = line.strip()
        if not said:
            continue
        if said.split()[0] == _LEAVE:
            return
        try:
            if said == _AGAIN:
                _answer(session, session.again, page)
            elif said.startswith("/"):
                screen.say(page, session.command(said))
            else:
                _answer(session, partial(session.ask, said), page)
        except ValueError as error:  # the next line can be better
            screen.say(page, f"dlmsample: {one_line(error)}")
        except KeyboardInterrupt:
            screen.say(page, "interrupted; nothing was kept of this question")
        page.file.flush()


def _lines(terminal: bool) -> Iterator[str]:
    """What is typed, with the line editing and the history of readline at a terminal; or the lines of a pipe."""
    if not (terminal and sys.stdin.isatty()):
        for number, line in enumerate(sys.stdin.buffer, 1):
            try:
                yield line.decode()
            except UnicodeDecodeError:
                raise ValueError(f"line {number} of standard input is not UTF-8: convert it") from None
        return
    with suppress(ImportError):
        import readline  # noqa: F401  # input() edits lines and remembers them once it is imported
    while True:
        try:
            yield input(_PROMPT)
        except EOFError:
            print()
            return


def _answer(session: ChatSession, answered: Callable[[Any], ChatReply], page: Console) -> None:
    from rich.text import Text

    with _canvas(session, page) as watch:
        reply = answered(watch)
    screen.say(page, reply.text.strip())
    stats = reply.stats
    figures = f"nfe {stats.nfe}, tokens {stats.tokens}, tokens/forward {stats.tokens_per_forward:.2f}"
    page.print(Text(f"{figures}, remasks {stats.remasks}, replaces {stats.replaces}", "dim"), soft_wrap=True)


@contextmanager
def _canvas(session: ChatSession, page: Console) -> Iterator[Any]:
    """What to call after every forward: at a terminal it draws the canvas, which goes away at the end."""
    if not page.is_terminal:
        yield lambda changes: None
        return
    from rich.live import Live

    from dlmsample.cli.answers.steps import canvas, frames

    told: list[Event] = []
    with Live(console=page, transient=True, auto_refresh=False, vertical_overflow="crop") as live:

        def watch(changes: list[Event]) -> None:
            told.extend(changes)
            if changes:
                *_, frame = frames(told, session.length)
                colour = page.color_system is not None
                decode = session.model.tokenizer.decode
                live.update(canvas(frame.cells, lambda token: decode([token]), colour), refresh=True)

        yield watch
