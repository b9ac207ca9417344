"""A chat: what was said, how it is decoded, and the commands that change that. Knows no terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import dlmsample
from dlmsample.cli import settings
from dlmsample.policies.registry import changed_options, make_policy
from dlmsample.support.registry import unknown
from dlmsample.types import Event, RowStats

#: Command -> what it does.
COMMANDS = {
    "/policy": "[NAME]: decode with this policy from now on (also auto, or a file), or say which one it is",
    "/set": "OPTION=VALUE: change an option of the policy",
    "/seed": "N: the seed of the next answers",
    "/tokens": "N: positions of an answer",
    "/undo": "take back the last question and its answer",
    "/again": "answer the last question anew",
    "/history": "what was said",
    "/clear": "forget what was said",
    "/help": "these commands",
    "/quit": "leave, as the end of input does",
}


class ChatReply(NamedTuple):
    """An answer in a chat."""

    text: str
    stats: RowStats


class ChatSession:
    """What was said and how the next answer is decoded.

    Args:
        model: with a tokenizer.
        policy: at first.
        sampling: further options of the :class:`~dlmsample.Sampler`.
        length: positions of an answer.
        seed: of the answers.
        raw: take each text as it is, without a chat template and without what was said before.
        own: options of the Sampler that come with the policy; ``sampling`` wins, and another policy leaves them.

    Example:
        >>> session = ChatSession(dlmsample.load("nano"), dlmsample.Unmask(), {}, 32, 0)
        >>> session.command("/set tokens_per_step=4")
        'policy unmask tokens_per_step=4'
        >>> len(session.ask("Ann had 3 pens and got 4. How many?").text) > 0, len(session.messages)
        (True, 2)
    """

    def __init__(
        self,
        model: Any,
        policy: Any,
        sampling: dict[str, Any],
        length: int,
        seed: int,
        raw: bool = False,
        own: Mapping[str, Any] | None = None,
    ) -> None:
        self.model, self.policy, self._sampling, self._own = model, policy, sampling, dict(own or {})
        self.length, self.seed, self._raw = length, seed, raw
        self.messages: list[dict[str, str]] = []

    def ask(self, text: str, watch: Callable[[list[Event]], None] = lambda changes: None) -> ChatReply:
        """Answer, and remember both; when it fails or is interrupted nothing is remembered.

        Args:
            text: of the question.
            watch: called after every forward with what it changed.

        Raises:
            ValueError: it cannot be answered, in one line.
        """
        return self._asked(self.messages, text, watch)

    def _asked(self, before: Sequence[dict[str, str]], text: str, watch: Callable[[list[Event]], None]) -> ChatReply:
        said = [*before, {"role": "user", "content": text}]
        templated = not self._raw and bool(self.model.tokenizer.chat_template)
        reply = self._decoded(said if templated else text, watch)
        self.messages = [*said, {"role": "assistant", "content": reply.text}]
        return reply

    def command(self, line: str) -> str:
        """Carry out a command; gives what to say about it.

        Raises:
            ValueError: it is none, or its words are wrong, in one line.
        """
        name, _, rest = line.strip().partition(" ")
        rest = rest.strip()
        if name not in COMMANDS:
            raise unknown("command", name, COMMANDS)
        match name:
            case "/policy" if rest:
                named = settings.choose_policy(rest, self.model.name, self.model.adapter, self.model.head_name, {})
                self._change(named.policy, named.options)
                return named.note or self._told()
            case "/set":
                changed = settings.parse_settings([rest])
                options = changed_options(self.policy.model_dump(), changed)
                self._change(make_policy(self.policy.name, options), self._own)
            case "/seed" | "/tokens":
                return self._number(name[1:], rest)
            case "/undo":
                if not self.messages:
                    return "nothing was said"
                self.messages = self.messages[:-2]
                left = len(self.messages) // 2
                return f"taken back; {left} question{' is' if left == 1 else 's are'} left"
            case "/clear":
                self.messages = []
                return "forgotten"
            case "/history":
                return "\n".join(f"{m['role']}: {m['content'].strip()}" for m in self.messages) or "nothing was said"
            case "/help":
                return "\n".join(f"{name} {what}" for name, what in COMMANDS.items())
        return self._told()

    def again(self, watch: Callable[[list[Event]], None] = lambda changes: None) -> ChatReply:
        """Answer the last question anew, in place of its answer; when that fails or is interrupted the old one stays.

        Raises:
            ValueError: nothing was said, or it cannot be answered.
        """
        if not self.messages:
            raise ValueError("nothing was said that could be answered again: ask something")
        before, question = self.messages[:-2], self.messages[-2]["content"]
        return self._asked(before, question, watch)

    def _told(self) -> str:
        return f"policy {settings.spell(self.policy)}"

    def _number(self, name: str, text: str) -> str:
        least = 1 if name == "tokens" else -(2**63)
        if not text.lstrip("-").isdecimal() or not least <= int(text) < 2**63:
            raise ValueError(f"/{name} takes a whole number{', 1 or more' if name == 'tokens' else ''}, not {text!r}")
        if name == "tokens":
            self.length = int(text)
        else:
            self.seed = int(text)
        return f"{name} {text}"

    def _change(self, policy: Any, own: dict[str, Any]) -> None:
        self._sampler(policy, own)  # what does not fit the model is found now
        self.policy, self._own = policy, own

    def _sampler(self, policy: Any, own: dict[str, Any]) -> Any:
        return dlmsample.Sampler(self.model, policy, **{**own, **self._sampling, "batch_size": 1})

    def _decoded(self, prompt: str | Sequence[dict[str, str]], watch: Callable[[list[Event]], None]) -> ChatReply:
        chat = False if self._raw else None
        answer = None
        for draft in dlmsample.watch(self._sampler(self.policy, self._own), prompt, self.length, self.seed, chat=chat):
            watch(draft.events)
            answer = draft.answer
        assert answer is not None
        return ChatReply(answer.text or "", answer.stats)
