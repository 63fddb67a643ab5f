// NextTokenExplorer: type, and see what each model expects next; click, draw or write on. The kernel does the sums.

// A slider of top-k stands on one of these; null keeps all tokens.
const TOP_K = [1, 2, 3, 5, 10, 20, 40, 100, 200, 500, 1000, null];
const bits = (value) => `${value.toFixed(1)} bits`;
// n bits are a fair choice among 2 to the n.
const choice = (entropy) => `like 1 in ${entropy < 3.3 ? (2 ** entropy).toFixed(1) : Math.round(2 ** entropy).toLocaleString("en")}`;
const many = (count, thing) => `${count.toLocaleString("en")} ${thing}${count === 1 ? "" : "s"}`;
const width = (share) => `width: ${(100 * share).toFixed(2)}%`;

// A token as a button with its bar: solid is what is drawn from, hatched what was cut away.
function candidateButton(one, place, most, begins, act) {
  const name = one.writable || one.token !== "end of text" ? tokenName(one.token, begins) : one.token;
  const cut = one.after === 0;
  const chance = cut ? `cut away, ${percent(one.before)} before` : percent(one.after);
  const key = place < 9 ? `${place + 1}` : place === 9 ? "0" : "";
  return element("li", {},
    element("button", { class: `candidate${cut ? " cut" : ""}`, type: "button", "data-id": one.id, "data-token": one.token,
      "data-before": one.before.toFixed(6), "data-after": one.after.toFixed(6), "aria-disabled": !one.writable,
      "aria-label": `${name}, ${chance}`, "aria-keyshortcuts": key || undefined, onclick: act,
      title: `the model says ${percent(one.model)}${one.writable ? "" : "; this is no text, so it cannot be put in"}` },
    element("kbd", { "aria-hidden": "true" }, key),
    element("span", { class: `word${one.writable ? "" : " control"}` }, name),
    element("span", { class: "fbc-bar" }, element("span", { style: width((cut ? one.before : one.after) / most) }),
      cut ? "" : element("i", { style: `left: ${(100 * one.before) / most}%`, hidden: one.before >= one.after * 0.98 })),
    element("span", { class: "fbc-number" }, percent(cut ? one.before : one.after))));
}

// All probability of one model in one bar: the tokens listed, other tokens that may be drawn, and what was cut away.
function massBar(outlook) {
  const listed = outlook.candidates.filter((one) => one.after > 0);
  const shown = listed.reduce((sum, one) => sum + one.before, 0);
  const others = Math.max(0, 1 - outlook.cut - shown);
  const parts = { shown, others, cut: outlook.cut };
  const told = [`listed ${percent(shown)}`];
  if (outlook.kept > listed.length) told.push(`${many(outlook.kept - listed.length, "other")} ${percent(others)}`);
  if (outlook.cut > 0) told.push(`cut away ${percent(outlook.cut)}`);
  return [
    element("div", { class: "mass", "aria-hidden": "true" }, ...Object.entries(parts).map(([part, share]) =>
      element("span", { class: part, style: width(share) }))),
    element("p", { class: "fbc-label tell" }, ...told.map((text, i) => element("span", { class: ["shown", "others", "cut"][text.startsWith("cut") ? 2 : i] }, text))),
  ];
}

