"use strict";
// The server's own page: asks the server that it comes from, and shows drafts as they come.
(() => {
  const { Run, Viewer, make, visible } = window.dlmsample;
  const field = (name) => document.getElementById(name);
  const say = (text) => (field("said").textContent = text);
  let policies = [];
  let models = [];
  let running = null;

  function headers() {
    const given = { "Content-Type": "application/json" };
    if (field("key")?.value) given.Authorization = `Bearer ${field("key").value}`;
    return given;
  }

  async function listed(path) {
    const response = await fetch(path, { headers: headers() });
    const told = await response.json();
    if (!response.ok) throw new Error(told.error.message);
    return told.data;
  }

  async function fill() {
    try {
      [models, policies] = await Promise.all([listed("/v1/models"), listed("/v1/policies")]);
    } catch (error) {
      say(visible(`${error.message}`));
      return;
    }
    field("model").replaceChildren(...models.map((model) => option(model.id, visible(model.id))));
    offer();
    say("");
  }

  const option = (value, text) => make("option", "", { value, textContent: text });
  const recommended = () => models.find((one) => one.id === field("model").value)?.dlmsample.recommended;

  /** The policies that go with the chosen model: "auto" only where it recommends one. What was chosen stays. */
  function offer() {
    const names = [...(recommended() ? ["auto"] : []), ...policies.map((one) => one.policy)];
    for (const [at, before] of [[0, []], [1, [option("", "none")]]]) {
      const chosen = field(`policy${at}`).value;
      field(`policy${at}`).replaceChildren(...before, ...names.map((name) => option(name, name)));
      if (names.includes(chosen)) field(`policy${at}`).value = chosen;
      else if (at === 0) field("policy0").value = policies[0].policy;
    }
    explain();
  }

  /** What a choice stands for: its rule, and its options; of "auto" those that the model recommends. */
  function known(name) {
    const own = name === "auto" ? recommended() : null;
    const policy = policies.find((one) => one.policy === (own?.policy ?? name));
    return own && policy ? { ...policy, options: own.options, summary: `${own.policy}: ${policy.summary}` } : policy;
  }

  function explain() {
    for (const at of [0, 1]) {
      const policy = known(field(`policy${at}`).value);
      const options = Object.entries(policy?.options ?? {}).map(([name, value]) => `${name}=${value}`);
      field(`known${at}`).textContent = policy ? `${policy.summary} (${policy.paper}). ${options.join(" ")}` : "";
    }
  }

  /** "a=1 b=null" as an object; what is no JSON is a text. */
  function options(text) {
    const found = {};
    for (const word of text.trim().split(/[\s,]+/).filter(Boolean)) {
      const at = word.indexOf("=");
      if (at < 1) throw new Error(`options are written as name=value, not ${word}`);
      const value = word.slice(at + 1);
      try {
        found[word.slice(0, at)] = JSON.parse(value);
      } catch {
        found[word.slice(0, at)] = value;
      }
    }
    return found;
  }

  function body(at) {
    const model = models.find((one) => one.id === field("model").value);
    const block = field("block").value.trim();
    const chat = model.dlmsample.chat;
    const prompt = field("prompt").value;
    return [
      chat ? "/v1/chat/completions" : "/v1/completions",
      {
        model: model.id,
        ...(chat ? { messages: [{ role: "user", content: prompt }] } : { prompt }),
        policy: field(`policy${at}`).value,
        options: options(field(`options${at}`).value),
        max_tokens: Number(field("tokens").value),
        temperature: Number(field("temperature").value),
        seed: Number(field("seed").value),
        ...(block ? { block_length: block === "all" ? block : Number(block) } : {}),
        stream: true,
        drafts: true,
      },
    ];
  }

  /** The data of the events of a stream. */
  async function* events(response) {
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const lines = (rest + value).split(/\r?\n/);
      rest = lines.pop();
      for (const line of lines) if (line.startsWith("data: ")) yield line.slice(6);
    }
  }

  /** Decode once, and tell the run and its result what comes. */
  async function decode(at, run, result, viewer, signal) {
    const [path, asked] = body(at);
    const response = await fetch(path, { method: "POST", headers: headers(), body: JSON.stringify(asked), signal });
    if (!response.ok) throw new Error((await response.json()).error.message);
    for await (const text of events(response)) {
      if (text === "[DONE]") return;
      const chunk = JSON.parse(text);
      if (chunk.error) throw new Error(chunk.error.message);
      const told = chunk.dlmsample ?? {};
      if (told.draft) {
        run.add(told.draft);
        viewer.grown();
      }
      for (const choice of chunk.choices) result.text.textContent += visible(choice.delta?.content ?? choice.text ?? "").replaceAll("⏎", "\n");
      if (told.stats) {
        const words = Object.entries(told.stats).map(([name, value]) => `${name.replaceAll("_", " ")} ${typeof value === "number" ? +value.toFixed(2) : value}`);
        result.figures.textContent = words.join(", ");
      }
    }
  }

  async function start() {
    running?.abort();
    const mine = (running = new AbortController());
    const chosen = [0, 1].filter((at) => field(`policy${at}`).value);
    try {
      const length = Number(field("tokens").value);
      const names = chosen.map((at) => field(`policy${at}`).value + (field(`options${at}`).value.trim() ? ` ${field(`options${at}`).value.trim()}` : ""));
      const runs = names.map((label) => new Run({ label, length }));
      const root = make("div");
      field("steps").replaceChildren(root);
      const viewer = new Viewer(root, runs);
      const results = names.map((name) => ({ name, text: make("pre", "text"), figures: make("p", "small figures") }));
      field("results").replaceChildren(...results.map((r) => make("section", "", {}, make("h3", "", { textContent: visible(r.name) }), r.text, r.figures)));
      field("stop").disabled = false;
      say("Decoding …");
      await Promise.all(chosen.map((at, n) => decode(at, runs[n], results[n], viewer, mine.signal)));
      if (running === mine) say("Done.");
    } catch (error) {
      mine.abort();
      if (running === mine) say(error.name === "AbortError" ? "Stopped." : visible(`${error.message}`));
    } finally {
      if (running === mine) field("stop").disabled = true;
    }
  }

  field("keyed")?.addEventListener("submit", (event) => event.preventDefault());
  field("key")?.addEventListener("change", fill);
  field("go").addEventListener("click", start);
  field("stop").addEventListener("click", () => running?.abort());
  field("model").addEventListener("change", offer);
  for (const at of [0, 1]) field(`policy${at}`).addEventListener("change", explain);
  field("prompt").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) start();
  });
  fill();
})();
