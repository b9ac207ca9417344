"""Options that several commands have. Only typer is imported here: ``--help`` stays fast."""

from __future__ import annotations

from typing import Annotated

import typer

Adapter = Annotated[
    str | None, typer.Option(metavar="NAME", help="Adapter that the model ships, PEFT folder, or hub id.")
]
Head = Annotated[
    str | None, typer.Option(metavar="NAME", help="Correction head that the model ships, folder, or hub id.")
]
Device = Annotated[str | None, typer.Option(metavar="D", help="Torch device.  [default: cpu]")]
Dtype = Annotated[
    str | None,
    typer.Option(
        metavar="T",
        help="Torch dtype; auto: bfloat16 also on CPUs that have it.  [default: float32; off CPUs bfloat16]",
    ),
]
TrustRemoteCode = Annotated[
    bool, typer.Option("--trust-remote-code", help="Run modelling code that comes with the checkpoint.")
]
Family = Annotated[str | None, typer.Option(metavar="F", help="Checkpoint family, where it cannot be told.")]
Revision = Annotated[
    str | None, typer.Option(metavar="R", help="Branch, tag or commit of a hub id.  [default: its main branch]")
]
Output = Annotated[str | None, typer.Option(metavar="FILE", help="Write there what would go to standard output.")]
AsObject = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