export default {
  render({ model, el }) {
    let picture = {};
    let landing; // model and row that the focus returns to once the next picture is drawn
    const wishes = []; // what was pressed, the first of them being asked for: each starts from what the one before it left
    let waiting = 0; // its request
    const first = Object.fromEntries(["text", "temperature", "top_k", "top_p", "order", "seed"].map((name) => [name, model.get(name)]));

    const input = element("textarea", { class: "fbc-input", rows: 2, spellcheck: "false", "aria-label": "Your text", "data-lm-suppress-shortcuts": "true" });
    const count = element("span", { class: "fbc-label fbc-number" });
    const message = element("p", { class: "fbc-message", role: "status" });
    const drawn = element("span", { class: "drawn" });
    const orders = element("div", { class: "fbc-group", role: "radiogroup", "aria-label": "Which tokens are listed" });
    const cards = element("div", { class: "cards" });
    const spoken = element("p", { class: "fbc-spoken", "aria-live": "polite" });
    const button = (text, act, about = {}) => element("button", { class: "fbc-button", type: "button", onclick: act, ...about }, text);
    const seed = element("input", { class: "fbc-input seed fbc-number", type: "text", inputmode: "numeric", autocomplete: "off",
      "aria-label": "Seed of the next draw: a whole number" });

    function ask(changes) {
      model.set({ ...changes, request: model.get("request") + 1 });
      model.save_changes();
    }
    // What was typed travels with the wish, so that a quick hand is not overtaken.
    function askForFirst() {
      if (!wishes.length) return;
      waiting = model.get("request") + 1;
      ask({ text: input.value, _wish: { ...wishes[0], request: waiting } });
    }
    function wish(what) {
      if (wishes.push(what) === 1) askForFirst();
    }

    // A slider with its value in words. place: its trait's value -> a number; value: the number -> the trait's value.
    function slider(trait, name, about, { min, max, step, place = (v) => v, value = (v) => v, say }) {
      const range = element("input", { type: "range", min, max, step, "data-setting": trait, "aria-label": name });
      const output = element("output", { class: "fbc-number" });
      const show = () => {
        range.value = place(model.get(trait));
        output.textContent = say(model.get(trait));
        range.setAttribute("aria-valuetext", output.textContent);
      };
      range.addEventListener("input", () => {
        ask({ [trait]: value(Number(range.value)) });
        show();
      });
      model.on(`change:${trait}`, show);
      show();
      return element("label", { class: "setting", title: about }, element("span", {}, name), output, range);
    }
    const settings = element("div", { class: "settings", role: "group", "aria-label": "How a token is drawn" },
      slider("temperature", "temperature", "Below 1 the likely become likelier; above 1 all become more alike; at 0 the most probable is always taken.",
        { min: 0, max: 2, step: 0.05, say: (t) => (t === 0 ? "0: always the first" : t.toFixed(2)) }),
      slider("top_k", "top-k", "Only the k most probable tokens stay.", { min: 0, max: TOP_K.length - 1, step: 1, value: (i) => TOP_K[i],
        place: (k) => (k === null ? TOP_K.length - 1 : TOP_K.findIndex((each) => each === null || each >= k)),
        say: (k) => (k === null ? "all" : k.toLocaleString("en")) }),
      slider("top_p", "top-p", "Only the fewest tokens stay that have this much probability together (the nucleus).",
        { min: 0.05, max: 1, step: 0.05, value: (p) => Number(p.toFixed(2)), say: (p) => (p >= 1 ? "all" : p.toFixed(2)) }));

    const write = button("Write on", () => wish({ do: "write" }), { class: "fbc-button fbc-primary", "data-do": "write" });
    const back = button("⌫ one token", () => wish({ do: "back" }), { "aria-label": "Take the last token away", "data-do": "back" });
    const restart = button("Start again", () => { input.value = first.text; ask({ ...first }); }, { "data-do": "restart" });
    const root = widgetRoot("NextTokenExplorer",
      element("div", { class: "fbc-row" }, input),
      element("div", { class: "fbc-row" }, write, element("label", { class: "fbc-label" }, "seed ", seed), back, restart, count, drawn),
      settings, message,
      element("div", { class: "fbc-row" }, element("span", { class: "fbc-label" }, "Listed are"), orders),
      cards,
      element("p", { class: "fbc-note" }, "Click a token to continue the text with it, or move there with the arrow keys and press Enter; the number keys take one of the list that has the focus."),
      spoken);
    root.classList.add("fbc-next-token");
    for (const [order, name] of Object.entries({ own: "each model’s own first tokens", same: "the same tokens for all" })) {
      orders.append(button(name, () => ask({ order }), { role: "radio", "data-order": order }));
    }
    const settleOrders = arrowKeys(orders, () => [...orders.children]);
    const speak = debounce(500, (text) => (spoken.textContent = text));

    function take(outlook, row) {
      const one = outlook.candidates[row];
      if (!one?.writable) return;
      landing = { name: outlook.name, row };
      wish({ do: "take", token: one.id });
    }

    function continuation(outlook) {
      const found = picture.continuations?.[outlook.name];
      if (!found) return [];
      const end = picture.text.trimEnd().slice(-24);
      const keep = () => {
        input.value = picture.text.replace(/ +$/, "") + found.text;
        ask({ text: input.value });
      };
      return [element("blockquote", { class: "written", "data-seed": found.seed },
        element("span", { class: "fbc-label" }, `${end.length < picture.text.trimEnd().length ? "…" : ""}${end}`), element("b", {}, found.text),
        found.ended ? element("span", { class: "end" }, " end of text") : "",
        element("span", { class: "fbc-row" }, button("Keep this", keep, { "data-do": "keep", disabled: !found.text }),
          element("span", { class: "fbc-label" }, `${many(found.tokens, "token")}, seed ${found.seed}`)))];
    }

    function card(outlook, most) {
      const begins = !/[\p{L}\p{N}]$/u.test(picture.text.replace(/ +$/, "")); // then no token goes on with a word
      const list = element("ol", { "aria-label": `What ${outlook.name} expects next` },
        ...outlook.candidates.map((one, row) => candidateButton(one, row, most, begins, () => take(outlook, row))));
      const settle = arrowKeys(list, () => [...list.querySelectorAll("button")]);
      settle(list.querySelector("button"));
      list.addEventListener("keydown", (event) => {
        if (!/^\d$/.test(event.key) || event.ctrlKey || event.metaKey || event.altKey) return;
        event.preventDefault();
        take(outlook, event.key === "0" ? 9 : Number(event.key) - 1);
      });
      const sees = !picture.count ? "reads the start of a text" : outlook.sight === null ? `reads ${picture.count === 1 ? "the one token" : `all ${picture.count} tokens`}`
        : outlook.reads ? `reads only “${outlook.sight}”` : "reads nothing";
      const sure = (entropy, when) => element("p", { class: "sure", title: "Entropy, the average surprise of the next token: 5 bits are a fair draw among 2⁵ = 32" },
        `${when} `, element("span", { class: "fbc-number" }, bits(entropy)), `, ${choice(entropy)}`);
      const plain = model.get("temperature") === 1 && model.get("top_k") === null && model.get("top_p") >= 1;
      return element("article", { class: "card", "data-model": outlook.name, "data-entropy": outlook.entropy.toFixed(4),
        "data-entropy-drawn": outlook.entropy_drawn.toFixed(4), "data-kept": outlook.kept, "data-cut": outlook.cut.toFixed(6), "aria-label": outlook.name },
        element("div", { class: "head" }, element("h4", { class: "fbc-title" }, outlook.name),
          button("Draw one", () => wish({ do: "draw", model: outlook.name }), { "data-do": "draw", "aria-label": `Draw one token from ${outlook.name}` })),
        element("p", { class: "fbc-label sees" }, sees),
        sure(outlook.entropy, "unsure:"), plain ? "" : sure(outlook.entropy_drawn, "drawn from:"), ...massBar(outlook), list, ...continuation(outlook));
    }

    function showPicture() {
      picture = model.get("_picture");
      if (!picture.models) return;
      const at = document.activeElement;
      const held = root.contains(at) && at.closest(".card") && {
        name: at.closest(".card").dataset.model, row: [...at.closest(".card").querySelectorAll("ol button")].indexOf(at), does: at.dataset.do };
      // While the reader types on, an answer to what stood there before is shown, but nothing is typed over.
      if (picture.request >= model.get("request") && input.value !== picture.text) input.value = picture.text;
      message.textContent = picture.message;
      count.textContent = `${many(picture.count, "token")}`;
      const most = Math.max(1e-9, ...picture.models.flatMap((one) => one.candidates.map(({ before, after }) => Math.max(before, after))));
      cards.replaceChildren(...picture.models.map((one) => card(one, most)));
      const { drawn: latest } = picture;
      drawn.textContent = !latest ? "" : `${latest.model} drew “${tokenName(latest.token)}” (${percent(latest.probability)}) with seed ${latest.seed}.`
        + (latest.token === "end of text" ? " It would stop here: draw again, or type on." : "");
      for (const each of orders.children) each.setAttribute("aria-checked", each.dataset.order === model.get("order"));
      settleOrders(orders.querySelector('[aria-checked="true"]'));
      orders.parentElement.hidden = picture.models.length < 2;
      write.textContent = `Write on: ${many(model.get("tokens"), "token")}`;
      back.disabled = picture.count === 0;
      const focus = landing ?? held;
      landing = undefined;
      if (focus) {
        const own = [...cards.children].find((each) => each.dataset.model === focus.name);
        (own?.querySelectorAll("ol button")[focus.row] ?? own?.querySelector(`[data-do="${focus.does}"]`))?.focus();
      }
      speak([drawn.textContent, ...picture.models.map(({ name, candidates, entropy }) =>
        `${name}: ${candidates.slice(0, 3).map((one) => `${tokenName(one.token)} ${percent(one.after)}`).join(", ")}; ${bits(entropy)}.`)].join(" "));
      if (wishes.length && picture.request >= waiting) {
        wishes.shift();
        askForFirst();
      }
      root.dataset.request = picture.request;
      root.dataset.text = picture.text;
      root.dataset.count = picture.count;
    }

    const showSeed = () => document.activeElement !== seed && (seed.value = model.get("seed"));
    function sendSeed() {
      const wanted = seed.value.trim();
      if (wanted === `${model.get("seed")}`) return;
      if (!/^\d{1,15}$/.test(wanted)) {
        message.textContent = `“${wanted.slice(0, 40)}” is no seed: it is a whole number, 0 or more.`;
        seed.value = model.get("seed");
        return;
      }
      ask({ seed: Number(wanted) });
    }
    seed.addEventListener("change", sendSeed);
    seed.addEventListener("keydown", (event) => event.key === "Enter" && sendSeed());
    input.addEventListener("input", () => ask({ text: input.value }));

    el.append(root);
    input.value = model.get("text");
    showSeed();
    const handlers = { "change:_picture": showPicture, "change:seed": showSeed };
    for (const [event, act] of Object.entries(handlers)) model.on(event, act);
    showPicture();
    const unwatch = tellOfRestart(model, message);
    return () => {
      unwatch();
      for (const [event, act] of Object.entries(handlers)) model.off(event, act);
    };
  },
};
