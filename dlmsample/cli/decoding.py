"""The options of ``generate``. Only typer is imported here: ``--help`` stays fast."""

from __future__ import annotations

from typing import Annotated

import typer

from dlmsample.cli import options


def generate(
    prompt: Annotated[
        str | None, typer.Argument(metavar="PROMPT", help="The prompt; - reads one a line from standard input.")
    ] = None,
    template: Annotated[
        list[str] | None,
        typer.Option(metavar="TEXT", help="Fill the [MASK]s of a text instead; repeatable; - reads one a line."),
    ] = None,
    chat: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Answer a JSON list of messages, or one a line, instead; - reads them."),
    ] = None,
    policy: Annotated[str, typer.Option(metavar="NAME", help="Decoding rule; see dlmsample policies.")] = "unmask",
    model: Annotated[
        str, typer.Option(metavar="NAME", help="Embedded model, folder, or hub id; see dlmsample models.")
    ] = "nano",
    adapter: options.Adapter = None,
    head: options.Head = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="OPTION=VALUE", help="Policy option, a YAML scalar; repeatable."),
    ] = None,
    max_new_tokens: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Answer positions.  [default: 160]")
    ] = None,
    stop: Annotated[
        list[str] | None, typer.Option(metavar="TEXT", help="End an answer before this text; repeatable.")
    ] = None,
    block_length: Annotated[
        str | None,
        typer.Option(
            metavar="N|all", help="Tokens of a block, or the whole answer.  [default: the model's; templates: all]"
        ),
    ] = None,
    temperature: Annotated[float, typer.Option(metavar="T", help="0 is greedy.")] = 0.0,
    top_p: Annotated[float, typer.Option(metavar="P", help="Nucleus mass, above 0 and up to 1.")] = 1.0,
    top_k: Annotated[
        int | None, typer.Option(metavar="K", help="Candidates kept before top-p.  [default: all]")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="S", help="Of all randomness: sampling, random scores.")] = 0,
    batch_size: Annotated[int, typer.Option(metavar="B", help="Prompts in one forward.")] = 32,
    cache: Annotated[
        str | None,
        typer.Option(metavar="prefix|dual|none", help="Approximate cache of a bidirectional model, or no cache."),
    ] = None,
    refresh: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="With prefix or dual: a whole forward every N.  [default: one a block]"),
    ] = None,
    device: options.Device = None,
    dtype: options.Dtype = None,
    raw: Annotated[bool, typer.Option("--raw", help="Take the prompt as it is, without the chat template.")] = False,
    show: Annotated[
        str | None, typer.Option(metavar="steps", help="Print the canvas step by step, changes marked.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="A line per prompt: {index, prompt, text, tokens, stats}.")
    ] = False,
    trust_remote_code: options.TrustRemoteCode = False,
    family: options.Family = None,
    revision: options.Revision = None,
    device_map: Annotated[
        str | None, typer.Option(metavar="auto", help="Spread a large model over all devices, not with --device.")
    ] = None,
    quantization: Annotated[
        str | None, typer.Option(metavar="8bit|4bit", help="Quantise while loading, with bitsandbytes.")
    ] = None,
    compile: Annotated[bool, typer.Option("--compile", help="Fuse the layers with torch.compile; for GPUs.")] = False,
    allow_pickle: Annotated[
        bool, typer.Option("--allow-pickle", help="Also read weights that are no safetensors.")
    ] = False,
    output: options.Output = None,
    trace: Annotated[
        str | None, typer.Option(metavar="FILE", help="Also write an HTML page of how the answers were decoded.")
    ] = None,
) -> None:
    """Answer prompts or chats, or fill the masks of texts.

    \b
    Examples:
      dlmsample generate "Ann had 14 boxes of 12 pens each. Tom gave her 25 pens. How many pens does Ann have?"
      dlmsample generate "..." --policy t2m --set threshold=0.2 --set detector=low_prob
      dlmsample generate "..." --policy d3im --set steps=48 --block-length all --trace steps.html
      dlmsample generate - --policy t2t --json --output answers.jsonl < prompts.txt
      dlmsample generate --template $'Q: Ann had 3 pens and got 4. How many?\\nA: 3 + 4 = [MASK].' --policy t2m
      dlmsample generate --chat conversation.json --stop $'\\n'
    """
    given = {**locals(), "settings": settings or (), "template": template or (), "stop": stop or ()}
    from dlmsample.cli import generate as command

    command.generate(command.Request(**given))
