"use strict";
// The canvas of one or two runs on a prompt, step by step. Texts come from a model: they are only ever set as text.
(() => {
  const KINDS = ["fill", "replace", "remask"];
  const DONE = { fill: "filled", replace: "replaced", remask: "remasked" };
  const LONG = 24; // a longer run of masks that are still ahead is drawn as one cell
  const SPEEDS = [1000, 400, 150, 50];
  const HIDDEN = new RegExp(
    "[\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f\\u061c\\u200b\\u200e\\u200f\\u2028-\\u202e\\u2060-\\u2069\\ufeff\\ufffe\\uffff\\ud800-\\udfff]",
    "gu",
  );

  /** A token's text with everything in it that does not show spelt out. */
  function visible(text) {
    return text
      .replace(HIDDEN, (c) => `\\u${c.codePointAt(0).toString(16).padStart(4, "0")}`)
      .replaceAll("\n", "⏎")
      .replaceAll("\t", "⇥");
  }

  /** An element with a class, properties and children. */
  function make(tag, name, given = {}, ...children) {
    const element = document.createElement(tag);
    if (name) element.className = name;
    for (const [key, value] of Object.entries(given)) {
      if (key in element) element[key] = value;
      else element.setAttribute(key, value);
    }
    element.append(...children);
    return element;
  }

  function percent(value) {
    return value.toFixed(3);
  }

  /** What one decoding did to its canvas, forward by forward. */
  class Run {
    /** @param given {label, length, around, frames}; around: for each place null, or the given text that stands there */
    constructor(given) {
      this.label = given.label;
      this.length = given.length;
      this.around = given.around ?? null;
      this.frames = [];
      this.widths = new Array(this.length).fill(1);
      for (const frame of given.frames ?? []) this.add(frame);
    }

    /** One more step: {step, block, changes: [{kind, position, text, probability, eos, reason, score, entropy, others}]} */
    add(frame) {
      this.frames.push(frame);
      for (const change of frame.changes) {
        if (change.kind === "remask") continue;
        // other signs than ASCII may come from another font and be wider
        const width = [...visible(change.text)].reduce((sum, sign) => sum + (sign > "~" ? 2 : 1), 0);
        this.widths[change.position] = Math.max(this.widths[change.position], Math.min(width, 24));
      }
    }

    /** The cells after so many steps; 0: nothing but masks. */
    after(count) {
      const cells = Array.from({ length: this.length }, () => ({ text: null, now: "", change: null }));
      this.frames.slice(0, count).forEach((frame, at) => {
        const now = at === count - 1;
        for (const change of frame.changes) {
          const old = cells[change.position];
          cells[change.position] =
            change.kind === "remask"
              ? { text: null, was: old.text, now: now ? "remask" : "", change }
              : { text: change.text, was: old.text, now: now ? change.kind : "", change };
        }
      });
      return cells;
    }

    /** All that happened to a position, in words. */
    history(position, count) {
      const told = [];
      this.frames.slice(0, count).forEach((frame) => {
        for (const change of frame.changes) {
          if (change.position === position) told.push(`step ${frame.step + 1} ${said(change)}`);
        }
      });
      return told;
    }
  }

  function said(change) {
    const why = change.reason ? `, because of ${change.reason} ${percent(change.score ?? 0)}` : "";
    const entropy = change.entropy == null ? "" : `, entropy ${percent(change.entropy)}`;
    const others = change.others?.length
      ? `, most probable ${change.others.map(([text, p]) => `“${visible(text)}” ${percent(p)}`).join(", ")}`
      : "";
    const how = percent(change.probability) + entropy + others + why;
    if (change.kind === "remask") return `remasked at probability ${how}`;
    return `${change.kind === "fill" ? "filled with" : "replaced by"} “${visible(change.text)}” at probability ${how}`;
  }

  /** Draws runs, two of them side by side, and lets a reader walk through their steps. */
  class Viewer {
    constructor(root, runs) {
      this.root = root;
      this.runs = runs;
      this.step = 0;
      this.shade = "change";
      this.follow = true; // show the newest step as it comes
      this.timer = null;
      this.chosen = { run: -1, position: 0 };
      root.classList.add("viewer");
      root.setAttribute("role", "group");
      root.setAttribute("aria-label", "Steps of the decoding");
      root.replaceChildren(this.bar(), this.legend(), this.columns(), this.told(), this.table());
      this.go(this.last);
    }

    get last() {
      return Math.max(0, ...this.runs.map((run) => run.frames.length));
    }

    bar() {
      const button = (label, name, act) => {
        const made = make("button", "", { type: "button", textContent: label, title: name, "aria-label": name });
        made.addEventListener("click", act);
        return made;
      };
      this.slider = make("input", "slider", { type: "range", min: 0, max: this.last, value: 0, "aria-label": "Step" });
      this.slider.addEventListener("input", () => this.walk(Number(this.slider.value)));
      this.playing = button("▶", "Play", () => this.play());
      this.count = make("output", "count");
      this.speed = make("select", "", { "aria-label": "Speed" });
      SPEEDS.forEach((pause, at) => this.speed.append(make("option", "", { value: pause, textContent: `${2 ** at}×` })));
      this.speed.value = String(SPEEDS[1]);
      this.look = make("select", "", { "aria-label": "Shade of the tokens" });
      this.looks();
      this.look.addEventListener("change", () => {
        this.shade = this.look.value;
        this.draw();
      });
      this.root.addEventListener("keydown", (event) => this.key(event));
      return make(
        "div",
        "bar",
        {},
        button("«", "First step", () => this.walk(0)),
        button("‹", "Step back", () => this.walk(this.step - 1)),
        this.playing,
        button("›", "Step on", () => this.walk(this.step + 1)),
        button("»", "Last step", () => this.walk(this.last)),
        this.slider,
        this.count,
        make("label", "", {}, "speed ", this.speed),
        make("label", "", {}, "shade ", this.look),
      );
    }

    /** What tokens can be shaded by: entropy only where it was recorded. */
    looks() {
      const known = this.runs.some((run) => run.frames.some((f) => f.changes.some((c) => c.entropy != null)));
      const kinds = { change: "change", confidence: "confidence", ...(known ? { entropy: "entropy" } : {}) };
      if (this.look.options.length === Object.keys(kinds).length) return;
      this.look.replaceChildren();
      for (const [value, text] of Object.entries(kinds)) this.look.append(make("option", "", { value, textContent: text }));
      this.look.value = this.shade;
    }

    legend() {
      const sample = (kind, text) => make("span", `cell ${kind}`, { textContent: text });
      return make(
        "p",
        "legend",
        {},
        ...["fill", "replace", "remask"].flatMap((kind) => [sample(`now ${kind}`, DONE[kind]), " "]),
        sample("mask", "░"),
        " masked. Choose a token to read what happened there; arrow keys walk over tokens (left, right) and steps (up, down).",
      );
    }

    columns() {
      this.canvases = this.runs.map((run, at) => {
        const canvas = make("div", "canvas", { role: "listbox", tabIndex: 0, "aria-label": `Canvas of ${run.label}` });
        canvas.addEventListener("click", (event) => {
          const cell = event.target.closest("[data-at]");
          if (cell) this.choose(at, Number(cell.dataset.at));
        });
        canvas.addEventListener("focus", () => this.choose(at, this.chosen.run === at ? this.chosen.position : 0));
        return canvas;
      });
      this.facts = this.runs.map(() => make("p", "facts small"));
      const columns = this.runs.map((run, at) =>
        make("section", "run", {}, make("h4", "", { textContent: visible(run.label) }), this.canvases[at], this.facts[at]),
      );
      return make("div", "runs", {}, ...columns);
    }

    told() {
      this.story = make("p", "story", { "aria-live": "polite" });
      return this.story;
    }

    /** Every position in a column of its own through all steps, drawn when it is first opened. */
    table() {
      const details = make("details", "all", {}, make("summary", "", { textContent: "All steps at once: a row a step, a column a position" }));
      details.addEventListener("toggle", () => {
        if (details.open && !this.drawn) this.tabulate(details);
      });
      this.all = details;
      return details;
    }

    tabulate(details) {
      this.drawn = true;
      for (const run of this.runs) {
        details.append(make("h4", "", { textContent: visible(run.label) }));
        for (const block of new Set(run.frames.map((frame) => frame.block))) details.append(this.block(run, block));
      }
    }

    block(run, block) {
      const frames = run.frames.map((frame, at) => [frame, at + 1]).filter(([frame]) => frame.block === block);
      const touched = frames.flatMap(([frame]) => frame.changes.map((change) => change.position));
      const first = Math.min(...touched);
      const past = Math.max(...touched) + 1;
      const head = make("tr", "", {}, make("th", "", { scope: "col", textContent: "step" }));
      for (let at = first; at < past; at++) head.append(make("th", "", { scope: "col", textContent: at + 1 }));
      const body = make("tbody");
      for (const [frame, count] of frames) {
        const row = make("tr", "", {}, make("th", "", { scope: "row", textContent: frame.step + 1 }));
        run.after(count).slice(first, past).forEach((cell, at) => row.append(this.cell("td", cell, first + at, null)));
        body.append(row);
      }
      const table = make("table", "grid", {}, make("caption", "", { textContent: `Block ${block + 1}` }), make("thead", "", {}, head), body);
      const name = `Block ${block + 1} of ${run.label}, all steps`;
      return make("div", "wide", { tabIndex: 0, role: "region", "aria-label": name }, table);
    }

    /** One position: its text, and by class and shade what happened to it. */
    cell(tag, cell, position, width) {
      const masked = cell.text === null;
      const kind = cell.now ? ` now ${cell.now}` : "";
      const shown = masked ? (cell.now === "remask" ? visible(cell.was ?? "") : "░") : visible(cell.text);
      const made = make(tag, `cell${masked && !cell.now ? " mask" : ""}${kind}${cell.change?.eos && !masked ? " eos" : ""}`, {
        textContent: shown || " ",
      });
      made.dataset.at = position;
      if (width) made.style[masked && !cell.now ? "width" : "minWidth"] = `${width}ch`;
      if (!masked && cell.change && this.shade !== "change") {
        const sure = this.shade === "entropy" ? Math.max(0, 1 - (cell.change.entropy ?? 0) / 3) : cell.change.probability;
        made.style.setProperty("--doubt", String(Math.round((1 - sure) * 100)));
        made.classList.add("shaded");
      }
      return made;
    }

    draw() {
      this.runs.forEach((run, at) => this.drawRun(run, at));
      this.slider.max = this.last;
      this.slider.value = this.step;
      const words = `step ${this.step} of ${this.last}`;
      this.count.textContent = words;
      this.slider.setAttribute("aria-valuetext", words);
    }

    drawRun(run, at) {
      const count = Math.min(this.step, run.frames.length);
      const cells = run.after(count);
      const parts = [];
      let places = 0;
      const given = run.around ?? cells.map(() => null);
      const ahead = this.ahead(cells);
      const ends = this.ends(cells);
      let spoken = 0;
      for (const text of given) {
        if (text !== null) {
          parts.push(make("span", "given", { textContent: visible(text) }));
          continue;
        }
        const position = places++;
        if (position >= cells.length) break;
        if (position < spoken) continue;
        if (position === ends && cells.length - ends > 2) {
          const fresh = cells.slice(ends).filter((cell) => cell.now).length;
          const words = `end of the answer, ${cells.length - ends} positions${fresh ? `, ${fresh} just now` : ""}`;
          parts.push(this.badge(words, position, cells.length));
          spoken = cells.length;
        } else if (position === ahead && run.around === null && cells.length - ahead > LONG) {
          parts.push(this.badge(`${cells.length - ahead} positions masked`, position, cells.length));
          spoken = cells.length;
        } else {
          const cell = this.cell("span", cells[position], position, run.widths[position]);
          cell.setAttribute("role", "option");
          cell.setAttribute("aria-label", this.name(cells[position], position));
          cell.setAttribute("aria-selected", String(this.chosen.run === at && this.chosen.position === position));
          cell.id = `${this.id()}-${at}-${position}`;
          parts.push(cell);
        }
      }
      this.canvases[at].replaceChildren(...parts);
      this.facts[at].textContent = this.fact(run, count);
      this.aim(at);
    }

    id() {
      this.own ??= `viewer${(Viewer.made = (Viewer.made ?? 0) + 1)}`;
      return this.own;
    }

    badge(text, position, past) {
      const badge = make("span", "badge", { textContent: text, role: "option" });
      badge.dataset.at = position;
      badge.dataset.past = past;
      return badge;
    }

    name(cell, position) {
      const place = `position ${position + 1}`;
      if (cell.text === null) return `${place}: masked${cell.now ? ", just now" : ""}`;
      return `${place}: ${visible(cell.text)}${cell.now ? `, just ${DONE[cell.now]}` : ""}`;
    }

    /** From where on nothing was ever placed. */
    ahead(cells) {
      let at = cells.length;
      while (at > 0 && cells[at - 1].change === null) at--;
      return at;
    }

    /** From where on all positions hold an end-of-answer token. */
    ends(cells) {
      let at = cells.length;
      while (at > 0 && cells[at - 1].text !== null && cells[at - 1].change?.eos) at--;
      return at;
    }

    fact(run, count) {
      if (count === 0) return "Nothing but masks.";
      const frame = run.frames[count - 1];
      const done = KINDS.map((kind) => [frame.changes.filter((change) => change.kind === kind).length, DONE[kind]]);
      const words = done.filter(([n]) => n).map(([n, word]) => `${n} ${word}`).join(", ") || "nothing changed";
      const over = count === run.frames.length && this.step > count ? "; this run was done before the other" : "";
      return `Step ${frame.step + 1}, block ${frame.block + 1}: ${words}${over}.`;
    }

    choose(at, position) {
      const run = this.runs[at];
      this.chosen = { run: at, position: Math.max(0, Math.min(run.length - 1, position)) };
      const told = run.history(this.chosen.position, Math.min(this.step, run.frames.length));
      this.story.textContent = `${run.label}, position ${this.chosen.position + 1}: ${told.join("; ") || "masked so far"}.`;
      this.aim(at);
    }

    /** Mark the chosen position, also for screen readers. */
    aim(at) {
      const canvas = this.canvases[at];
      for (const cell of canvas.querySelectorAll("[data-at]")) {
        const from = Number(cell.dataset.at);
        const past = Number(cell.dataset.past ?? from + 1);
        const here = this.chosen.run === at && from <= this.chosen.position && this.chosen.position < past;
        cell.setAttribute("aria-selected", String(here));
        cell.classList.toggle("chosen", here);
        if (here && cell.id) canvas.setAttribute("aria-activedescendant", cell.id);
      }
    }

    key(event) {
      if (event.ctrlKey || event.altKey || event.metaKey) return;
      const at = this.canvases.indexOf(event.target);
      if (event.target.matches("select, input, summary, button")) return;
      const steps = { ArrowUp: -1, ArrowDown: 1, PageUp: -10, PageDown: 10 };
      if (event.key === " ") this.play();
      else if (event.key === "Home") this.walk(0);
      else if (event.key === "End") this.walk(this.last);
      else if (event.key in steps) this.walk(this.step + steps[event.key]);
      else if (at >= 0 && event.key === "ArrowLeft") this.choose(at, this.chosen.position - 1);
      else if (at >= 0 && event.key === "ArrowRight") this.choose(at, this.chosen.position + 1);
      else return;
      event.preventDefault();
    }

    /** Go to a step because a reader wants to. */
    walk(step) {
      this.pause();
      this.follow = step >= this.last;
      this.go(step);
      if (document.activeElement && this.canvases.includes(document.activeElement)) this.choose(this.chosen.run, this.chosen.position);
    }

    go(step) {
      this.step = Math.max(0, Math.min(this.last, step));
      this.draw();
    }

    play() {
      if (this.timer !== null) return this.pause();
      if (this.step >= this.last) this.go(0);
      this.playing.textContent = "❚❚";
      this.playing.setAttribute("aria-label", "Pause");
      const tick = () => {
        this.go(this.step + 1);
        if (this.step >= this.last) this.pause();
        else this.timer = setTimeout(tick, Number(this.speed.value));
      };
      this.timer = setTimeout(tick, Number(this.speed.value));
    }

    pause() {
      clearTimeout(this.timer);
      this.timer = null;
      this.playing.textContent = "▶";
      this.playing.setAttribute("aria-label", "Play");
    }

    /** A run has got another step. */
    grown() {
      this.drawn = false;
      this.all.replaceChildren(this.all.firstChild);
      this.all.open = false;
      this.looks();
      if (this.follow) this.go(this.last);
      else this.draw();
    }
  }

  window.dlmsample = { Run, Viewer, make, visible };
})();
