"""One problem, every edit policy, side by side. Run by ``make demo``."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

import dlmsample as ds

PROMPT = (
    "Ann had 14 boxes of 12 pens each. She bought 48 more pens at the market. Tom gave her 27 pens. "
    "Then she split the pens into 3 equal piles and kept one. How many pens does Ann have?"
)
POLICIES = {
    "unmask": ds.Unmask(tokens_per_step=4),
    "t2t (Q)": ds.T2T.quality(),
    "t2t (S)": ds.T2T.speed(),
    "t2m": ds.T2M(),
    "d3im": ds.D3IM(steps=40),
    "dsc": ds.DSC(tokens_per_step=4, scorer="random"),
}


def main() -> None:
    console = Console()
    model = ds.load("nano")
    console.print(f"[bold]Problem[/bold]  {escape(PROMPT)}\n")
    table = Table("policy", show_lines=True)
    table.add_column("answer (right: 81)", min_width=26)
    for figure in ("steps", "nfe", "tok/nfe", "repl.", "remask"):
        table.add_column(figure, justify="right")
    for label, policy in POLICIES.items():
        out = ds.Sampler(model, policy).generate([PROMPT], max_new_tokens=160)
        s = out.stats[0]
        figures = (s.steps, s.nfe, f"{s.tokens_per_forward:.1f}", s.replaces, s.remasks)
        table.add_row(label, escape(out.texts[0].strip()), *map(str, figures))
    console.print(table)


if __name__ == "__main__":
    main()
