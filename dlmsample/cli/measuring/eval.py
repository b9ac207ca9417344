"""``dlmsample eval``: tasks of lm-evaluation-harness, or a file of one's own, decoded by a policy."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Annotated, Any

import typer

from dlmsample.cli import interrupt, options, screen, settings, threads
from dlmsample.cli.measuring import own
from dlmsample.policies.registry import AUTO


@dataclass(frozen=True, kw_only=True)
class EvalOptions(threads.ThreadOptions, options.CheckpointOptions):
    """Evaluate a checkpoint under a policy on tasks of lm-evaluation-harness (lm-eval), or on your own file.

    lm-eval loads its tasks, scores the answers and prints the table; this command gives it the model. Words after
    -- are lm-eval's own options. A .jsonl file of prompts and answers is asked without lm-eval.

    \b
    Examples:
      dlmsample eval --tasks gsm8k --model runs/mine/final --policy t2m --set threshold=0.2
      dlmsample eval --tasks gsm8k,arc_easy --limit 100 -- --apply_chat_template --output_path runs/eval
      dlmsample eval --tasks mine --model nano --adapter scope --policy auto -- --include_path tasks
      dlmsample eval --tasks examples/questions.jsonl --scorer number --policy t2m
    """

    words: Annotated[
        list[str] | None, typer.Argument(metavar="[-- LM_EVAL_OPTION...]", help="Passed on to lm-eval as they are.")
    ] = None
    tasks: Annotated[
        str | None,
        typer.Option(
            metavar="A,B", help="Tasks or groups of lm-eval; lm_eval ls tasks lists them. Or .jsonl files of your own."
        ),
    ] = None
    model: Annotated[
        str, typer.Option(metavar="NAME", help="Embedded model, folder, or hub id; see dlmsample models.")
    ] = "nano"
    policy: Annotated[
        str,
        typer.Option(
            metavar="NAME|FILE",
            autocompletion=options.policy_names,
            help="Decoding rule; see dlmsample policies. auto: the one that the adapter, head or checkpoint brings; "
            "a .json or .yaml file: the one saved there.",
        ),
    ] = "unmask"
    settings: Annotated[
        list[str],
        typer.Option(
            "--set", metavar="OPTION=VALUE", help="Option of the policy; repeatable; see dlmsample policies NAME."
        ),
    ] = field(default_factory=list)
    block_length: Annotated[
        str | None,
        typer.Option(metavar="N|all", help="Tokens per block, or all at once.  [default: the model's own]"),
    ] = None
    scorer: options.Scorer = None
    pattern: options.Pattern = None
    max_new_tokens: Annotated[int, typer.Option(metavar="N", min=1, help="Tokens of an answer to your file.")] = 160
    as_json: options.AsObject = False
    limit: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="First N examples of every task.  [default: all]")
    ] = None
    samples: Annotated[
        int, typer.Option(metavar="N", min=1, help="Random maskings for each log-likelihood; more are more exact.")
    ] = 128
    batch_size: Annotated[int, typer.Option(metavar="B", min=1, help="How many rows are forwarded together.")] = 32
    seed: Annotated[int, typer.Option(metavar="S", help="Of sampling and of random maskings.")] = 0


def evaluate(given: EvalOptions) -> int:
    """Check what can be checked at once, then let lm-eval run.

    Raises:
        ValueError: anything the user can put right.
    """
    if given.tasks is None:
        raise ValueError("give --tasks, like --tasks gsm8k: lm_eval ls tasks lists them, --include_path adds your own")
    files = own.files(given)
    changed = settings.parse_settings(given.settings)
    settings.check_seed(given.seed)
    length = settings.block_length(given.block_length)
    named = (given.policy, given.model, given.adapter, given.head, changed, given.revision)
    chosen = None if given.policy == AUTO else settings.choose_policy(*named)
    if files:
        return own.evaluate(given, files, lambda: chosen or settings.choose_policy(*named), length)
    from dlmsample.evaluation.commands import NAME, main, register

    register()  # a missing lm-eval is told before anything is loaded
    chosen = chosen or settings.choose_policy(*named)
    if chosen.source:  # else lm-eval's model refuses
        chosen.say()
    screen.silence()
    threads.use(given.threads)
    loaded = [field.name for field in fields(options.CheckpointOptions) if field.name != "device"]
    arguments: dict[str, Any] = {name: getattr(given, name) for name in (*loaded, "policy", "samples", "seed")}
    arguments |= {"pretrained": given.model, "block_length": length, **changed}
    arguments["ignore_config"] = given.ignore_config or ()
    words = ["run", "--model", NAME, "--tasks", given.tasks, "--batch_size", str(given.batch_size)]
    words += ["--device", given.device or "cpu"]
    if given.limit is not None:
        words += ["--limit", str(given.limit)]
    interrupt.raise_from_here()
    return main([*words, *(given.words or ())], arguments)
