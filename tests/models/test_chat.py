"""Chats and other prompts as text: what templates add, what they are given, and texts that need none."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

import dlmsample as ds
from dlmsample.models.embedded import folder_of
from dlmsample.models.text.messages import text_of

#: As LLaDA-8B-Instruct publishes it: the header of the assistant stands there, asked for or not.
LLADA = (
    "{% for message in messages %}{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'"
    " + message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}"
    "{% endif %}{{ content }}{% endfor %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}"
)
CHATML = (
    "{% if tools %}<tools>{{ tools | tojson }}</tools>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and enable_thinking is false %}<think></think>{% endif %}{% endif %}"
)
PARTS = "{% for m in messages %}{{ m.role }}:{% for p in m.content %}{{ p.text }}{% endfor %}\n{% endfor %}"
ASK, ANSWER = {"role": "user", "content": "3 + 4?"}, {"role": "assistant", "content": "It is [MASK]"}
LLADA_ASK = "<|eos|><|start_header_id|>user<|end_header_id|>\n\n3 + 4?<|eot_id|>"
HEADER = "<|start_header_id|>assistant<|end_header_id|>\n\n"


@pytest.fixture
def made(tmp_path: Path) -> Any:
    """nano with another chat template."""
    folder = tmp_path / "nano"
    shutil.copytree(folder_of("nano"), folder, ignore=shutil.ignore_patterns("adapters", "heads", "*.py"))

    def make(template: str) -> ds.Denoiser:
        (folder / "chat_template.jinja").write_text(template)
        model = ds.load(folder)
        assert model.tokenizer is not None
        model.tokenizer.bos_token = "<|eos|>"
        return model

    return make


def test_a_header_that_is_always_there(made: Any) -> None:
    """It begins an answer, and is no part of a chat that is filled."""
    model = made(LLADA)
    assert model.render([ASK]) == LLADA_ASK + HEADER
    assert model.render([ASK], answer=False) == LLADA_ASK
    filled = f"{LLADA_ASK}{HEADER}It is [MASK]<|eot_id|>"
    assert model.render([ASK, ANSWER], answer=False) == filled
    out = ds.Sampler(model, ds.Unmask()).fill([[ASK, ANSWER]])
    assert out.texts[0].startswith(filled.split("[MASK]")[0])
    assert out.texts[0].endswith("<|eot_id|>"), "separators stay, no header follows"
    told = made(CHATML)
    assert told.render([ASK], answer=False) == "<|im_start|>user\n3 + 4?<|im_end|>\n"


@pytest.mark.parametrize("template", [LLADA, CHATML, PARTS])
def test_an_open_turn_goes_on(template: str, made: Any) -> None:
    model = made(template)
    begun = [ASK, {"role": "assistant", "content": "Seven, since 3 + 4 = "}]
    text = model.written(begun, "continue").text
    assert text.startswith(model.render(begun[:1], answer=False))
    assert text.rstrip().endswith("Seven, since 3 + 4 =")
    assert model.encode(begun, "continue") == model.encode(text, "text")
    with pytest.raises(ValueError, match="one of the assistant's"):
        model.encode([ASK], "continue")


def test_arguments_of_the_template(made: Any) -> None:
    model = made(CHATML)
    assert model.render([ASK]).endswith("assistant\n")
    assert model.render([ASK], template_args={"enable_thinking": False}).endswith("<think></think>")
    tools = [{"type": "function", "function": {"name": "add"}}]
    assert '"name": "add"' in model.render([ASK], template_args={"tools": tools})
    ids = model.encode("3 + 4?", template_args={"enable_thinking": False})
    assert ids == model.encode(model.render([ASK], template_args={"enable_thinking": False}), "text")
    sampler = ds.Sampler(model, ds.Unmask())
    plain, changed = (sampler.generate(["3 + 4?"], 8, template_args=a).tokens for a in (None, {"tools": tools}))
    assert changed == sampler.generate([model.encode("3 + 4?", template_args={"tools": tools})], 8).tokens
    assert plain == sampler.generate([model.encode("3 + 4?")], 8).tokens
    with pytest.raises(ValueError, match="did you mean 'enable_thinking'"):
        model.encode("3", template_args={"enable_thinkin": False})
    with pytest.raises(ValueError, match="leave it out"):
        model.encode("3", template_args={"add_generation_prompt": False})
    with pytest.raises(ValueError, match="none is applied"):
        model.encode("3", chat=False, template_args={"tools": tools})


@pytest.mark.parametrize("template", [LLADA, CHATML, PARTS])
def test_content_in_parts(template: str, made: Any) -> None:
    """In one text or in parts: what the template takes."""
    model = made(template)
    parts = [{"role": "user", "content": [{"type": "text", "text": "3 + "}, {"type": "text", "text": "4?"}]}]
    assert text_of(parts[0]) == "3 + 4?"
    assert model.encode(parts) == model.encode([ASK]) == model.encode("3 + 4?")
    assert "3 + 4?" in model.render(parts)
    with pytest.raises(ValueError, match="'image'"):
        model.encode([{"role": "user", "content": [{"type": "image", "url": "a.png"}]}])


def test_a_message_that_calls_tools_may_say_nothing(made: Any) -> None:
    call = {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "add"}}]}
    model = made("{% for m in messages %}{{ m.role }}{{ m.tool_calls }}{{ m.content or '' }}\n{% endfor %}")
    assert "'add'" in model.render([ASK, call, {"role": "tool", "content": "7"}])
    assert "'add'" in model.render([ASK, call])
    with pytest.raises(ValueError, match="a prompt is"):
        model.encode([ASK, {"role": "assistant", "content": None}])


def test_a_text_that_is_templated_already(made: Any) -> None:
    """Nothing is added, so that no BOS is doubled."""
    from tokenizers import processors

    model = made(LLADA)
    backend = model.tokenizer.backend_tokenizer
    eos = model.eos_ids[0]
    backend.post_processor = processors.TemplateProcessing(single="<|eos|> $A", special_tokens=[("<|eos|>", eos)])
    assert model.encode("3", chat=False)[0] == eos
    assert model.encode("3", chat="text") == model.tokenizer.encode("3", add_special_tokens=False)
    sampler = ds.Sampler(model, ds.Unmask())
    assert (
        sampler.generate(["3 + 4"], 8, chat="text").tokens
        == sampler.generate([model.encode("3 + 4", "text")], 8).tokens
    )
    assert sampler.fill(["3 + [MASK]"], chat="text").tokens
    for prompt, chat in (([ASK], "text"), ("3", "continue"), ("3", "exact"), ("3", 7)):
        with pytest.raises(ValueError, match="chat"):
            model.encode(prompt, chat)
