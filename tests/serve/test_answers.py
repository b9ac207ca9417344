"""What clients get is what the Sampler gives, whatever else is being decoded."""

from __future__ import annotations

import asyncio
import math
from typing import Any, NamedTuple

import openai
import pytest

import dlmsample as ds
from dlmsample.policies.registry import POLICIES
from dlmsample.serve.asks import understand
from dlmsample.serve.bodies import CompletionBody
from dlmsample.serve.checkpoints import ServedModel, ServedPolicy
from dlmsample.serve.limits import ServerLimits
from tests.docs.pages import ROOT, blocks
from tests.serve.conftest import Running, serving, state_of

QUESTIONS = [
    "Ann had 14 boxes of 12 pens each. Tom gave her 25 pens. How many pens does Ann have?",
    "Bob had 10 apples. He ate 3. How many are left?",
    "Eve bought 5 bags of 4 nuts. How many nuts does she have?",
]


class Case(NamedTuple):
    """One request, and how the Sampler is asked for the same."""

    model: str
    prompt: str
    policy: str
    options: dict[str, Any]
    more: dict[str, Any]  #: of the Sampler
    length: int
    seed: int
    n: int
    stop: list[str]
    chat: bool
    stream: bool


def cases(count: int) -> list[Case]:
    """Requests that differ in everything, in an order that mixes them."""
    kinds: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        ("unmask", {"tokens_per_step": 4}, {}),
        ("t2m", {"threshold": 0.2}, {}),
        ("t2t", {}, {"temperature": 0.8, "top_p": 0.9}),
        ("d3im", {"steps": 12}, {"block_length": "all"}),
        ("dsc", {"scorer": "random"}, {"block_length": 16}),
        ("unmask", {"threshold": 0.9}, {"temperature": 1.0, "top_k": 5}),
    ]
    return [
        Case(
            ("nano", "nano+scope")[at % 2],
            QUESTIONS[at % 3],
            *kinds[at // 2 % len(kinds)],
            length=(24, 40)[at % 5 // 3],
            seed=at % 4,
            n=1 + (at % 7 == 0),
            stop=["####"] if at % 4 == 1 else [],
            chat=at % 3 != 0,
            stream=at % 2 == 0,
        )
        for at in range(count)
    ]


def expected(case: Case, model: ds.Denoiser) -> ds.Output:
    sampler = ds.Sampler(model, ds.policy(case.policy, **case.options), **case.more)
    chat = None if case.chat else False
    return sampler.generate([case.prompt] * case.n, case.length, case.seed, chat=chat, stop=case.stop)


async def answered(client: openai.AsyncOpenAI, case: Case) -> tuple[list[str], list[str | None]]:
    """Texts and finish reasons, by the official client."""
    more = dict(case.more)
    given: dict[str, Any] = {
        "model": case.model,
        "max_tokens": case.length,
        "seed": case.seed,
        "n": case.n,
        "stop": case.stop or None,
        "temperature": more.pop("temperature", 0),
        "top_p": more.pop("top_p", None),
        "stream": case.stream,
        "extra_body": {"policy": case.policy, "options": case.options, **more},
    }
    given = {name: value for name, value in given.items() if value is not None}
    make: Any = client.completions.create
    if case.chat:
        make, given["messages"] = client.chat.completions.create, [{"role": "user", "content": case.prompt}]
    else:
        given["prompt"] = case.prompt
    reply = await make(**given)
    texts, reasons = [""] * case.n, [None] * case.n
    if not case.stream:
        for choice in reply.choices:
            texts[choice.index] = choice.message.content if case.chat else choice.text
            reasons[choice.index] = choice.finish_reason
        return texts, reasons
    async for chunk in reply:
        for choice in chunk.choices:
            texts[choice.index] += (choice.delta.content if case.chat else choice.text) or ""
            reasons[choice.index] = choice.finish_reason or reasons[choice.index]
    return texts, reasons


def test_many_mixed_requests_at_once(nano: ds.Denoiser, scope: ds.Denoiser, full: bool) -> None:
    """More at once than a server takes unasked: this one has room for all of them."""
    asked = cases(200 if full else 12)

    async def everything(url: str) -> list[tuple[list[str], list[str | None]]]:
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="x", timeout=600) as client:
            return list(await asyncio.gather(*(answered(client, case) for case in asked)))

    with serving(state_of({"nano": nano, "nano+scope": scope}, streams=256, queue=1024)) as running:
        got = asyncio.run(everything(running.url))
    models, known = {"nano": nano, "nano+scope": scope}, dict[str, ds.Output]()
    for case, (texts, reasons) in zip(asked, got, strict=True):
        out = known.setdefault(str(case._replace(stream=False)), expected(case, models[case.model]))
        assert texts == out.texts, case
        assert reasons == ["length" if s.finish_reason == "length" else "stop" for s in out.stats]


@pytest.fixture
def client(running: Running) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{running.url}/v1", api_key="x", timeout=120, max_retries=0)


def test_figures_and_settings_come_with_the_answer(client: openai.OpenAI, nano: ds.Denoiser) -> None:
    extra = {"policy": "t2m", "options": {"threshold": 0.2}}
    reply = client.completions.create(model="nano", prompt=QUESTIONS[0], max_tokens=24, seed=3, extra_body=extra)
    out = ds.Sampler(nano, ds.T2M(threshold=0.2)).generate([QUESTIONS[0]], 24, 3, chat=False)
    stats = out.stats[0]
    assert reply.usage is not None
    assert reply.usage.prompt_tokens == len(nano.encode(QUESTIONS[0], False))
    assert (reply.usage.completion_tokens, reply.usage.nfe) == (stats.tokens, stats.nfe)  # type: ignore[attr-defined]
    told = reply.dlmsample  # type: ignore[attr-defined]
    assert told["policy"] == "t2m"
    assert told["options"] == ds.T2M(threshold=0.2).model_dump()
    assert told["choices"] == [stats.asdict()]
    assert told["seed"] == 3


def test_without_a_seed_one_is_drawn_and_told(client: openai.OpenAI) -> None:
    given: dict[str, Any] = {"model": "nano", "prompt": "Ann", "max_tokens": 8, "temperature": 1.0}
    first, second = (client.completions.create(**given) for _ in range(2))
    told = first.dlmsample["seed"]  # type: ignore[attr-defined]
    assert told != second.dlmsample["seed"]  # type: ignore[attr-defined]
    assert client.completions.create(**given, seed=told).choices[0].text == first.choices[0].text


def test_the_default_policy_and_the_recommended_one(client: openai.OpenAI) -> None:
    def policy(**extra: Any) -> tuple[str, Any]:
        reply = client.completions.create(model="nano", prompt="A", max_tokens=4, extra_body=extra)
        told = reply.dlmsample  # type: ignore[attr-defined]
        return told["policy"], told["options"]

    assert policy() == ("unmask", ds.Unmask().model_dump())
    assert policy(options={"tokens_per_step": 2}) == ("unmask", ds.Unmask(tokens_per_step=2).model_dump())
    assert policy(policy="auto") == ("t2m", ds.T2M(threshold=0.2).model_dump())


def test_what_goes_with_a_recommendation_goes_with_no_other_policy(client: openai.OpenAI) -> None:
    def sampling(**extra: Any) -> tuple[Any, ...]:
        given, own = {"model": "nano", "prompt": "A", "max_tokens": 4}, {"policy", "block_length", "top_k"}
        more = {"extra_body": {k: v for k, v in extra.items() if k in own}}
        reply = client.completions.create(**given, **more, **{k: v for k, v in extra.items() if k not in own})
        return tuple(reply.dlmsample[name] for name in ("block_length", "temperature", "top_p", "top_k"))  # type: ignore[attr-defined]

    assert sampling(policy="auto") == (8, 0.5, 0.9, 20)
    assert sampling(policy="auto", temperature=0, block_length=16, top_k=3) == (16, 0.0, 0.9, 3)
    assert sampling(policy="t2m") == sampling() == (32, 0.0, 1.0, None)


def test_nothing_is_recommended(nano: ds.Denoiser) -> None:
    served = ServedModel("nano", nano, ServedPolicy(ds.Unmask()), options={"block_length": 8})
    body = CompletionBody(model="nano", prompt="A", policy="auto")
    with pytest.raises(ValueError, match="nothing is recommended for nano"):
        understand(body, {"nano": served}, ServerLimits())


def test_several_prompts_and_ids(client: openai.OpenAI, nano: ds.Denoiser) -> None:
    ids = [nano.encode(question, False) for question in QUESTIONS[:2]]
    texts = ds.Sampler(nano, ds.Unmask()).generate([i for i in ids for _ in range(2)], 8, 1).texts
    for prompt in (QUESTIONS[:2], ids):
        reply = client.completions.create(model="nano", prompt=prompt, max_tokens=8, seed=1, n=2)
        assert [choice.text for choice in reply.choices] == texts
        assert [choice.index for choice in reply.choices] == [0, 1, 2, 3]


def test_a_stream_sends_finished_blocks_and_drafts_on_request(client: openai.OpenAI, nano: ds.Denoiser) -> None:
    extra = {"policy": "t2t", "block_length": 8, "drafts": True}
    given: dict[str, Any] = {"model": "nano", "prompt": QUESTIONS[0], "max_tokens": 32, "seed": 0, "stream": True}
    chunks = list(client.completions.create(**given, stream_options={"include_usage": True}, extra_body=extra))
    out = ds.Sampler(nano, ds.T2T(), block_length=8).generate([QUESTIONS[0]], 32, record=True, chat=False)
    assert out.trace is not None
    pieces = [choice.text for chunk in chunks for choice in chunk.choices if choice.text]
    assert "".join(pieces) == out.texts[0]
    assert len(pieces) > 1
    told = [(chunk.model_extra or {}).get("dlmsample") for chunk in chunks]
    drafts = [one["draft"] for one in told if one and "draft" in one]
    changes = [
        (draft["step"], change["kind"], change["position"], draft["block"])
        for draft in drafts
        for change in draft["changes"]
    ]
    assert changes == [(e.step, e.kind, e.position, e.block) for e in out.trace[0]]
    usage = chunks[-1].usage
    assert usage is not None
    assert usage.completion_tokens == out.stats[0].tokens
    plain = list(client.completions.create(**given, extra_body={**extra, "drafts": False}))
    assert [c.text for chunk in plain for c in chunk.choices if c.text] == pieces
    assert not any("draft" in ((chunk.model_extra or {}).get("dlmsample") or {}) for chunk in plain)


def test_a_stop_string_never_shows_in_a_stream(client: openai.OpenAI, nano: ds.Denoiser) -> None:
    text = ds.Sampler(nano, ds.Unmask(), block_length=8).generate([QUESTIONS[0]], 48).texts[0]
    for at in range(3, len(text) - 4, 16):
        stop = text[at : at + 4]
        out = ds.Sampler(nano, ds.Unmask(), block_length=8).generate([QUESTIONS[0]], 48, stop=[stop])
        chunks = client.chat.completions.create(
            model="nano",
            messages=[{"role": "user", "content": QUESTIONS[0]}],
            max_tokens=48,
            stream=True,
            stop=stop,
            extra_body={"block_length": 8},
        )
        assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == out.texts[0]


def test_a_client_asks_a_second_question(client: openai.OpenAI) -> None:
    """What a client appends of an answer, as an object or as a dict with all its empty fields, can be sent back."""
    talk: Any = [{"role": "user", "content": QUESTIONS[0]}]
    for _ in range(2):
        said = client.chat.completions.create(model="nano", messages=talk, max_tokens=16).choices[0].message
        talk += [said, {"role": "user", "content": QUESTIONS[1]}]
        talk = [*talk[:-2], said.model_dump(), talk[-1]] if len(talk) > 3 else talk
    assert client.chat.completions.create(model="nano", messages=talk, max_tokens=16).choices[0].message.content


@pytest.mark.parametrize("chat", [False, True])
def test_logprobs_are_of_the_tokens_that_were_placed(chat: bool, client: openai.OpenAI, nano: ds.Denoiser) -> None:
    out = ds.Sampler(nano, ds.T2M()).generate([QUESTIONS[1]], 24, record=True, chat=None if chat else False)
    assert out.trace is not None
    last = {event.position: event.probability for event in out.trace[0]}
    extra = {"policy": "t2m"}
    if chat:
        messages: Any = [{"role": "user", "content": QUESTIONS[1]}]
        reply = client.chat.completions.create(
            model="nano", messages=messages, max_tokens=24, logprobs=True, extra_body=extra
        )
        assert reply.choices[0].logprobs is not None
        pairs = [(t.token, t.logprob) for t in reply.choices[0].logprobs.content or ()]
    else:
        plain = client.completions.create(
            model="nano", prompt=QUESTIONS[1], max_tokens=24, logprobs=0, extra_body=extra
        )
        found = plain.choices[0].logprobs
        assert found is not None
        pairs = list(zip(found.tokens or (), found.token_logprobs or (), strict=True))
    assert len(pairs) == len(out.tokens[0])
    for at, ((token, value), placed) in enumerate(zip(pairs, out.tokens[0], strict=True)):
        assert token == nano.decode([placed])
        assert math.exp(value or 0) == pytest.approx(last[at])


def test_models_and_policies(running: Running, client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["nano", "nano+scope"]
    assert client.models.retrieve("nano+scope").dlmsample["adapter"] == "scope"  # type: ignore[attr-defined]
    with pytest.raises(openai.NotFoundError, match="did you mean 'nano'"):
        client.models.retrieve("nanu")
    names = [row["policy"] for row in running.ask("/v1/policies")[1]["data"]]
    assert names == [name for name in ds.list_policies() if name in POLICIES.built_in]
    assert running.ask("/health") == (200, {"status": "ok"})


def test_the_example_of_the_page(running: Running, capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = blocks(ROOT / "docs" / "how-to" / "serve.md", "py")
    exec(compile(block.replace("http://127.0.0.1:8000", running.url), "serve.md", "exec"), {})
    assert capsys.readouterr().out.strip()
