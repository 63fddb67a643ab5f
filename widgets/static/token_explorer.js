// TokenExplorer: the kernel sends a text's bytes and the merges that change it; here they are made, one by one.

const COLOURS = 6;

// Every pair of a word glued together, from left to right, as in lmcore/data/byte_pairs.py.
function glue(word, { left, right, made }) {
  const glued = [];
  for (const token of word) {
    if (token === right && glued.at(-1) === left) glued[glued.length - 1] = made;
    else glued.push(token);
  }
  return glued;
}

// "12 tokens", "1 token"
const many = (count, thing) => `${count.toLocaleString("en")} ${thing}${count === 1 ? "" : "s"}`;

export default {
  render({ model, el }) {
    let picture;
    let chosen = null; // the token that is told about: its id
    const first = { text: model.get("text"), merges: model.get("merges") };

    const input = element("input", { class: "fbc-input", type: "text", spellcheck: "false", "aria-label": "Your text" });
    const restart = element("button", { class: "fbc-button", type: "button", hidden: true }, "Start again");
    const message = element("p", { class: "fbc-message", role: "status" });
    const slider = element("input", { type: "range", min: 0, max: 0, step: 1, "aria-label": "Merges made in this text" });
    const go = (name, sign, to) =>
      element("button", { class: "fbc-button", type: "button", "aria-label": name, title: name, onclick: () => move(to()) }, sign);
    const place = () => Number(slider.value);
    const buttons = [go("Single bytes", "|◀", () => 0), go("One merge back", "◀", () => place() - 1),
      go("Next merge", "▶", () => place() + 1), go("All merges", "▶|", () => picture.steps.length)];
    const tell = element("p", { class: "step" });
    const strip = element("div", { class: "tokens", role: "group", "aria-label": "The tokens: arrow keys go through them" });
    const sums = element("p", { class: "sums fbc-number" });
    const about = element("p", { class: "about" });
    const tableSwitch = element("input", { type: "checkbox", "aria-label": "Show as table" });
    const table = element("div", { class: "fbc-scroll", hidden: true });
    const examples = element("div", { class: "examples", role: "group", "aria-label": "Examples, and what they cost" });
    const spoken = element("p", { class: "fbc-spoken", "aria-live": "polite" });
    const root = widgetRoot("TokenExplorer",
      element("div", { class: "fbc-row" }, input, restart), message,
      element("div", { class: "fbc-row steps" }, element("div", { class: "fbc-group" }, ...buttons.slice(0, 2)), slider,
        element("div", { class: "fbc-group" }, ...buttons.slice(2))),
      tell, strip, sums, about,
      element("label", { class: "fbc-check" }, tableSwitch, "show as table"), table, examples, spoken);
    root.classList.add("fbc-tokens");

    const tokenButtons = () => [...strip.querySelectorAll("button")];
    const settle = arrowKeys(strip, tokenButtons);
    const speak = debounce(400, (text) => (spoken.textContent = text));
    const name = (id) => picture.names[id].text;

    function ask(changes) {
      restart.hidden = false;
      model.set({ ...changes, request: model.get("request") + 1 });
      model.save_changes();
    }

    // The slider stands at a number of merges that change this text; the model's `merges` counts all that were learnt.
    function move(to) {
      const steps = picture.steps;
      const at = Math.min(Math.max(to, 0), steps.length);
      model.set("merges", at === steps.length ? picture.learnt : at === 0 ? 0 : steps[at - 1].number);
      model.save_changes();
    }

    function tokenButton(id, made) {
      const button = element("button", { class: `token colour${id % COLOURS}${id === made ? " made" : ""}`, type: "button",
        "data-id": id, "aria-pressed": id === chosen, "aria-label": `${name(id)}, token ${id}` },
      element("span", { class: "text" }, name(id)), element("span", { class: "id" }, id));
      return button;
    }

    function tellToken(counts) {
      if (chosen === null || !counts.has(chosen)) {
        about.textContent = "Click a token, or go to it with the arrow keys, to see what it is made of.";
        return;
      }
      const { text, bytes, merge, of } = picture.names[chosen];
      const origin = merge ? `made by merge ${merge.toLocaleString("en")}: ${of[0]} + ${of[1]}` : "one of the 256 bytes";
      about.replaceChildren(element("b", {}, text), ` · token ${chosen} · ${many(bytes, "byte")} · ${origin} · `,
        `stands here ${counts.get(chosen) === 1 ? "once" : `${counts.get(chosen)} times`}`);
    }

    function showTable(counts) {
      table.hidden = !tableSwitch.checked;
      if (table.hidden) return table.replaceChildren();
      const head = ["token", "id", "bytes", "merge", "times here"].map((title) => element("th", { scope: "col" }, title));
      const rows = [...counts].sort((a, b) => b[1] - a[1] || a[0] - b[0]).map(([id, times]) => {
        const { text, bytes, merge } = picture.names[id];
        return element("tr", { "data-id": id }, element("th", { scope: "row" }, text),
          ...[id, bytes, merge || "–", times].map((cell) => element("td", {}, cell)));
      });
      table.replaceChildren(element("table", { class: "fbc-table", "aria-label": "Every token of the text, most frequent first" },
        element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows)));
    }

    function tellStep(at, before, now) {
      if (!picture.words.length) return "";
      if (at === 0) return picture.steps.length ? "No merge yet: every byte is a token of its own." : "No merge changes this text.";
      const { number, left, right, made } = picture.steps[at - 1];
      return `Merge ${at} of ${picture.steps.length} in this text: ${name(left)} + ${name(right)} → ${name(made)}. It was learnt as number ` +
        `${number.toLocaleString("en")} of ${picture.learnt.toLocaleString("en")}, and takes ${before} tokens to ${now}.`;
    }

    function draw() {
      picture = model.get("_picture");
      if (!picture.words) return;
      if (document.activeElement !== input) input.value = model.get("text");
      message.textContent = picture.message;
      const at = picture.steps.filter(({ number }) => number <= model.get("merges")).length;
      let words = picture.words;
      let before = words.flat().length;
      picture.steps.slice(0, at).forEach((step, i) => {
        if (i === at - 1) before = words.flat().length;
        words = words.map((word) => glue(word, step));
      });
      const tokens = words.flat();
      const bytes = picture.words.flat().length;
      const counts = new Map();
      for (const id of tokens) counts.set(id, (counts.get(id) ?? 0) + 1);

      slider.max = picture.steps.length;
      slider.value = at;
      slider.disabled = !picture.steps.length;
      slider.setAttribute("aria-valuetext", `${at} of ${picture.steps.length} merges, ${many(tokens.length, "token")}`);
      buttons.forEach((button, i) => (button.disabled = i < 2 ? at === 0 : at === picture.steps.length));
      tell.textContent = tellStep(at, before, tokens.length);
      const focused = tokenButtons().indexOf(document.activeElement);
      const made = at > 0 && at < picture.steps.length ? picture.steps[at - 1].made : undefined;
      strip.replaceChildren(...words.map((word) => element("span", { class: "piece" }, ...word.map((id) => tokenButton(id, made)))));
      settle(tokenButtons()[Math.max(focused, 0)]);
      if (focused >= 0) tokenButtons()[Math.min(focused, tokens.length - 1)]?.focus();
      const rate = (count) => (tokens.length / Math.max(count, 1)).toFixed(2);
      sums.textContent = !bytes ? "" : `${many(picture.characters, "character")} = ${many(bytes, "byte")} → ${many(tokens.length, "token")}, ` +
        `${many(counts.size, "different one")} · ${rate(picture.characters)} a character, ${rate(bytes)} a byte`;
      tellToken(counts);
      showTable(counts);
      speak(`${many(tokens.length, "token")} after ${at} of ${picture.steps.length} merges.`);
      root.dataset.request = picture.request;
      root.dataset.step = at;
      root.dataset.tokens = tokens.length;
    }

    function choose(id) {
      chosen = id;
      for (const button of tokenButtons()) button.setAttribute("aria-pressed", Number(button.dataset.id) === id);
      const counts = new Map([[id, tokenButtons().filter((button) => Number(button.dataset.id) === id).length]]);
      tellToken(counts);
    }

    function showExamples() {
      const all = model.get("examples");
      const most = Math.max(...all.map(({ tokens }) => tokens), 1);
      examples.replaceChildren(...all.map((each) => element("button", { class: "example", type: "button", "data-tokens": each.tokens,
        "aria-label": `${each.name}: ${many(each.tokens, "token")} for ${many(each.characters, "character")}`,
        onclick: () => { input.value = each.text; ask({ text: each.text, merges: picture.learnt }); } },
      element("span", { class: "name" }, each.name),
      element("span", { class: "fbc-bar" }, element("span", { style: `width: ${(100 * each.tokens) / most}%` })),
      element("span", { class: "cost" }, `${many(each.tokens, "token")}, ${(each.tokens / each.characters).toFixed(2)} a character`))));
    }

    input.addEventListener("input", debounce(80, () => ask({ text: input.value })));
    slider.addEventListener("input", () => move(place()));
    strip.addEventListener("click", ({ target }) => target.closest("button") && choose(Number(target.closest("button").dataset.id)));
    strip.addEventListener("focusin", ({ target }) => choose(Number(target.dataset.id)));
    tableSwitch.addEventListener("change", draw);
    restart.addEventListener("click", () => {
      input.value = first.text;
      ask(first);
      restart.hidden = true;
    });

    el.append(root);
    input.value = model.get("text");
    for (const change of ["change:_picture", "change:merges"]) model.on(change, draw);
    showExamples();
    draw();
    const unwatch = tellOfRestart(model, message);
    return () => {
      unwatch();
      for (const change of ["change:_picture", "change:merges"]) model.off(change, draw);
    };
  },
};
