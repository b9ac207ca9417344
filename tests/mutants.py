"""Named mutations of the rules, each of which some test must notice: ``make mutants``.

    python tests/mutants.py                  all of them, two at a time
    python tests/mutants.py --only holm -j 1

The package and its tests are copied into a temporary folder; one text of one file is replaced by another, and the
tests named beside it are run. They must fail. A mutation that they pass has survived, which is an error unless the
table gives a reason why nothing can notice it; so is a text that is not found exactly once.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 300  #: that the tests of one mutation may take; one that makes them hang is noticed, too
#: The crew imports transformers, and with it anyio, which is a plugin of pytest too; pytest warns that it comes too
#: late to rewrite its asserts, and warnings are errors here. Nothing is lost: no test uses that plugin.
_IMPORTED = "ignore:Module already imported:pytest.PytestAssertRewriteWarning"


class Mutant(NamedTuple):
    """One mutation."""

    name: str
    files: str  #: names of the modules that may hold the text, separated by spaces, wherever they lie in the package
    old: str
    new: str
    tests: str  #: what pytest is given
    reason: str = ""  #: why it may survive

    @property
    def changes(self) -> bool:
        """False for the run without a mutation."""
        return self.old != self.new


def _mutants() -> Iterator[Mutant]:
    for (files, tests), texts in TABLE.items():
        for number, (old, new, *reason) in enumerate(texts, 1):
            yield Mutant(f"{_title(files)}-{number}", files, old, new, tests, *reason)


def _title(files: str) -> str:
    return files.split()[0].removesuffix(".py").replace("/", ".")


def place(mutant: Mutant, package: Path) -> Path:
    """The file that holds the text.

    Raises:
        LookupError: it is not found exactly once.
    """
    names = mutant.files.split()
    held = [path for path in sorted(package.rglob("*.py")) if any(path.match(name) for name in names)]
    found = [path for path in held for _ in range(path.read_text(encoding="utf-8").count(mutant.old))]
    if len(found) != 1:
        raise LookupError(f"{mutant.name}: found {len(found)} times in {mutant.files}: {mutant.old}")
    return found[0]


def attempt(mutant: Mutant, copy: Path) -> int:
    """What `run` returns; or, when it raises, 3, and the log ends with the exception."""
    try:
        return run(mutant, copy)
    except BaseException:
        traceback.print_exc()
        return 3
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def run(mutant: Mutant, copy: Path) -> int:
    """In a process of its own: what pytest returns for a copy of the project with that mutation."""
    os.chdir(copy)
    sys.path[:0] = [str(copy)]
    sys.dont_write_bytecode = True
    with open(copy / f"{mutant.name}.log", "w", encoding="utf-8") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    path = place(mutant, copy / "dlmsample")
    before = path.read_text(encoding="utf-8")
    path.write_text(before.replace(mutant.old, mutant.new), encoding="utf-8")
    import pytest

    options = ["-x", "-q", "--every-case", "-p", "no:cacheprovider", "-p", "no:xdist", "-W", _IMPORTED]
    return int(pytest.main([*options, *shlex.split(mutant.tests)]))


def _copied(source: str, target: str) -> None:
    """Modules are copied; data, such as weights, is only read."""
    if source.endswith(".py"):
        shutil.copyfile(source, target)
    else:
        os.symlink(source, target)


class Crew:
    """Forked processes, each in a copy of its own; libraries are imported once, before."""

    def __init__(self, folder: Path, jobs: int) -> None:
        import numpy  # noqa: F401
        import pytest  # noqa: F401
        import scipy.stats  # noqa: F401
        import torch
        import transformers  # noqa: F401

        torch.set_num_threads(1)
        self._folder, self._jobs = folder, jobs
        self._running: dict[int, tuple[Mutant, float]] = {}

    def outcomes(self, mutants: Sequence[Mutant]) -> Iterator[tuple[Mutant, int, float]]:
        """Each mutation with what became of it: pytest's number, or minus the signal's; and its seconds."""
        for mutant in mutants:
            if len(self._running) == self._jobs:
                yield self._wait()
            self._start(mutant)
        while self._running:
            yield self._wait()

    def _start(self, mutant: Mutant) -> None:
        copy = self._folder / mutant.name
        for part in ("dlmsample", "tests", "examples", "benchmarks"):
            left_out = shutil.ignore_patterns("__pycache__", "results")
            shutil.copytree(ROOT / part, copy / part, ignore=left_out, copy_function=_copied)
        for file in (ROOT / "pyproject.toml", *ROOT.glob("*.md")):  # some tests compare pages with the code
            shutil.copy(file, copy)
        (copy / f"{mutant.name}.log").touch()
        sys.stdout.flush()  # or the child writes it once more
        child = os.fork()
        if child == 0:
            signal.alarm(SECONDS if mutant.changes else 0)
            os._exit(attempt(mutant, copy))
        self._running[child] = mutant, time.perf_counter()

    def _wait(self) -> tuple[Mutant, int, float]:
        child, status = os.wait()
        mutant, begun = self._running.pop(child)
        code = os.waitstatus_to_exitcode(status)
        if code not in ((0, 1, -signal.SIGALRM) if mutant.changes else (0,)):
            log = self._folder / mutant.name / f"{mutant.name}.log"
            print(log.read_text(encoding="utf-8", errors="replace")[-2000:])
        shutil.rmtree(self._folder / mutant.name)
        return mutant, code, time.perf_counter() - begun


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-j", "--jobs", type=int, default=2)
    parser.add_argument("--only", default="", help="those that have this in their name, text or tests")
    args = parser.parse_args()
    chosen = [m for m in MUTANTS if args.only in f"{m.name} {m.old} {m.tests}"]
    for mutant in chosen:
        place(mutant, ROOT / "dlmsample")
    bad = 0
    # without any mutation the same tests must pass, or their failing would mean nothing
    files = sorted({mutant.tests for mutant in chosen})
    sound = [Mutant(f"none-{n}", "predict.py", "def predict(", "def predict(", tests) for n, tests in enumerate(files)]
    with tempfile.TemporaryDirectory() as folder:
        crew = Crew(Path(folder), args.jobs)
        for mutant, code, seconds in crew.outcomes([*sound, *chosen]):
            wanted = 0 if mutant in sound else 1
            hung = mutant not in sound and code == -signal.SIGALRM
            if code == wanted or hung:
                said = "passes" if mutant in sound else "noticed"
            elif mutant in sound:
                said, bad = f"FAILS WITHOUT A MUTATION ({code}): {mutant.tests}", bad + 1
            elif code == 0 and mutant.reason:
                said = f"survives: {mutant.reason}"
            elif code == 0:
                said, bad = f"SURVIVED: {mutant.old!r} -> {mutant.new!r} in {mutant.tests}", bad + 1
            else:
                said, bad = f"DID NOT RUN ({code})", bad + 1
            print(f"{mutant.name} {seconds:.0f} s {said}", flush=True)
    print(f"{len(chosen)} mutations, {bad} errors")
    return 1 if bad else 0


_LOOPS = "tests/objectives/test_loops.py tests/objectives/test_losses.py tests/objectives/test_draws.py"
_RANDOM = "tests/test_differential.py::test_random_models"
_BATCH = f"{_RANDOM} tests/test_step_rules.py tests/test_fill.py::test_blocks_without_masks_cost_a_write_or_nothing"
_BATCH += " tests/test_fill.py::test_a_forward_that_only_writes_is_no_step tests/test_fill.py::test_budgets_count_masks"
_BATCH += " tests/test_fill.py::test_dsc_draws_its_buffer_and_its_cap_from_the_masks"
_BATCH += " tests/test_protocol.py::test_prompt_and_counts"
_BATCH += " tests/test_protocol.py::test_the_sampler_enforces_the_bound -k 'not random_models or t2m'"


def _policy(names: str) -> str:
    """Tests of steps made by hand, and the comparison with the oracle for these policies."""
    return f"tests/test_step_rules.py {_RANDOM} -k '{names} or step_rules'"


#: (files, tests) -> (old text, new text, reason why it may survive, if any)
TABLE: dict[tuple[str, str], list[tuple[str, ...]]] = {
    ("predict.py", "tests/test_predict.py"): [
        ("banned = (vocab == mask_id)[None]", "banned = (vocab == -1)[None]"),
        ("banned | (rows[:, None] & torch.isin(vocab, ids))", "banned | torch.isin(vocab, ids)"),
        ("        prob=1 / (1 + odds)", "        prob=1 / (1 + current_odds)"),
        ("current_prob=1 / (1 + current_odds)", "current_prob=1 / (1 + odds)"),
        ("rest = mass.scatter(-1, index, 0.0).sum(-1)", "rest = mass.sum(-1) - mass.gather(-1, index)[..., 0]"),
        ("entropy = -(log_p", "entropy = (log_p"),
        ("margin = top2[..., 0] - top2[..., 1]", "margin = top2[..., 0]"),
        ("before = p.cumsum(-1) - p", "before = p.cumsum(-1)"),
        ("logits < kth", "logits <= kth"),
        ("/ max(temperature, 1e-30)", "* max(temperature, 1e-30)"),
        ("SAMPLE, positions, vocab)", "SAMPLE, vocab)"),
        ("torch.sigmoid(error.float())", "torch.sigmoid(-error.float())"),
        ("posinf=_LARGE, neginf", "posinf=0.0, neginf"),
        ("if temperature > 0:", "if temperature > 1:"),
    ],
    ("stats.py", "tests/ablate/analysis/test_stats.py"): [
        ("spread / (4 * total)", "spread / total"),
        ("middle = share + spread / 2", "middle = share"),
        ("ddof=1", "ddof=0"),
        ("float(examples)), trials)", "float(examples)), float('inf'))"),
        ("return trials if 0 < share < 1 else float(examples)", "return trials"),
        (">= reached", "> reached"),
        ("own[:: 2 * size]", "own[: count + 1]"),
        ("[0.025, 0.975], axis=0", "[0.05, 0.95], axis=0"),
        ("np.random.Philox(key=seed)", "np.random.Philox(key=0)"),
        (
            "np.maximum.accumulate(np.asarray(values, dtype=np.float64)[order] * factors)",
            "(np.asarray(values)[order] * factors)",
        ),
        ("np.arange(len(values), 0, -1)", "np.full(len(values), len(values))"),
        ("np.minimum(1.0, np.maximum", "(np.maximum"),
        ("adjusted[order] = raised", "adjusted[:] = raised"),
        ("return lcm(", "return max("),
    ],
    ("comparisons.py", "tests/ablate/analysis/test_stats.py"): [
        ("holm(values), strict=True", "values, strict=True"),
        ("self.p_holm < 0.05", "self.p < 0.05"),
        ("return self.after - self.before", "return self.before - self.after"),
        ("measured.right[here] * (unit // runs)", "measured.right[here]"),
        ("low / pairs[at].unit", "low"),
        ("gained=int((pair.differences > 0)", "gained=int((pair.differences >= 0)"),
        ("lost=int((pair.differences < 0)", "lost=int((pair.differences != 0)"),
        ("pair.index[pair.differences > 0]", "pair.index[pair.differences < 0]"),
        ("pair.index[pair.differences < 0]", "pair.index[pair.differences > 0]"),
        ("and base.number != m.config.number", ""),
        ("baseline_accuracy=int(pair.before", "baseline_accuracy=int(pair.after"),
    ],
    ("verdicts.py", "tests/ablate/papers/test_claims.py"): [
        ("verdict(claim, found.wide_low, found.wide_high)", "verdict(claim, found.low, found.high)"),
        ("if all(verdict(", "if any(verdict("),
        ("fails = any(verdict(", "fails = all(verdict("),
        ("len(done) < len(members)", "not done"),
        ('"no_lower": (-margin, infinite)', '"no_lower": (0.0, infinite)'),
        ('"same": (-margin, margin)', '"same": (-margin, infinite)'),
        ("if floor < low and high < ceiling", "if floor <= low and high <= ceiling"),
        ("high < floor or low > ceiling", "high < floor"),
        ("high < floor or low > ceiling", "low > ceiling"),
        ("claim.than or 0.0", "0.0"),
        ("0.0, len(members))", "0.0)"),
        (
            'if low is None or high is None:\n        return "undecided"',
            'if low is None or high is None:\n        return "holds"',
        ),
    ],
    ("contrasts.py", "tests/ablate/papers/test_claims.py"): [
        ("tail = 0.025 / contrast.family", "tail = 0.025"),
        ("SIGNS = (1, -1, -1, 1)", "SIGNS = (1, -1, 1, -1)"),
    ],
    ("objectives/base.py", f"{_LOOPS} tests/objectives/test_mdm.py"): [
        (".sum(1).mean(), metrics", ".sum(1).sum(), metrics"),
        ("weight / members.sum(1, keepdim=True)", "weight / members.sum()"),
        ("argmax(-1) == corrupted.targets", "argmax(-1) != corrupted.targets"),
        ("members.sum().clamp(min=1)", "members.sum()"),
        ("members.float().mean()", "members.float().sum()"),
    ],
    ("mdm.py", "tests/objectives/test_mdm.py"): [
        ("(1 - self.eps) * draws.rate(RATE, self.mask_ratio) + self.eps", "draws.per_canvas(RATE)"),
        ("1 / (p * length)", "1 / length"),
        ("masked = editable & (", "masked = ("),
        ("draws.per_position(MASK) < p", "draws.per_canvas(MASK) < p"),
    ],
    ("objectives/t2t.py", _LOOPS): [
        ('"right": visible & ~differs', '"right": visible'),
        ('"wrong": visible & differs', '"wrong": visible'),
        ('"wrong": self.wrong_weight', '"wrong": self.right_weight'),
        ("draws.rate(RATE, self.mask_ratio)", "draws.rate(RATE, (0.3, 0.8))"),
    ],
    ("random_t2t.py self_generated_t2t.py", _LOOPS): [
        ("share = draws.rate(EDIT_RATE, self.random_share)", "share = self.random_share[1]"),
        ("left = masked & (draws.per_position(d.KEEP) <", "left = masked & (draws.per_position(d.KEEP) >"),
        ("torch.where(masked, replaced, edited)", "torch.where(masked, edited, replaced)"),
        ("torch.where(masked, drafts, clean)", "clean"),
    ],
    ("scope.py", f"{_LOOPS} tests/objectives/test_statistics.py::test_scope_clamps_its_mask_rate"): [
        (">= self.mdm_share", "< self.mdm_share"),
        (".clamp(0.05, 0.95)", ""),
        ("draws.rank(order, hidden) < count", "draws.rank(order, hidden) <= count"),
        ("else sample.odds", "else -sample.odds"),
        ('"masked": hidden & ~committed', '"masked": hidden'),
        ("committed & ~wrong", "committed"),
        ("draws.beta22(d.BETA)", "draws.per_canvas(d.BETA)"),
        ("committed = hidden & own & (", "committed = hidden & ("),
    ],
    ("objectives/proseco.py", f"{_LOOPS} tests/objectives/test_proseco.py"): [
        ('editable if self.drafts == "all" else masked', "masked"),
        ("scale if self.weighted else 1 / length", "scale"),
        ("torch.where(masked, scale, 0.0)", "scale"),
        ('sets["wrong"], correcting, -torch', 'sets["right"], correcting, -torch'),
    ],
    ("fca.py", _LOOPS): [
        ("t = (1 - step) * draws.per_canvas(d.RATE)", "t = draws.per_canvas(d.RATE)"),
        ("< later / (1 - t)", "< later"),
        ("first, masked = masked, masked & ~chosen", "first, masked = masked, masked & True"),
        ('"self": masked | newly', '"self": newly'),
        ('"prism": newly', '"prism": masked | newly'),
        ("count.clamp(min=1)", "count"),
        ("wrong = visible & (tokens != clean)", "wrong = visible & chosen"),
        ("1 / (t.clamp(min=_LOWEST_RATE) * answer)", "1 / answer"),
        ("1.0 if self.gamma is None else self.gamma", "1.0"),
    ],
    ("draws.py", _LOOPS): [
        ("round().long()) * count // _PARTS", "round().long()) * count // _PARTS + 1"),
        ("low + (high - low) * self", "low + high * self"),
        ("(index >= gold - below)", "(index > gold - below)"),
        ("(allowed - ordinary.long())", "allowed"),
        ("torch.minimum(torch.maximum(a, b), c)", "c"),
        ("torch.where(members, self.canvas, torch.iinfo(torch.int64).max)", "self.canvas"),
        ("key = fold(draws.keys, DRAFT)", "key = draws.keys"),
        ("draw(self.keys[:, None], kind, self.canvas", "draw(self.keys[:, None], kind"),
    ],
    ("grow/canvas.py", "tests/decoding/test_grow.py"): [
        ("sure < option.eos_confidence", "sure <= option.eos_confidence"),
        ("change.pred.prob < option.low_confidence", "change.pred.prob > option.low_confidence"),
        ("torch.where(low, change.pred.prob, 2.0).argmin(-1)", "torch.where(low, change.pred.prob, -2.0).argmax(-1)"),
        (" & (sure < option.expand_eos_confidence)", ""),
        (" & (change.after == settings.mask_id)", ""),
        ("inserts * (some - 1)", "inserts * some"),
        ("option.eos_window // 2", "option.eos_window"),
        ("since=torch.where(inserts, rows.step, torch.where(moved, 0, growth.since))", "since=growth.since"),
        (
            "torch.where(moved, 0, growth.since)",
            "growth.since",
            "a looser bound: every rule that may grow keeps the other",
        ),
        ("eos & (from_end <= window)", "eos"),
        ("eos.flip(-1).cumsum(-1).flip(-1)", "eos.cumsum(-1)"),
        (" & (place < size[:, None])", ""),
        ("places - (new.length - old)[:, None], inside", "places, inside"),
        ("torch.where(places < length[:, None], canvas, mask_id)", "canvas", "nothing reads what is spare"),
        ("finished = ended | (moved & full)", "finished = ended"),
        ("((places < block[:, None]) | full[:, None])", "full[:, None]"),
        ("editable & (rows.canvas == settings.mask_id)", "(rows.canvas == settings.mask_id)"),
    ],
    ("batch.py step.py", _BATCH): [
        (
            " & ~rows.finished[:, None]",
            "",
            "what a policy makes of a finished row is dropped; it is to see nothing there",
        ),
        ("updating & (update.done | at_bound)", "updating & update.done"),
        ("block.step - since + 1 >= policy.max_steps(block)", "block.step >= policy.max_steps(block)"),
        ("torch.where(left & forced[:, None], pred.token, tokens)", "tokens"),
        ("(block.is_eos(tokens) & block.editable).any(-1)", "block.is_eos(tokens).any(-1)"),
        ("ends = done & (is_eos | (", "ends = done & (("),
        ("(block.stop >= block.total)", "(block.stop > block.total)"),
        ("done & ~ends & changed.any(-1) if", "done & ~ends if"),
        ("moves = (done & ~ends & ~writing)", "moves = (done & ~ends)"),
        ("steps=rows.counts.steps + updating", "steps=rows.counts.steps + ~rows.finished"),
        ("nfe=rows.counts.nfe + ~rows.finished", "nfe=rows.counts.nfe + updating"),
        ("step=torch.where(moves, 0, rows.step + updating)", "step=rows.step + updating"),
        ("entering=moves", "entering=torch.zeros_like(moves)"),
        ("(changed.sum(-1) - fills - remasks)", "(changed.sum(-1) - fills)"),
        ("eos=rows.counts.eos | (ends & is_eos)", "eos=rows.counts.eos | is_eos & False"),
        ("forced=rows.counts.forced | forced", "forced=rows.counts.forced"),
        ("seen[:, None] + 1)", "seen[:, None])"),
        ("start, writing | (moves & (block > start))", "start, writing"),
        ("nominal=total if settings.whole else None", "nominal=None"),
    ],
    ("policies/fill.py", _policy("unmask or d3im")): [
        ("& (pred.prob > level)", "& (pred.prob >= level)"),
        ("sure.sum(-1, keepdim=True) >= min_commit", "sure.sum(-1, keepdim=True) > min_commit"),
        ("(previous.gather(-1, place) <= bound)", "(previous.gather(-1, place) < bound)"),
        ("ordered[:, :-1].cumsum(-1)", "ordered[:, 1:].cumsum(-1)"),
        ("- steps * block.start // total)", ")"),
        ("block.start // total).clamp(min=1)", "block.start // total)"),
        ("(step < rest).long()", "(step <= rest).long()"),
        ("torch.minimum(done, rest)", "rest"),
        ('-needed(pred.margin, "margin")', 'needed(pred.margin, "margin")'),
    ],
    ("policies/edit.py policies/editing.py policies/detect.py", _policy("t2t")): [
        ("block.visible & (pred.prob > level)", "block.visible & (pred.prob >= level)"),
        ("& (pred.token != block.tokens)", "& (pred.token != block.mask_id)"),
        ("(saw_full & ~edited)", "~edited"),
        ("(post >= max_post_steps)", "(post > max_post_steps)"),
        ("    if not enabled:\n", "    if False:\n", "with a limit of 0 the other line says the same"),
    ],
    ("policies/t2m.py policies/detect.py", _policy("t2m")): [
        ("(pred.current_prob < ", "(pred.current_prob <= "),
        ("-pred.current_odds", "pred.current_odds"),
        ("(drop > ", "(drop >= "),
    ],
    ("policies/t2m.py policies/edit.py", _policy("t2m")): [
        (".floor().long()", ".ceil().long()"),
        ("(state.remasks < self.max_", "(state.remasks <= self.max_"),
    ],
    ("select.py", _policy("unmask")): [
        ("(rank(score, among) < limit)", "(rank(score, among) <= limit)"),
        ("torch.where(among, score.nan_to_num(nan=torch.inf, posinf=torch.inf), torch.nan)", "score"),
    ],
    ("d3im.py", _policy("d3im")): [
        ("final = block.step >= state.steps - 1", "final = block.step >= state.steps"),
        ("fill.eos_last(odds, block, candidate,", "fill.eos_last(odds, block, pred.token,"),
        ("keep - block.visible.sum(-1)", "keep"),
        ("final | full if frozen else final", "final"),
        ("block.step < state.steps - 1 if", "block.step < state.steps if"),
        ("torch.where(block.visible, pred.current_odds, odds)", "odds"),
    ],
    ("policies/edit.py", "tests/zoo/test_guard.py"): [
        ("block.editable & ~state.shut", "block.editable"),
        ("new = placed & ~known", "new = placed & known"),
        ("state.shut | (placed & known)", "placed & known"),
        ("placed = filled if edits.replace is None else filled | edits.replace", "placed = filled"),
    ],
    ("zoo/rcr.py", _policy("rcr")): [
        ("torch.where(block.masked, candidate, state.odds)", "candidate"),
        ("(steps - block.step - 1)", "(steps - block.step)"),
        ("lowest(odds, block.editable, keep)", "lowest(-odds, block.editable, keep)"),
    ],
    ("zoo/p2.py", _policy("p2")): [
        ("self.eta * torch.log1p", "torch.log1p"),
        ('pred.current_odds if self.planner == "standing"', 'pred.odds if self.planner == "standing"'),
        ("torch.where(block.masked, pred.token, block.tokens)", "pred.token"),
    ],
    ("zoo/remdm.py", f"tests/zoo/test_remdm.py {_RANDOM} -k remdm"): [
        ("(now.alpha_next - (1 - sigma) * now.alpha)", "(now.alpha_next - now.alpha)"),
        ("most.clamp(max=self.level)", "most * self.level"),
        ("torch.exp(-state.sure.double())", "torch.exp(state.sure.double())"),
        ("t <= self.t_on", "t > self.t_on"),
        ("~(early | late | final)", "~(early | final)"),
        ("block.visible & (draw < sigma)", "block.visible & (draw >= sigma)"),
        ("(block.step + 2 < state.steps)", "(block.step + 1 < state.steps)"),
    ],
    ("zoo/tolerator.py", _policy("tolerator")): [
        ("again = filled & ~filling", "again = filled"),
        ("(turn <= self.rounds)", "(turn < self.rounds)"),
        (".ceil().long().clamp(min=1)", ".floor().long().clamp(min=1)"),
        ("torch.where(state.round == 0, self.eos_penalty, 1.0)", "torch.ones_like(state.round)"),
        ("0.5 * (1 + torch.cos(math.pi * way))", "(1 - way)"),
        ("pred.token == state.last", "pred.token != state.last"),
    ],
    ("zoo/wino.py", _policy("wino")): [
        ("(pred.loo_prob < self.verify_threshold)", "(pred.current_prob < self.verify_threshold)"),
        ("torch.where(count > 1, state.drafted - 1, 0)", "state.drafted - 1"),
        ("state.drafted - 1, 0)", "state.drafted, 0)"),
    ],
    ("attention/shadow.py attention/whole.py attention/cached.py", "tests/models/test_shadow.py"): [
        ("seen & ~hidden[:, None]", "seen"),
        ("(block & ~own) | beside", "block | beside"),
        ("scatter(1, at, mask_id)", "scatter(1, at, at)"),
    ],
    ("attention/approximate.py", "tests/test_approximate.py"): [
        ("row.age % self._refresh if self._refresh else row.age", "row.age"),
        ("(start - self._ahead).clamp(min=0)", "start.clamp(min=0)"),
        ("start + layout.width + self._suffix", "start + self._suffix"),
        ("max(self._end(row, width) - row.start for row in at)", "width"),
    ],
    ("captured/parts.py attention/in_place.py", "tests/test_approximate_captured.py -k 'come_and_go or suffix'"): [
        ("span = reader.span(later, self._extent.width)", "span = self._extent.width"),
        ("[row.slot for row in due]", "[at for at, _ in enumerate(due)]"),
        ("begin, length, True)", "begin, length)"),
    ],
    ("policies/dsc.py policies/edit.py", _policy("dsc")): [
        ("% self.stride == self.stride - 1", "% self.stride == 0"),
        ("_REMASKS_PER_POSITION * block.size - ", "block.size - "),
        ("pushed - capacity)", "pushed - capacity - 1)"),
    ],
    ("zoo/klass.py", "tests/zoo -k klass"): [
        ("torch.where(still, state.steady + 1, 0)", "state.steady + still"),
        ("(steady >= self.history)", "(steady > self.history)"),
    ],
    ("zoo/pc_sampler.py", "tests/zoo -k 'pc_sampler or frequent'"): [
        (".clamp(max=self.clip)", ""),
        ("torch.exp(-self.position_weight", "torch.exp(self.position_weight"),
    ],
    ("zoo/prophet.py", "tests/zoo -k prophet"): [
        ("(before + block.step + 1)", "(before + block.step)"),
        ("(place >= self.answer_start)", "(place > self.answer_start)"),
    ],
    ("zoo/credit.py", "tests/zoo -k credit"): [
        ("state.credit * self.decay", "state.credit"),
        ("added.scatter(-1, best, 0.0)", "added"),
        ("& ~own.any(-1, keepdim=True)", "& True"),
    ],
    ("zoo/saber.py", "tests/zoo -k saber"): [
        ("torch.minimum(back, fresh - 1)", "back"),
        ("change = pred.prob - state.last", "change = pred.prob"),
    ],
    ("zoo/core.py", "tests/zoo -k core"): [
        ("block.step - state.probes)", "block.step)"),
        ("& (pred.token != state.held)", ""),
        ("lowest(log_p, other", "lowest(-log_p, other"),
    ],
    ("zoo/proseco.py", "tests/zoo -k proseco"): [
        ("block.step - state.made", "block.step"),
        ("(now.step + 1) % self.every", "now.step % self.every"),
        ("(state.round < self.max_corrections) & changed", "(state.round < self.max_corrections)"),
        ("hidden | (drafted & block.editable)", "hidden"),
    ],
}
MUTANTS = list(_mutants())

if __name__ == "__main__":
    sys.path = [part for part in sys.path if Path(part).resolve() not in (ROOT, ROOT / "tests")]
    sys.exit(main())
