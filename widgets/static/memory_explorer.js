// MemoryExplorer: the kernel sends all gates of one model; choosing a gate, a unit or a token happens here.
// How the map and the curves are drawn is in memory_drawing.js.

const GATES = {
  forget: ["forget gate", "1 keeps what the cell holds, 0 erases it."],
  input: ["input gate", "how much of the candidate is written into the cell."],
  output: ["output gate", "how much of the cell is shown to the rest of the model."],
  reset: ["reset gate", "how much of the old state the candidate may see."],
  update: ["update gate", "1 keeps the old state, 0 replaces it by the candidate."],
  candidate: ["candidate", "what would be written, from −1 to 1."],
  cell: ["cell", "the memory itself: what was written and not erased. Not limited to 1."],
  hidden: ["hidden state", "what the model sees of its memory, from −1 to 1."],
};
const small = (value) => (value >= 0.01 ? value.toFixed(value >= 1 ? 1 : 3) : value.toExponential(1));

export default {
  render({ model, el }) {
    let picture = {};
    let order = []; // the units from top to bottom of the map
    let marked = {}; // token and unit under the mouse or the keyboard
    let now; // how the chosen gate looks in the present theme
    let pixels; // the map, one pixel a cell
    let columns = { left: 60, cell: 1 }; // where the tokens stand, on both canvases
    let rows = { top: 0, height: 1 };

    const input = element("input", { class: "fbc-input", type: "text", spellcheck: "false", "aria-label": "Your sentence" });
    const count = element("span", { class: "fbc-label fbc-number" });
    const message = element("p", { class: "fbc-message", role: "status" });
    const names = element("div", { class: "fbc-group", role: "radiogroup", "aria-label": "The model" });
    const layers = element("div", { class: "fbc-group", role: "radiogroup", "aria-label": "The layer" });
    const gates = element("div", { class: "fbc-group", role: "radiogroup", "aria-label": "The gate or state" });
    const meaning = element("p", { class: "fbc-note" });
    const sentence = element("div", { class: "sentence", "aria-hidden": "true" });
    const legend = element("div", { class: "legend fbc-label", "aria-hidden": "true" });
    const sorted = element("input", { type: "checkbox", checked: true });
    const average = element("button", { class: "fbc-button", type: "button" }, "All units");
    const map = element("canvas", { class: "map", tabindex: "0", role: "application" });
    const readout = element("p", { class: "readout" });
    const curves = element("canvas", { class: "curves", role: "img" });
    const felt = element("div", { class: "felt" });
    const tableButton = element("button", { class: "fbc-button", type: "button", "aria-expanded": "false" }, "Show as table");
    const table = element("div", { class: "fbc-scroll", hidden: true });
    const spoken = element("p", { class: "fbc-spoken", "aria-live": "polite" });
    const layerRow = element("span", { class: "fbc-row" }, element("span", { class: "fbc-label" }, "layer"), layers);
    const shown = element("div", { class: "shown" },
      element("div", { class: "fbc-row" }, names, layerRow, gates), meaning, sentence,
      element("div", { class: "fbc-row" }, legend, element("label", { class: "fbc-check fbc-label" }, sorted, "sort units by their average"), average),
      map, readout,
      element("h4", { class: "fbc-title" }, "What does the last prediction still feel of each token?"), curves, felt,
      element("p", { class: "fbc-note" }, "|d log p / d x|, on a logarithmic scale: by how many nats the log-probability of the expected token " +
        "would change for a small step, per unit of its length, in the vector that stands for that token."),
      tableButton, table);
    const root = widgetRoot("MemoryExplorer", element("div", { class: "fbc-row" }, input, count), message, shown, spoken);
    root.classList.add("fbc-memory");
    const speak = debounce(400, (text) => (spoken.textContent = text));

    const gate = () => (picture.gates.some((one) => one.name === model.get("gate")) ? model.get("gate") : picture.gates.at(-1).name);
    const gateIndex = () => picture.gates.findIndex((one) => one.name === gate());
    const T = () => picture.tokens.length;
    const unit = () => (model.get("unit") !== null && model.get("unit") < picture.units ? model.get("unit") : null);
    // The value of the chosen gate, of a unit or (null) of their average.
    function value(token, which) {
      const start = (gateIndex() * T() + token) * picture.units;
      const scale = picture.scales[gateIndex()] / 127;
      if (which !== null) return picture.numbers[start + which] * scale;
      let sum = 0;
      for (let i = 0; i < picture.units; i++) sum += picture.numbers[start + i];
      return (sum / picture.units) * scale;
    }

    function ask(changes) {
      model.set({ ...changes, request: model.get("request") + 1 });
      model.save_changes();
    }
    function choose(changes) {
      model.set(changes);
      model.save_changes();
    }

    // The buttons of a choice; rebuilt only when there are others, so that the focus stays.
    const settlers = new Map([names, layers, gates].map((box) => [box, arrowKeys(box, () => [...box.children])]));
    function fill(box, options, chosen, act) {
      if ([...box.children].map((one) => one.dataset.value).join() !== options.map(([id]) => `${id}`).join()) {
        box.replaceChildren(...options.map(([id, name, title]) => element("button",
          { class: "fbc-button", type: "button", role: "radio", "data-value": id, title, onclick: () => act(id) }, name)));
      }
      for (const one of box.children) one.setAttribute("aria-checked", one.dataset.value === `${chosen}`);
      settlers.get(box)([...box.children].find((one) => one.dataset.value === `${chosen}`));
    }

    function showPicture() {
      picture = { ...model.get("_picture") };
      if (!picture.names) return;
      const { values } = picture;
      picture.numbers = new Int8Array(values.buffer.slice(values.byteOffset, values.byteOffset + values.byteLength));
      if (picture.request >= model.get("request") && input.value !== picture.text) input.value = picture.text;
      message.textContent = picture.message;
      count.textContent = `${T()} token${T() === 1 ? "" : "s"}`;
      marked = {};
      fill(names, picture.names.map((name) => [name, name]), picture.model, (name) => ask({ model: name }));
      fill(layers, Array.from({ length: picture.layers }, (_, i) => [i, `${i}`]), picture.layer, (layer) => ask({ layer }));
      layerRow.hidden = picture.layers < 2;
      shown.hidden = T() === 0;
      showGate();
      Object.assign(root.dataset, { request: picture.request, model: picture.model, layer: picture.layer, count: T() });
    }

    // Another gate or unit, or another order of the units.
    function showGate() {
      if (!picture.numbers) return;
      fill(gates, picture.gates.map(({ name }) => [name, GATES[name][0], GATES[name][1]]), gate(), (name) => choose({ gate: name }));
      meaning.textContent = `${GATES[gate()][0]}: ${GATES[gate()][1]}`;
      const means = Array.from({ length: picture.units }, (_, which) => {
        let sum = 0;
        for (let token = 0; token < T(); token++) sum += value(token, which);
        return sum;
      });
      order = means.map((_, which) => which);
      if (sorted.checked) order.sort((a, b) => means[b] - means[a]);
      average.disabled = unit() === null;
      Object.assign(root.dataset, { gate: gate(), unit: unit() ?? "", mean: T() ? value(T() - 1, unit()).toFixed(4) : "" });
      draw();
    }

    function look() {
      const style = getComputedStyle(root);
      const paper = channels(style.getPropertyValue("--fbc-paper"));
      const scale = picture.scales[gateIndex()];
      const { signed } = picture.gates[gateIndex()];
      return { style, font: parseFloat(style.fontSize), signed, scale, colour: (v) => (signed ? diverging(v / scale, paper) : cividis(v)) };
    }

    function draw() {
      if (!picture.numbers || !T() || !map.clientWidth) return;
      now = look();
      columns.left = now.font * 5.2;
      columns.cell = Math.min((map.clientWidth - columns.left - 4) / T(), now.font * 6);
      pixels = gatePixels(T(), order, (token, which) => now.colour(value(token, which)));
      drawSentence(now);
      drawLegend(now);
      drawMarked();
      showFelt();
      showTable();
    }

    // What the mouse or the keyboard points at.
    function drawMarked() {
      const labels = picture.tokens.map((_, token) => label(token));
      const chosen = marked.unit ?? unit();
      rows = drawMap(map, now, labels, pixels, columns, { token: marked.token, row: chosen === null ? undefined : order.indexOf(chosen) });
      drawCurves(curves, now, picture.readings, picture.model, columns, marked.token);
      showReadout();
    }

    const label = (token) => tokenName(picture.tokens[token], token === 0);

    // The text itself, coloured by the chosen unit or by the average.
    function drawSentence({ colour }) {
      sentence.replaceChildren(...picture.tokens.map((text, token) => {
        const rgb = colour(value(token, unit()));
        return element("span", { class: "token", "data-value": value(token, unit()).toFixed(4),
          style: `background: rgb(${rgb}); color: ${readableOn(rgb)}` }, text.trim() ? text : label(token));
      }));
    }

    function drawLegend({ colour, signed, scale }) {
      const at = Array.from({ length: 13 }, (_, i) => (signed ? (i / 6 - 1) * scale : i / 12));
      legend.replaceChildren(signed ? `−${scale.toFixed(1).replace(".0", "")}` : "0",
        element("span", { style: `background: linear-gradient(to right, ${at.map((v) => `rgb(${colour(v)})`)})` }),
        signed ? scale.toFixed(1).replace(".0", "") : "1",
        ` · ${unit() === null ? "the words show the average of all units" : `the words show unit ${unit()}`}`);
    }

    // One line a model: its curve's pattern, what it expects, and how fast it forgets.
    function showFelt() {
      felt.replaceChildren(...picture.readings.map((one) => {
        const chosen = one.name === picture.model;
        const dash = pattern(picture.readings.indexOf(one)).join(" ");
        const swatch = document.createElementNS("http://www.w3.org/2000/svg", "svg");
        const stroke = document.createElementNS("http://www.w3.org/2000/svg", "path");
        for (const [key, text] of Object.entries({ d: "M0 6H34", "stroke-dasharray": dash })) stroke.setAttribute(key, text);
        swatch.append(stroke);
        const expects = one.expects.slice(0, 3).map(({ token, probability }) => `${tokenName(token)} ${percent(probability)}`).join(", ");
        const times = one.fade === null ? "" : one.fade < 1 ? `each token further back: × ${one.fade.toFixed(2)}` : `no fading: × ${one.fade.toFixed(2)} a token`;
        return element("div", { class: chosen ? "line chosen" : "line", "data-reading": one.name, "data-fade": one.fade?.toFixed(4) ?? "",
          "data-influence": one.influence.map((v) => v.toPrecision(4)).join(" ") },
          swatch, element("b", {}, one.name), element("span", { class: "fbc-number" }, times), element("span", { class: "fbc-label" }, `expects ${expects}`));
      }));
      const own = picture.readings.find((one) => one.name === picture.model);
      curves.setAttribute("aria-label", `Influence of each token on the last prediction, ${picture.model}: ` +
        own.influence.map((v, token) => `${label(token)} ${small(v)}`).join(", "));
    }

    function showTable() {
      if (table.hidden) return;
      table.replaceChildren(element("table", { class: "fbc-table" },
        element("tr", {}, element("th"), ...picture.tokens.map((_, token) => element("th", { scope: "col" }, label(token)))),
        element("tr", {}, element("th", { scope: "row" }, `${picture.model}: ${GATES[gate()][0]}, ${unit() === null ? "average" : `unit ${unit()}`}`),
          ...picture.tokens.map((_, token) => element("td", { "data-gate": gate() }, value(token, unit()).toFixed(2)))),
        ...picture.readings.map((one) => element("tr", {}, element("th", { scope: "row" }, `${one.name}: influence`),
          ...one.influence.map((v) => element("td", {}, small(v)))))));
    }

    function showReadout() {
      const { token, unit: which } = marked;
      if (token === undefined) {
        readout.textContent = "Point at the map, or go there with the arrow keys; a click or Enter keeps a unit, and the words take its colours.";
      } else {
        const back = T() - 1 - token;
        const where = `“${label(token)}”, ${back === 0 ? "the last token" : `${back} token${back === 1 ? "" : "s"} back`}`;
        const own = picture.readings.find((one) => one.name === picture.model);
        readout.textContent = `${where}: ` + (which === undefined ? "" : `unit ${which} is at ${value(token, which).toFixed(2)}; `) +
          `influence on the last prediction ${small(own.influence[token])}.`;
        speak(readout.textContent);
      }
      map.setAttribute("aria-label", `${picture.model}, ${GATES[gate()][0]}, over ${T()} tokens and ${picture.units} units. Arrow keys move. ${readout.textContent}`);
    }

    function mark(next) {
      if (next.token === marked.token && next.unit === marked.unit) return;
      marked = next;
      root.dataset.marked = next.token ?? "";
      drawMarked();
    }
    function under(event) {
      const token = Math.floor((event.offsetX - columns.left) / columns.cell);
      if (token < 0 || token >= T()) return {};
      const row = Math.floor((event.offsetY - rows.top) / rows.height);
      return event.target === map && row >= 0 && row < picture.units ? { token, unit: order[row] } : { token };
    }
    const keep = (which) => which !== undefined && choose({ unit: which === unit() ? null : which });

    for (const canvas of [map, curves]) {
      canvas.addEventListener("mousemove", (event) => mark(under(event)));
      canvas.addEventListener("mouseleave", () => mark({}));
    }
    map.addEventListener("click", (event) => keep(under(event).unit));
    map.addEventListener("blur", () => mark({}));
    map.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1], PageUp: [0, -20], PageDown: [0, 20] }[event.key];
      if (event.key === "Enter" || event.key === " ") keep(marked.unit);
      else if (event.key === "Escape") choose({ unit: null });
      else if (!step) return;
      event.preventDefault();
      if (!step) return;
      const within = (i, n) => Math.min(Math.max(i, 0), n - 1);
      const row = within(marked.unit === undefined ? 0 : order.indexOf(marked.unit) + step[1], picture.units);
      mark({ token: within((marked.token ?? T() - 1) + step[0], T()), unit: order[row] });
    });
    map.dataset.lmSuppressShortcuts = "true";
    sorted.addEventListener("change", showGate);
    average.addEventListener("click", () => choose({ unit: null }));
    tableButton.addEventListener("click", () => {
      table.hidden = !table.hidden;
      tableButton.setAttribute("aria-expanded", !table.hidden);
      tableButton.textContent = table.hidden ? "Show as table" : "Hide table";
      showTable();
    });
    input.addEventListener("input", () => ask({ text: input.value }));

    el.append(root);
    input.value = model.get("text");
    model.on("change:_picture", showPicture);
    model.on("change:gate change:unit", showGate);
    showPicture();
    const unwatch = onThemeChange(draw);
    const resize = new ResizeObserver(draw); // also fires when the cell first becomes visible
    resize.observe(root);
    const unwatchKernel = tellOfRestart(model, message);
    return () => {
      unwatchKernel();
      unwatch();
      resize.disconnect();
      model.off("change:_picture", showPicture);
      model.off("change:gate change:unit", showGate);
    };
  },
};
