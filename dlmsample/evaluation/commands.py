"""lm-eval's own command line, with our model in it.

lm-eval finds models in a table of its own and knows no entry points, so :func:`register` puts ours there, in the
process that then runs lm-eval.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from itertools import pairwise
from typing import Any

from dlmsample.evaluation.harness import HarnessModel
from dlmsample.support.reach import cached_unless_reachable, unanswered
from dlmsample.support.text import one_line

#: What ``--model`` of lm-eval is given.
NAME = "dlmsample"


def register() -> type:
    """Make ``--model dlmsample`` known to lm-eval, in this process; its class.

    Raises:
        ValueError: lm-eval is not installed.
    """
    try:
        registry = import_module("lm_eval.api.registry").model_registry
    except ImportError:
        raise ValueError("this needs lm-eval: pip install 'dlmsample[eval]'") from None
    known = registry.get(NAME, None)
    if known is None:
        known = type("DlmSampleLM", (HarnessModel, import_module("lm_eval.api.model").LM), {})
        registry.register(NAME, target=known)
    return known


def main(words: Sequence[str], model_args: Mapping[str, Any] | None = None) -> int:
    """lm-eval's own command line, with our model in its table.

    Args:
        words: what would follow ``lm_eval``.
        model_args: arguments of the model, in place of those in ``--model_args``.

    Returns:
        The exit code.

    Raises:
        ValueError: lm-eval is not installed, refuses a task, or cannot read a task's data.
    """
    if not sys.stderr.isatty():
        os.environ.setdefault("TQDM_DISABLE", "1")  # bars are for terminals
    register()
    if (
        not any(word.partition("=")[0] == "--device" for word in words)
        and not import_module("torch").cuda.is_available()
    ):
        words = [*words, "--device", "cpu"]  # lm-eval's own default is cuda:0
    before, sys.argv = sys.argv, ["lm_eval", *words]
    try:
        import_module("lm_eval.utils").setup_logging()
        commands = import_module("lm_eval._cli").HarnessCLI()
        given = commands.parse_args()
        if model_args is not None:
            given.model_args = dict(model_args)
        with cached_unless_reachable(), _git_unheard():
            commands.execute(given)
    except SystemExit as left:  # of its argument parser, which has said why
        return int(left.code or 0) if not isinstance(left.code, str) else 2
    except Exception as error:
        if unanswered(error) or isinstance(error, FileNotFoundError):
            raise ValueError(_unread(words, error)) from error
        raise
    finally:
        sys.argv = before
    return 0


@contextmanager
def _git_unheard() -> Iterator[None]:
    """Inside, lm-eval asks git for a commit without git's complaint where there is no repository.

    It starts git with this process's standard error, which therefore leads nowhere for as long as that takes.
    """
    evaluator: Any = import_module("lm_eval.evaluator")
    asked = getattr(evaluator, "get_git_commit_hash", None)
    if asked is None:
        yield
        return

    def quietly() -> Any:
        sys.stderr.flush()
        kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, 2)
            return asked()
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            os.close(nowhere)

    evaluator.get_git_commit_hash = quietly
    try:
        yield
    finally:
        evaluator.get_git_commit_hash = asked


def _unread(words: Sequence[str], error: BaseException) -> str:
    """What to do about data that lm-eval cannot read."""
    tasks = next((after for word, after in pairwise(words) if word == "--tasks"), "these tasks")
    return (
        f"the data of {tasks} cannot be read ({one_line(error, 200)}): connect once, after which the hub's cache "
        "serves, or give them locally: a task file with dataset_path: json and dataset_kwargs: "
        "{data_files: {test: FILE.jsonl}}, in the folder of -- --include_path DIR"
    )
