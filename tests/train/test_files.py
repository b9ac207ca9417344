"""Data from files: mistakes are told with their line, nothing is dropped silently, and step s is always the same."""

from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from dlmsample.train.config import TrainConfig, TrainError, load
from dlmsample.train.config.sections import WindowSection
from dlmsample.train.data.batches import BatchSteps, batches, draw_windows, make_source
from dlmsample.train.data.corpus import FileSource
from dlmsample.train.data.encoder import Encoder
from dlmsample.train.data.layout import MicroBatch
from dlmsample.train.data.records import DataError
from dlmsample.train.data.source import TaskSource
from tests.train.standin import recipe

EOS = 1
Make = Callable[..., TrainConfig]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recipe(tmp_path_factory.mktemp("files"))


@pytest.fixture
def make(base: Path, tmp_path: Path) -> Make:
    """``make({"a.jsonl": "..."}, pack=True)`` -> a configuration on these files."""

    def config(files: dict[str, str | bytes], *overrides: str, **section: Any) -> TrainConfig:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        paths = section.pop("path", [str(tmp_path / name) for name in files])
        data = json.dumps({"path": paths, **section})
        return load(str(base), ["task=null", f"data={data}", *overrides])

    return config


def lines(rows: Iterable[object]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def pair(i: int, extra: int = 0) -> dict[str, str]:
    return {"prompt": f"{i} + {i}?", "answer": f"{2 * i}" + "x" * extra}


def texts(source: FileSource) -> list[str]:
    """Every row of the corpus, special ids left out."""
    corpus = source.corpus
    ends = source.start + corpus.prompt + corpus.answer
    rows = (corpus.flat[a:b].tolist() for a, b in zip(source.start, ends, strict=True))
    return [source.encoder.fast.decode([i for i in row if i > 2]) for row in rows]


def rows_of(batch: list[MicroBatch]) -> dict[int, tuple[Any, ...]]:
    """Each row of a batch by its key."""
    return {
        int(key): (*(int(a[r]) for a in (part.prompt, part.answer, part.window, part.block)), part.tokens[r].tolist())
        for part in batch
        for r, key in enumerate(part.keys)
    }


GOOD = lines([pair(1)]).encode()
MISTAKES: dict[str, tuple[bytes, int, str]] = {
    "no JSON": (GOOD + b"{oops\n", 2, "not JSON"),
    "a key twice": (GOOD + b'{"prompt": "x", "answer": "y", "answer": "z"}\n', 2, "the key 'answer' is there twice"),
    "a key twice inside": (b'{"messages": [{"role": "user", "role": "assistant"}]}\n', 1, "key 'role' is there twice"),
    "nested without end": (GOOD + b'{"a":' * 3000 + b"\n", 2, "not JSON (it is nested too deeply)"),
    "a list": (b"[1, 2]\n", 1, "a JSON list, not an object"),
    "a number": (b"\n\n3\n", 3, "a JSON number, not an object"),
    "no answer": (GOOD + b'{"prompt": "x", "reply": "y"}\n', 2, "field 'answer' is missing (fields: prompt, reply)"),
    "no prompt": (b'{"answer": "x"}\n', 1, "data.prompt=FIELD"),
    "no known field": (b'{"q": "x", "a": "y"}\n', 1, "its fields: q, a"),
    "no string": (GOOD * 2 + b'{"prompt": "x", "answer": 7}\n', 3, "field 'answer' is a JSON number, not a string"),
    "null": (b'{"prompt": null, "answer": "7"}\n', 1, "field 'prompt' is a JSON null"),
    "empty answer": (b'{"prompt": "x", "answer": ""}\n', 1, "the answer is empty or blank: fill it, or"),
    "blank answer": (GOOD + b'{"prompt": "x", "answer": " \\t\\n"}\n', 2, "the answer is empty or blank"),
    "unseen answer": (GOOD + b'{"prompt": "x", "answer": "\\u200b\\ufeff"}\n', 2, "the answer is empty or blank"),
    "empty prompt": (GOOD + b'{"prompt": "", "answer": "x"}\n', 2, "data.blank=skip"),
    "blank prompt": (b'{"prompt": "\\u3000", "answer": "x"}\n', 1, "the prompt is empty or blank"),
    "empty text": (b'{"text": ""}\n', 1, "the document is empty or blank"),
    "blank question": (
        b'{"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": " "},'
        b' {"role": "assistant", "content": "a"}]}\n',
        1,
        "the prompt is empty or blank",
    ),
    "not UTF-8": (GOOD + b'{"text": "caf\xe9 au lait"}\n', 2, "not UTF-8 (0xe9 at byte 14)"),
    "half a character": (b'{"text": "\\ud800"}\n', 1, "surrogate"),
    "messages": (b'{"messages": "hello"}\n', 1, "no list of {role, content}"),
    "no last answer": (b'{"messages": [{"role": "user", "content": "x"}]}\n', 1, "end with the assistant's"),
    "message without text": (b'{"messages": [{"role": "user"}, {"role": "assistant"}]}\n', 1, "'content' is missing"),
    "too long an answer": (lines([pair(1), pair(2, 100)]).encode(), 2, "do not fit a row of 64: raise data.max_length"),
    "too long a text": (lines([{"text": "y" * 64}]).encode(), 1, "65 tokens (EOS included) do not fit a row of 64"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_names_file_and_line(case: str, make: Make, tmp_path: Path) -> None:
    text, line, what = MISTAKES[case]
    with pytest.raises(DataError) as caught:
        make_source(make({"bad.jsonl": text}, max_length=64))
    assert str(caught.value).startswith(f"{tmp_path / 'bad.jsonl'}:{line}: ")
    assert what in str(caught.value)
    assert "\n" not in str(caught.value)


def test_all_mistakes_are_told_at_once_at_most_ten_and_a_count(make: Make) -> None:
    with pytest.raises(DataError) as caught:
        make_source(make({"a.jsonl": "{\n" * 2 + lines([pair(1)]), "b.jsonl": "", "c.jsonl": " \n", "d.txt": b"\xff"}))
    told = str(caught.value).splitlines()
    assert [line.split(": ")[0].rsplit("/", 1)[1] for line in told[:-1]] == [
        "a.jsonl:1",
        "a.jsonl:2",
        "b.jsonl",
        "c.jsonl",
        "d.txt:1",
    ]
    assert "the file is empty" in told[2]
    assert "only blank lines" in told[3]
    assert told[-1] == "5 mistakes in the data: nothing was trained"
    with pytest.raises(DataError) as caught:
        make_source(make({"many.jsonl": "{\n" * 1234}))
    told = str(caught.value).splitlines()
    assert len(told) == 11
    assert told[-1] == "1,234 mistakes in the data (10 shown): nothing was trained"


def test_other_data_mistakes(make: Make, tmp_path: Path, base: Path) -> None:
    for section, what in (
        ({"path": str(tmp_path / "none")}, "no file or folder"),
        ({"path": str(tmp_path / "x.csv")}, "set data.format=jsonl or text"),
        ({"path": str(tmp_path / "sub")}, "holds no file that ends in .jsonl"),
        ({"min_tokens": 50}, "no row is left: kept 0 of 1 rows: 1 shorter than 50 tokens"),
        ({"max_length": 4000}, "more than the model's context of 256"),
        ({"pack": True}, "cannot be packed"),
        ({"min_tokens": 5, "max_tokens": 4}, "min_tokens 5 is more than max_tokens 4"),
        ({"hub": "a/b"}, "give either 'path'"),
        ({"held_out": 1.0}, "no row for the train split"),
    ):
        with pytest.raises(TrainError, match=r".") as caught:
            make_source(
                make(
                    {"x.jsonl": GOOD, "x.csv": "a", "sub/x.md": "a"}, **({"path": str(tmp_path / "x.jsonl")} | section)
                )
            )
        assert what in str(caught.value)
        assert "\n" not in str(caught.value)
    for changes in (["task=null"], [f"data={{path: {tmp_path}}}"]):
        with pytest.raises(TrainError, match="give either 'task'"):
            load(str(base), changes)


def test_the_mask_token_in_a_text_is_a_mistake_only_if_it_becomes_the_mask_id(make: Make) -> None:
    source = make_source(make({"a.jsonl": lines([{"prompt": "a <mask> b<eos>", "answer": "<mask>"}])}))
    assert isinstance(source, FileSource)
    assert not (source.corpus.flat == 2).any()
    config = make({"a.jsonl": lines([{"text": "ab"}, {"text": "a~b"}])})
    tilde = source.encoder.fast.token_to_id("~")
    masked = config.model_copy(
        update={
            "model": config.model.model_copy(update={"geometry": config.geometry.model_copy(update={"mask_id": tilde})})
        }
    )
    with pytest.raises(DataError, match=r"a\.jsonl:2: the text holds the mask token"):
        make_source(masked)


def test_filters_are_counted(make: Make) -> None:
    rows = [pair(i, extra) for i, extra in enumerate([0, 50, 0, 100, 50, 100, 100])]
    config = make({"a.jsonl": lines(rows)}, min_tokens=30, max_tokens=90)
    source = make_source(config)
    assert source.summary == ("kept 2 of 7 rows: 2 shorter than 30 tokens, 3 longer than 90",)
    assert texts(source) == ["Q: 1 + 1?\nA:2" + "x" * 50, "Q: 4 + 4?\nA:8" + "x" * 50]  # type: ignore[arg-type]
    counts = source.corpus.counts  # type: ignore[attr-defined]
    assert counts.tokens == 2 * len("Q: 1 + 1?\nA:2") + 100 + 2
    assert (
        counts.dropped_tokens == sum(len("Q: 1 + 1?\nA:2") + extra + 1 for extra in (0, 0, 100, 100, 100)) + 2
    )  # "10", "12"
    assert make_source(make({"a.jsonl": lines(rows)})).summary == ("kept all 7 rows",)
    limited = make_source(make({"a.jsonl": lines(rows)}, min_tokens=30, limit=2))
    assert limited.summary == ("kept 2 of 4 rows: 2 shorter than 30 tokens",)
    assert limited.size == 2


def _some_blank(count: int) -> list[dict[str, str]]:
    """Every third row has no answer, every third no prompt."""
    return [{"prompt": " " if i % 3 == 1 else f"p{i}", "answer": "\n" if i % 3 == 2 else f"a{i}"} for i in range(count)]


def test_blank_rows_are_left_out_or_trained_on_if_so_asked(make: Make, tmp_path: Path) -> None:
    """Their number and the first few places are told in any case; the others are not a flood."""
    text, path = lines(_some_blank(3000)), tmp_path / "a.jsonl"
    with pytest.raises(DataError) as caught:
        make_source(make({"a.jsonl": text}))
    told = str(caught.value).splitlines()
    assert len(told) == 11
    assert told[-1] == "2,000 mistakes in the data (10 shown): nothing was trained"
    named = ["2 (prompt)", "3 (answer)", "5 (prompt)", "6 (answer)", "8 (prompt)"]
    places = ", ".join(f"{path}:{place}" for place in named) + ", and 1,995 more"
    skipped, kept = (make_source(make({"a.jsonl": text}, blank=blank)) for blank in ("skip", "keep"))
    assert skipped.summary == ("kept 1,000 of 3,000 rows: 2,000 blank", f"2,000 blank rows left out: {places}")
    assert kept.summary == ("kept all 3,000 rows", f"2,000 blank rows trained on: {places}")
    assert (skipped.size, kept.size) == (1000, 3000)
    assert texts(skipped)[:2] == ["Q: p0\nA:a0", "Q: p3\nA:a3"]  # type: ignore[arg-type]
    assert texts(kept)[:3] == ["Q: p0\nA:a0", "Q:  \nA:a1", "Q: p2\nA:\n"]  # type: ignore[arg-type]
    dropped = skipped.corpus.counts.dropped_tokens  # type: ignore[attr-defined]
    assert dropped == kept.corpus.counts.tokens - skipped.corpus.counts.tokens  # type: ignore[attr-defined]


def test_blank_rows_behind_the_limit_are_not_read(make: Make) -> None:
    source = make_source(make({"a.jsonl": lines(_some_blank(9))}, blank="skip", limit=2))
    assert source.summary[0] == "kept 2 of 4 rows: 2 blank"
    rows = [*_some_blank(6), pair(1, 50)]
    short = make_source(make({"a.jsonl": lines(rows)}, blank="skip", min_tokens=30))
    assert short.summary[0] == "kept 1 of 7 rows: 2 shorter than 30 tokens, 4 blank"
    assert make_source(make({"a.jsonl": lines([pair(1), {"text": " "}])}, limit=1)).size == 1
    with pytest.raises(TrainError, match=r"no row is left: kept 0 of 2 rows: 2 blank; change .* data\.blank"):
        make_source(make({"a.jsonl": lines([{"text": " "}] * 2)}, blank="skip"))


def test_a_blank_document_of_a_text_file(make: Make, tmp_path: Path) -> None:
    text = "one\n\n\u200b\n\nthree\n"
    with pytest.raises(DataError, match=r"a\.txt:3: the document is empty or blank"):
        make_source(make({"a.txt": text}))
    source = make_source(make({"a.txt": text}, blank="skip", pack=True, max_length=8))
    assert source.summary[:2] == (
        "kept 2 of 3 rows: 1 blank",
        f"1 blank row left out: {tmp_path / 'a.txt'}:3 (document)",
    )


@pytest.mark.parametrize("workers", [0, 1])
def test_a_task_that_makes_blank_rows_is_named(base: Path, workers: int) -> None:
    """Generated rows cannot be left out: their number alone says which example they are."""
    for part in ("prompt", "completion"):
        name = "tests.train.test_files:blank"
        config = load(str(base), [f"task={{name: {name}, options: {{part: {part}}}}}", f"workers={workers}"])
        with pytest.raises(TrainError) as caught:
            list(batches(BatchSteps(config, 0), 0, 2))
        said = f"task {name}: example 5 of the split 'train' has a blank {part.replace('completion', 'answer')}"
        assert str(caught.value).startswith(said)
        assert "\n" not in str(caught.value)


def blank(split: str, index: int, part: str = "") -> SimpleNamespace:
    given = {"prompt": f"p {index}", "completion": " yes"}
    return SimpleNamespace(**given | ({part: " "} if index == 5 else {}))


@pytest.mark.parametrize("length", [2, 7, 16, 200])
def test_packing_keeps_every_token_once_and_in_order(make: Make, length: int) -> None:
    documents = ["one", "two two", "a much longer document, which fills rows", "x"]
    source = make_source(make({"a.jsonl": lines({"text": d} for d in documents)}, pack=True, max_length=length))
    assert isinstance(source, FileSource)
    expected = [i for ids in source.encoder.answers(documents) for i in ids]
    assert source.corpus.flat.tolist() == expected
    assert source.corpus.answer.tolist()[:-1] == [length] * (source.size - 1)
    assert 1 <= source.corpus.answer[-1] <= length
    assert source.corpus.answer.sum() == len(expected)
    assert source.start.tolist() == list(range(0, len(expected), length))
    assert source.summary[1] == f"packed into {source.size} rows of {length} tokens"


def test_plain_text_is_its_own_window(make: Make) -> None:
    documents = [f"document {'y' * (i % 30)} {i}" for i in range(40)]
    config = make({"a.jsonl": lines({"text": d} for d in documents)}, max_length=64)
    for part in BatchSteps(config, 0)[1]:
        assert (part.window == part.answer).all()
        assert not part.prompt.any()
        for r, width in enumerate(part.window):
            row = part.tokens[r]
            assert row[width - 1] == EOS
            assert not (row[: width - 1] == EOS).any()
            assert not row[width:].any()


def test_answers_get_an_eos_window_that_fits_the_row(make: Make) -> None:
    config = make({"a.jsonl": lines(pair(i, 3 * i) for i in range(12))}, max_length=60)
    steps, seen = BatchSteps(config, 0), set()
    for step in range(4):
        for part in steps[step]:
            assert (part.prompt + part.window <= 60).all()
            assert (part.window >= part.answer).all()
            seen |= set((part.window - part.answer).tolist())
            for r in range(len(part.keys)):
                window = part.tokens[r, part.prompt[r] : part.prompt[r] + part.window[r]]
                assert (window[part.answer[r] - 1 :] == EOS).all()
                assert (window[: part.answer[r] - 1] > 2).all()
    assert len(seen) > 10


def test_room_bounds_the_window_and_changes_no_other_draw() -> None:
    keys, answers = torch.arange(1000) * 7919, torch.full((1000,), 20)
    options = WindowSection()
    room = torch.full((1000,), 50)
    window, _ = draw_windows(keys, answers, options, 32, 8, room)
    assert (int(window.min()), int(window.max())) == (20, 50)
    same = [draw_windows(keys, answers, options, 32, 8, r) for r in (None, torch.full((1000,), 10_000))]
    assert all(torch.equal(a, b) for a, b in zip(*same, strict=True))


def test_text_files_hold_documents_between_blank_lines(make: Make, tmp_path: Path) -> None:
    files = {
        "t/b.txt": "third\r\n\r\n",
        "t/a.txt": "\ufeff\n first\nline two\n\n \nsecond",
        "t/c.jsonl": lines([{"text": "4"}]),
    }
    source = make_source(make(files, path=str(tmp_path / "t")))
    assert isinstance(source, FileSource)
    assert texts(source) == [" first\nline two", "second", "third", "4"]
    only = make_source(make({}, path=[str(tmp_path / "t")], format="text"))
    assert only.size == 3
    with pytest.raises(DataError, match=r"a\.txt:2: "):
        make_source(make({}, path=str(tmp_path / "t" / "a.txt"), max_length=8))


def test_conversations_and_renamed_fields(make: Make) -> None:
    messages = [
        {"role": r, "content": c}
        for r, c in (("user", "hi"), ("assistant", "yes"), ("user", "so?"), ("assistant", "No."))
    ]
    files = {"a.jsonl": lines([{"messages": messages}, {"question": "q", "prompt": 1, "answer": "a"}])}
    source = make_source(make(files, prompt="question"))
    assert isinstance(source, FileSource)
    assert texts(source) == ["Q: hiQ: yesQ: so?\nA:No.", "Q: q\nA:a"]
    assert source.corpus.answer.tolist() == [4, 2]
    assert source.corpus.flat[source.start[1:] - 1].tolist() == [EOS]


def test_special_tokens_come_from_the_template_alone(make: Make) -> None:
    config = make({"a.jsonl": GOOD})
    encoder = Encoder(config.tokenizer_folder, EOS)
    encoder.outer.chat_template = "<eos>{% for m in messages %}[{{ m.role }}]{{ m.content }}<eos>{% endfor %}A:"
    got = encoder.chats([("user",), ("user", "assistant")], [("a<mask>b",), ("x", "y")])
    ids = encoder.fast.encode
    assert got[0] == [EOS, *ids("[user]a<mask>b").ids, EOS, *ids("A:").ids]
    assert got[1] == [EOS, *ids("[user]x").ids, EOS, *ids("[assistant]y").ids, EOS, *ids("A:").ids]
    whole = encoder.outer.encode("<eos>[user]hello<eos>A:", add_special_tokens=False)
    assert encoder.chats([("user",)], [("hello",)]) == [whole]
    encoder.outer.chat_template, encoder._forms = "{{ raise_exception('no system') }}", {}
    with pytest.raises(TrainError, match="refuses the roles system: no system"):
        encoder.form(("system",))
    encoder.outer.chat_template = None
    with pytest.raises(TrainError, match="no chat template"):
        encoder.form(("system", "user"))
    assert encoder.chats([("user",)], [("hello",)]) == [ids("hello").ids]


def test_an_epoch_shows_each_row_once_in_an_order_of_its_own(make: Make) -> None:
    config = make({"a.jsonl": lines(pair(i) for i in range(50))})
    source = FileSource(config)
    epochs = [source.rows(torch.arange(50 * e, 50 * (e + 1))) for e in range(3)]
    orders = [drawn.start.tolist() for drawn in epochs]
    assert all(sorted(order) == source.start.tolist() for order in orders)
    assert len({tuple(order) for order in orders}) == 3
    assert orders[0] != sorted(orders[0])
    keys = [set(drawn.keys.tolist()) for drawn in epochs]
    assert len(keys[0] | keys[1] | keys[2]) == 150
    across = source.rows(torch.arange(30, 130))  # a batch may span epochs
    assert across.start.tolist() == orders[0][30:] + orders[1] + orders[2][:30]
    other = FileSource(load_seed(config, 1)).rows(torch.arange(50))
    assert other.start.tolist() != orders[0]
    assert sorted(other.start.tolist()) == sorted(orders[0])


def load_seed(config: TrainConfig, seed: int) -> TrainConfig:
    return config.model_copy(update={"seed": seed})


def test_the_batch_of_a_step_is_the_same_whatever_start_workers_and_processes(make: Make) -> None:
    config = make({"a.jsonl": lines(pair(i, i) for i in range(21))}, "batch_size=8", "steps=7")
    plain = BatchSteps(config, 0)
    whole = [rows_of(plain[s]) for s in range(7)]
    fresh = BatchSteps(config, 0)
    assert [rows_of(b) for b in batches(fresh, 4, 7)] == whole[4:]
    pickled = pickle.loads(pickle.dumps(plain))  # as a worker gets it that is not forked
    assert rows_of(pickled[5]) == whole[5]
    worked = BatchSteps(config.model_copy(update={"workers": 2}), 0)
    assert [rows_of(b) for b in batches(worked, 2, 7)] == whole[2:]
    for step in range(3):
        shards = [BatchSteps(config, 0, rank, 2)[step] for rank in range(2)]
        keys = [key for shard in shards for key in rows_of(shard)]
        assert sorted(keys) == sorted(whole[step])
        for shard in shards:
            for key, row in rows_of(shard).items():
                assert row[:4] == whole[step][key][:4]
                assert row[4][: row[0] + row[2]] == whole[step][key][4][: row[0] + row[2]]


def test_held_out_rows_are_never_trained_on(make: Make) -> None:
    config = make({"a.jsonl": lines(pair(i) for i in range(40))}, held_out=0.1)
    train, valid = (make_source(config, split) for split in ("train", "valid"))
    assert (train.size, valid.size) == (36, 4)
    assert "4 of 40 rows held out for validation" in train.summary
    a, b = (set(source.rows(torch.arange(source.size or 0)).start.tolist()) for source in (train, valid))
    assert len(a | b) == 40
    assert b == set(make_source(load_seed(config, 5), "valid").rows(torch.arange(4)).start.tolist())


def test_the_fingerprint_tells_changed_data(make: Make) -> None:
    prints = [make_source(make({"a.jsonl": lines(pair(i + k) for i in range(5))})).fingerprint for k in (0, 1, 0)]
    assert prints[0] == prints[2] != prints[1]


def test_rows_of_the_hub(make: Make, monkeypatch: pytest.MonkeyPatch, base: Path) -> None:
    config = load(str(base), ["task=null", "data={hub: org/set, subset: small, limit: 3, min_tokens: 3}"])
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(TrainError, match=r"pip install 'dlmsample\[data\]'"):
        make_source(config)
    asked: list[Any] = []

    def load_dataset(name: str, subset: str, split: str, streaming: bool) -> Iterable[dict[str, str]]:
        asked.append((name, subset, split, streaming))
        return ({"text": str(i)} for i in range(5000))

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    source = make_source(config)
    assert asked == [("org/set", "small", "train", True)]
    assert source.summary == ("kept 3 of 13 rows: 10 shorter than 3 tokens",)

    def offline(*args: Any, **options: Any) -> Any:
        raise ConnectionError("no route\nto host")

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=offline))
    with pytest.raises(
        TrainError, match=r"cannot read the data set org/set .* no route to host; check its name and the network"
    ):
        make_source(load(str(base), ["task=null", "data={hub: org/set}"]))


def test_a_share_of_the_mixture_may_come_from_another_generator(base: Path) -> None:
    parts = [{"share": 0.3, "name": "tests.train.test_files:other", "options": {"word": "pear"}}]
    config = load(str(base), [f"task.mix={json.dumps(parts)}", "task.options={digits: 2}"])
    source = TaskSource(config)
    drawn = source.rows(torch.arange(2000))
    pears = sum(
        "pear" in source.encoder.fast.decode(drawn.flat[s : s + p].tolist())
        for s, p in zip(drawn.start, drawn.prompt, strict=True)
    )
    assert pears / 2000 == pytest.approx(0.3, abs=0.04)
    for changes, what in (
        ({"options": {"colour": 1}}, "unknown option 'colour'"),
        ({"name": "nowhere"}, "unknown task"),
    ):
        wrong = json.dumps([{**parts[0], **changes}])
        with pytest.raises(TrainError, match=what):
            TaskSource(load(str(base), [f"task.mix={wrong}"]))


def other(split: str, index: int, word: str = "fig") -> SimpleNamespace:
    return SimpleNamespace(prompt=f"{word} {index}", completion=" yes")


def test_arrays_are_compact(make: Make) -> None:
    corpus = FileSource(make({"a.jsonl": lines(pair(i) for i in range(3000))})).corpus  # more than one chunk
    assert corpus.flat.dtype == np.int32
    assert len(corpus.flat) == int((corpus.prompt + corpus.answer).sum())
    assert corpus.flat[np.cumsum(corpus.prompt + corpus.answer) - 1].tolist() == [EOS] * 3000
