"""The options of ``dlmsample generate``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import typer

from dlmsample.cli import options, threads


@dataclass(frozen=True, kw_only=True)
class GenerateOptions(threads.ThreadOptions, options.CheckpointOptions):
    """Answer prompts or chats, or fill the masks of texts.

    \b
    Examples:
      dlmsample generate "Ann had 14 boxes of 12 pens each. Tom gave her 25 pens. How many pens does Ann have?"
      dlmsample generate "..." --policy t2m --set threshold=0.2 --set detector=low_prob
      dlmsample generate "..." --policy d3im --set steps=48 --block-length all --trace steps.html
      dlmsample generate "..." --adapter scope --policy auto
      dlmsample generate --policy t2t --json --output answers.jsonl < prompts.txt
      dlmsample generate --template $'Q: Ann had 3 pens and got 4. How many?\\nA: 3 + 4 = [MASK].' --policy t2m
      dlmsample generate --chat conversation.json --stop $'\\n'
      dlmsample generate --chat conversation.json --continue --template-arg enable_thinking=false

    Below an answer: steps of the policy, nfe (forwards of the model), tokens up to the end, replaced and remasked
    tokens per 100, forced (whether masks were left at the policy's bound on steps and filled as they stood), and what
    ended it. A policy's steps=N is a budget for the whole answer, which its blocks share.
    """

    prompt: Annotated[
        str | None,
        typer.Argument(
            metavar="PROMPT",
            help="The prompt. With - or, in a pipe, without PROMPT: one prompt per line of standard input.",
        ),
    ] = None
    template: Annotated[
        list[str],
        typer.Option(
            metavar="TEXT",
            help="Instead of a prompt: fill the [MASK]s of this text; repeatable; - reads standard input.",
        ),
    ] = field(default_factory=list)
    chat: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Instead of a prompt: answer the chat in this JSON file; one chat per line; - reads standard input.",
        ),
    ] = None
    policy: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            autocompletion=options.policy_names,
            help="Decoding rule; see dlmsample policies. NAME:OPTION=VALUE,... sets options, too. "
            "auto: the one that the adapter, head or checkpoint was "
            "trained for; a .json or .yaml file: the one saved there.  [default: unmask]",
        ),
    ] = None
    model: Annotated[
        str, typer.Option(metavar="NAME", help="Embedded model, folder, or hub id; see dlmsample models.")
    ] = "nano"
    settings: Annotated[
        list[str],
        typer.Option(
            "--set", metavar="OPTION=VALUE", help="Option of the policy; repeatable; see dlmsample policies NAME."
        ),
    ] = field(default_factory=list)
    max_new_tokens: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Length of the answer in tokens, at most.  [default: 160]")
    ] = None
    stop: Annotated[list[str], typer.Option(metavar="TEXT", help="End an answer before this text; repeatable.")] = (
        field(default_factory=list)
    )
    block_length: Annotated[
        str | None,
        typer.Option(
            metavar="N|all",
            help="Tokens per block, or all: the whole answer at once.  [default: the model's own; templates: all]",
        ),
    ] = None
    temperature: Annotated[
        float | None,
        typer.Option(
            metavar="T", help="How random the tokens are; 0 always takes the most probable one.  [default: 0]"
        ),
    ] = None
    top_p: Annotated[
        float | None,
        typer.Option(
            metavar="P",
            help="Draw from the most probable tokens that together have this probability, above 0 and up to 1.  "
            "[default: 1]",
        ),
    ] = None
    top_k: Annotated[
        int | None, typer.Option(metavar="K", help="Draw from the K most probable tokens only.  [default: all]")
    ] = None
    seed: Annotated[int, typer.Option(metavar="S", help="The same seed gives the same answers.")] = 0
    batch_size: Annotated[int, typer.Option(metavar="B", help="How many prompts are decoded together.")] = 32
    cache: Annotated[
        str | None,
        typer.Option(
            metavar="prefix|dual|none",
            help="Approximate cache for a bidirectional model (faster, other tokens), or no cache at all.",
        ),
    ] = None
    refresh: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="With --cache prefix or dual: renew the cache every N forwards.  [default: once per block]",
        ),
    ] = None
    suffix: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            help="With --cache prefix or dual: look at N positions behind the active block only.  [default: all]",
        ),
    ] = None
    grow: Annotated[
        str | None,
        typer.Option(
            metavar="daedal",
            help="For a bidirectional model: begin with a short answer that grows where the model asks for it, up to "
            "--max-new-tokens.",
        ),
    ] = None
    grow_settings: Annotated[
        list[str],
        typer.Option("--grow-set", metavar="OPTION=VALUE", help="With --grow: option of it; repeatable."),
    ] = field(default_factory=list)
    raw: Annotated[bool, typer.Option("--raw", help="Take the prompt as it is, without the chat template.")] = False
    text: Annotated[
        bool,
        typer.Option(
            "--text",
            help="The prompt, or the text to fill, has been through a chat template already: take it exactly as it is, "
            "with no special tokens added.",
        ),
    ] = False
    go_on: Annotated[
        bool, typer.Option("--continue", help="Go on with the last message of --chat, which is the assistant's.")
    ] = False
    template_arg: Annotated[
        list[str],
        typer.Option(
            "--template-arg",
            "--chat-template-arg",
            metavar="KEY=VALUE",
            help="Variable of the chat template, like enable_thinking=false, or tools=[...] as JSON; repeatable.",
        ),
    ] = field(default_factory=list)
    show: Annotated[
        str | None,
        typer.Option(
            metavar="steps", help="Show how the answer came about: the canvas after every step, with changes marked."
        ),
    ] = None
    trace: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Also write an HTML page that shows how the answers were decoded."),
    ] = None
    compare: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            autocompletion=options.policy_names,
            help="With --trace: decode with this policy too, and show both side by side.",
        ),
    ] = None
    gold: Annotated[
        list[str],
        typer.Option(metavar="TEXT", help="With --trace: the right answer, for the page; once a prompt, in order."),
    ] = field(default_factory=list)
    as_json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Print one JSON object per line and prompt: {index, prompt, text, tokens, stats}; "
            "with auto or a file as --policy also the policy.",
        ),
    ] = False
    output: options.OutputFile = None
    device_map: Annotated[
        str | None,
        typer.Option(metavar="auto", help="Spread a large model over all devices; not together with --device."),
    ] = None
    quantization: Annotated[
        str | None,
        typer.Option(
            metavar="fp8|fp8_dynamic|8bit|4bit",
            help="Weights in fewer bits: fp8 (e4m3, a scale per output channel), fp8_dynamic (activations, too), or "
            "8bit and 4bit with bitsandbytes.",
        ),
    ] = None
    compile: Annotated[bool, typer.Option("--compile", help="Fuse the layers with torch.compile; for GPUs.")] = False
    allow_pickle: Annotated[
        bool,
        typer.Option(
            "--allow-pickle",
            help="Also read weights stored as pickles, which can run code; safetensors need no such trust.",
        ),
    ] = False
