"use strict";
// Tables of a report: headings become buttons that sort, and a box leaves the rows that hold every word typed into it.
// The script reads what the page shows and nothing else; without it the tables are whole, in the grid's order.
(() => {
  for (const part of document.querySelectorAll(".figures")) {
    const table = part.querySelector("table");
    const body = table.tBodies[0];
    const rows = [...body.rows];
    const heads = [...table.tHead.rows[0].cells];
    const tools = part.querySelector(".tools");
    const box = tools.querySelector("input");
    const status = tools.querySelector("[role=status]");

    const shown = () => rows.filter((row) => !row.hidden).length;
    const say = (what) => { status.textContent = `${what}${shown()} of ${rows.length} shown`; };

    const value = (row, at) => {
      const cell = row.cells[at];
      if (cell.dataset.value === undefined) return cell.textContent.trim();
      return cell.dataset.value === "" ? null : Number(cell.dataset.value);
    };
    const compare = (a, b) => (typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true }));

    heads.forEach((head, at) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        for (const other of heads) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const keyed = rows.map((row, place) => [value(row, at), place, row]);
        keyed.sort(([a, i], [b, j]) => {
          if (a === null || b === null) return (a === null) - (b === null) || i - j; // what has no figure stands last
          return (down ? compare(b, a) : compare(a, b)) || i - j;
        });
        body.append(...keyed.map(([, , row]) => row));
        say(`sorted by ${button.textContent.trim()}, ${down ? "descending" : "ascending"}; `);
      });
    });

    box.addEventListener("input", () => {
      const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
      for (const row of rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
      }
      say("");
    });
    tools.hidden = false;
  }
})();
