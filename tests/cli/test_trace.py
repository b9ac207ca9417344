"""``--trace``: the page of how answers were decoded, beside the answers."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

import dlmsample
from tests.cli.conftest import Call, is_mistake
from tests.pages import check_harmless

SHORT = ("--max-new-tokens", "12")


def data_of(text: str) -> list[list[dict[str, Any]]]:
    """By answer and run, what the page's script reads."""
    return json.loads(re.findall(r'id="data">(.*?)</script>', text)[0])


def changes(run: dict[str, Any], kind: str) -> int:
    return sum(change["kind"] == kind for frame in run["frames"] for change in frame["changes"])


def test_it_is_written_beside_the_answers(call: Call, tmp_path: Path) -> None:
    target = tmp_path / "out.html"
    args = ("generate", "-", "--policy", "t2m", "--json", *SHORT)
    plain = call(*args, stdin=b"first\nsecond\n")
    code, out, err = call(*args, "--trace", str(target), stdin=b"first\nsecond\n")
    assert (code, out, err) == (0, plain.out, f"page of the steps: {target}\n")
    text = target.read_text()
    check_harmless(text, scripted=True)
    rows = [json.loads(line) for line in out.splitlines()]
    runs = [run for (run,) in data_of(text)]
    assert len(rows) == text.count('<details class="answer"') == len(runs) == 2
    assert all(row["prompt"] in text for row in rows)
    for kind, told in {"fill": "fills", "replace": "replaces", "remask": "remasks"}.items():
        assert [row["stats"][told] for row in rows] == [changes(run, kind) for run in runs]
    assert [p.name for p in tmp_path.iterdir()] == ["out.html"]


def test_two_policies_side_by_side_the_right_answer_and_the_command(call: Call, tmp_path: Path) -> None:
    target = tmp_path / "out.html"
    args = ("--policy", "unmask", "--set", "tokens_per_step=3", "--compare", "t2m", "--gold", "4 & 2", *SHORT)
    code, out, err = call("generate", *args, "--trace", str(target), "--", "-dash")
    assert (code, err) == (0, f"page of the steps, unmask beside t2m: {target}\n")
    text = target.read_text()
    check_harmless(text, scripted=True)
    ((first, second),) = data_of(text)
    assert (first["label"], second["label"]) == ("unmask", "t2m")
    alone = tmp_path / "alone.html"
    assert call("generate", "--policy", "t2m", *SHORT, "--trace", str(alone), "--", "-dash").code == 0
    assert data_of(alone.read_text())[0][0] == second
    assert '<pre class="gold">4 &amp; 2</pre>' in text
    command = re.findall(r"<code>(dlmsample .*?)</code>", text)[0].replace("&amp;", "&").replace("&#39;", "'")
    words = shlex.split(command)
    assert words[:2] == ["dlmsample", "generate"]
    assert words[-2:] == ["--", "-dash"]
    again = tmp_path / "again.html"
    words[words.index(str(target))] = str(again)
    assert call(*words[1:]).out == out
    assert again.read_text() == text.replace(str(target), str(again))


@pytest.mark.parametrize("wrong", [("--compare", "t2m"), ("--gold", "4")])
def test_what_is_for_the_page_alone(wrong: tuple[str, str], call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dlmsample, "load", lambda *a, **k: pytest.fail("loaded"))
    is_mistake(call("generate", "x", *wrong), "--trace")
    is_mistake(call("generate", "x", "--trace", "x.html", "--compare", "t2mm"), "did you mean 't2m'")


def test_with_templates_steps_and_chats(call: Call, tmp_path: Path) -> None:
    target = str(tmp_path / "out.html")
    code, out, err = call(
        "generate", "--template", "3 + [MASK] = 7", "--template", "[MASK]", "--show", "steps", "--trace", target
    )
    assert (code, err) == (0, f"page of the steps: {target}\n")
    assert "step 1, block 1: 1 filled" in out
    first, second = data_of(Path(target).read_text())
    assert first[0]["around"] == ["3 + ", None, " = 7"]
    assert second[0]["around"] == [None]
    (tmp_path / "chat.json").write_text(json.dumps([{"role": "user", "content": "Why & how?"}]))
    assert call("generate", "--chat", str(tmp_path / "chat.json"), *SHORT, "--trace", target).code == 0
    assert "user: Why &amp; how?" in Path(target).read_text()


@pytest.mark.parametrize(
    ("path", "remedy"),
    [("/nowhere/at/all.html", "create it"), ("/", "name a file"), ("", "name a file"), ("/proc/x", "'/proc/x'")],
)
def test_where_it_cannot_be_written(path: str, remedy: str, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dlmsample, "load", lambda *a, **k: pytest.fail("loaded"))
    is_mistake(call("generate", "x", "--trace", path), "(--trace)", remedy)


def test_not_over_the_output(call: Call, tmp_path: Path) -> None:
    same = str(tmp_path / "x")
    is_mistake(call("generate", "x", "--trace", same, "--output", same), "--trace and --output")
