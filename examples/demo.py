"""One problem under five policies, side by side. Run by ``make demo``."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

import dlmsample as ds

POLICIES: dict[str, ds.Policy] = {
    "unmask": ds.Unmask(tokens_per_step=4),
    "t2t": ds.T2T.speed(),
    "t2m": ds.T2M(),
    "d3im": ds.D3IM(steps=40),
    "dsc, random": ds.DSC(tokens_per_step=4, scorer="random"),
}
LEGEND = """nfe: forwards. repl., remask: tokens that were replaced, or masked again.
An answer is scored by its last number.
d3im decodes the whole answer as one block, the others blocks of 32; dsc has no head here and masks at random."""


def main() -> None:
    console = Console()
    model = ds.load("nano")
    problem = ds.tasks.load("wordproblems", split="valid", limit=5)[2]
    console.print(f"[bold]Problem[/bold]  {escape(problem.prompt)}\n")
    table = Table("policy", show_lines=True)
    table.add_column(f"answer (right: {problem.answer})")
    for figure in ("nfe", "repl.", "remask"):
        table.add_column(figure, justify="right")
    for label, policy in POLICIES.items():
        whole = "all" if policy.name == "d3im" else None
        out = ds.Sampler(model, policy, whole).generate([problem.prompt], max_new_tokens=160)
        s = out.stats[0]
        table.add_row(label, escape(out.texts[0].strip()), *map(str, (s.nfe, s.replaces, s.remasks)))
    console.print(table)
    console.print(f"[dim]{LEGEND}[/dim]")


if __name__ == "__main__":
    main()
