"""From a request's body to the jobs of the engine."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from dlmsample.decoding.answers import Stops
from dlmsample.decoding.arguments import EncodedPrompt, RowKeys, encode_prompt, stop_strings
from dlmsample.decoding.sampler import Sampler
from dlmsample.decoding.saved import DECODING
from dlmsample.models.denoiser import Prompt
from dlmsample.policies.registry import changed_options, make_policy, policy_class
from dlmsample.serve.bodies import AnswerBody, ChatBody, CompletionBody
from dlmsample.serve.checkpoints import ServedModel, ServedPolicy, find
from dlmsample.serve.engine.jobs import EngineEvent, Job
from dlmsample.serve.limits import ServerLimits

#: Answer positions where a request does not say.
NEW_TOKENS = 160


@dataclass(frozen=True, eq=False)
class Ask:
    """What a request asks for, checked and encoded."""

    served: ServedModel
    sampler: Sampler
    prompts: list[EncodedPrompt]
    n: int
    new_tokens: int
    seed: int
    stops: Stops
    stream: bool
    usage: bool  #: at the end of a stream
    drafts: bool
    logprobs: bool
    chat: bool

    @property
    def count(self) -> int:
        """How many answers."""
        return self.n * len(self.prompts)

    def jobs(self, tell: Callable[[int, EngineEvent], None]) -> list[Job]:
        """A job per answer, those of one prompt behind each other; ``tell`` also gets the answer's index.

        Answer by answer they are those of ``Sampler.generate`` for the prompts, each ``n`` times, with this seed.
        """
        keys = RowKeys(self.seed)
        repeated = [row for row in self.prompts for _ in range(self.n)]
        return [
            Job(
                self.served.name,
                self.sampler,
                row,
                self.new_tokens,
                keys.of(row.before),
                self.stops,
                lambda event, index=index: tell(index, event),
                blocks=self.stream,
                drafts=self.drafts,
                record=self.logprobs,
            )
            for index, row in enumerate(repeated)
        ]


def understand(body: AnswerBody, models: Mapping[str, ServedModel], limits: ServerLimits) -> Ask:
    """Check a body against the checkpoint it names, and encode its prompts.

    Raises:
        UnknownModel: there is no such checkpoint.
        ValueError: anything else that the client can put right, in one line.
    """
    served = find(models, body.model)
    chat = isinstance(body, ChatBody)
    logprobs = _logprobs(body)
    if body.drafts and not body.stream:
        raise ValueError("drafts are told in a stream: give stream=true too")
    new_tokens = _new_tokens(body, limits)
    prompts = _prompts(body)
    if body.n * len(prompts) > limits.choices:
        raise ValueError(f"n x prompts = {body.n * len(prompts)} answers: this server gives {limits.choices} at most")
    policy, options = _policy(body, served)
    asked = {name: value for name in DECODING if (value := getattr(body, name)) is not None}
    sampler = Sampler(served.model, policy, **{**options, **served.options, **asked}, batch_size=limits.batch_size)
    encoded = [_encoded(served, prompt, new_tokens, limits) for prompt in prompts]
    stops = Stops(stop_strings(served.encoder, body.stops), served.model.decode, served.model.eos_ids)
    return Ask(
        served,
        sampler,
        encoded,
        body.n,
        new_tokens,
        secrets.randbelow(2**31) if body.seed is None else body.seed,
        stops,
        bool(body.stream),
        bool(body.stream_options and body.stream_options.include_usage),
        body.drafts,
        logprobs,
        chat,
    )


def _policy(body: AnswerBody, served: ServedModel) -> ServedPolicy:
    """The policy that a body asks for with the options that go with it, or the checkpoint's."""
    changed = body.options or {}
    if body.policy not in (None, "auto"):
        _check_files(body.policy, changed)
        return ServedPolicy(make_policy(body.policy, changed))
    chosen = served.default if body.policy is None else served.recommended
    if chosen is None:
        raise ValueError(f"policy: nothing is recommended for {served.name}: name one, or leave it out")
    if not changed:
        return chosen
    _check_files(chosen.policy.name, changed)
    policy = make_policy(chosen.policy.name, changed_options(chosen.policy.model_dump(), changed))
    return chosen._replace(policy=policy)


def _check_files(policy: str, options: object) -> None:
    """Refuse options that name files of this machine, in pieces of a chain too: clients have no business with those.

    Raises:
        ValueError: there is one, or no such policy.
    """
    files = policy_class(policy).files
    for name, value in options.items() if isinstance(options, Mapping) else ():
        if name in files and value is not None:
            raise ValueError(f"{name} names a file of the server, which a request cannot: start the server with it")
        _check_files(policy, value)


def _logprobs(body: AnswerBody) -> bool:
    asked = isinstance(body, (ChatBody, CompletionBody)) and body.logprobs
    wanted = asked is not None and asked is not False
    if wanted and isinstance(body, CompletionBody) and body.logprobs:
        raise ValueError(
            f"logprobs={body.logprobs} asks for alternatives, which are not kept: 0 gives the placed tokens' own"
        )
    if wanted and body.stream:
        raise ValueError("logprobs are not told in a stream: leave one of them out")
    return wanted


def _new_tokens(body: AnswerBody, limits: ServerLimits) -> int:
    asked = getattr(body, "max_completion_tokens", None)
    asked = getattr(body, "max_tokens", None) if asked is None else asked
    count = min(NEW_TOKENS, limits.new_tokens) if asked is None else asked
    if count > limits.new_tokens:
        raise ValueError(f"max_tokens={count}: this server gives {limits.new_tokens} at most")
    return count


def _prompts(body: AnswerBody) -> list[Prompt]:
    if isinstance(body, ChatBody):
        # templates know the role that OpenAI now calls developer by its old name
        roles = {"developer": "system"}
        return [[{"role": roles.get(m.role, m.role), "content": m.text} for m in body.messages]]
    assert isinstance(body, CompletionBody)
    prompt = body.prompt
    if isinstance(prompt, str) or (prompt and isinstance(prompt[0], int)):
        return [prompt]  # type: ignore[list-item]
    if not prompt:
        raise ValueError("prompt: there is none in the list")
    return list(prompt)  # type: ignore[arg-type]


def _encoded(served: ServedModel, prompt: Prompt, new_tokens: int, limits: ServerLimits) -> EncodedPrompt:
    said: Sequence[str] = [prompt] if isinstance(prompt, str) else [m["content"] for m in prompt if isinstance(m, dict)]
    if sum(map(len, said)) > 64 * limits.prompt_tokens:
        raise ValueError(f"the prompt is far longer than the {limits.prompt_tokens} tokens that this server takes")
    row = encode_prompt(served.encoder, prompt, False if isinstance(prompt, str) else None, new_tokens)
    if len(row.before) > limits.prompt_tokens:
        raise ValueError(f"a prompt of {len(row.before)} tokens: this server takes {limits.prompt_tokens} at most")
    return row
