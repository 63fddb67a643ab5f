// AttentionExplorer: the kernel sends a picture (all weights of all heads); everything else happens here.
// Weights are shown as the square root, on the map and behind the words alike: a tenth is still visible.

const shade = (weight) => Math.sqrt(weight);

// All weights of one picture: at(layer, head, from, to) in 0..1.
function readWeights({ weights, shape: [, heads, T] }) {
  const bytes = weights.buffer.slice(weights.byteOffset, weights.byteOffset + weights.byteLength);
  const numbers = new Uint16Array(bytes);
  return (layer, head, from, to) => numbers[((layer * heads + head) * T + from) * T + to] / 65535;
}

// One pixel a cell; CSS makes it large. What a causal model cannot see stays empty.
function drawThumbnail(canvas, T, causal, weight) {
  canvas.width = canvas.height = Math.max(T, 1);
  const image = new ImageData(canvas.width, canvas.height);
  for (let from = 0; from < T; from++) {
    for (let to = 0; to < (causal ? from + 1 : T); to++) {
      image.data.set([...cividis(shade(weight(from, to))), 255], 4 * (from * T + to));
    }
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

// The chosen head: cells with the words beside and above them. Returns the cell's size and origin, for the mouse.
function drawMap(canvas, tokens, causal, weight, marked) {
  const style = getComputedStyle(canvas);
  const font = parseFloat(style.fontSize);
  const T = tokens.length;
  const pen = canvas.getContext("2d");
  const width = canvas.clientWidth;
  const labels = tokens.map((token, place) => tokenName(token, place === 0))
    .map((name) => (name.length > 10 ? `${name.slice(0, 9)}…` : name));
  const face = `${Math.min(font * 0.9, Math.max(font * 0.6, (width / T) * 0.8))}px ${style.fontFamily}`;
  pen.font = face;
  const margin = Math.ceil(Math.max(0, ...labels.map((label) => pen.measureText(label).width))) + 10;
  const cell = Math.max(1, Math.min((width - margin - 2) / Math.max(T, 1), font * 3.2));
  const height = Math.ceil(margin + cell * T + 2);
  const dots = window.devicePixelRatio || 1;
  canvas.width = width * dots;
  canvas.height = height * dots;
  canvas.style.height = `${height}px`;
  pen.scale(dots, dots);
  pen.font = face;
  pen.textBaseline = "middle";
  const gap = cell > 9 ? 1 : 0;
  for (let from = 0; from < T; from++) {
    for (let to = 0; to < T; to++) {
      const seen = !causal || to <= from;
      pen.fillStyle = seen ? `rgb(${cividis(shade(weight(from, to)))})` : style.getPropertyValue("--fbc-raised");
      pen.fillRect(margin + to * cell, margin + from * cell, cell - gap, cell - gap);
    }
  }
  const ink = (strong) => {
    pen.fillStyle = style.getPropertyValue(strong ? "--fbc-text" : "--fbc-quiet");
    pen.font = strong ? `bold ${face}` : face;
  };
  labels.forEach((label, place) => {
    ink(place === marked.from);
    pen.textAlign = "right";
    pen.fillText(label, margin - 6, margin + (place + 0.5) * cell);
    ink(place === marked.to);
    pen.save();
    pen.translate(margin + (place + 0.5) * cell, margin - 6);
    pen.rotate(-Math.PI / 2);
    pen.textAlign = "left";
    pen.fillText(label, 0, 0);
    pen.restore();
  });
  pen.strokeStyle = style.getPropertyValue("--fbc-focus");
  pen.lineWidth = 2;
  if (marked.from !== undefined) {
    const row = margin + marked.from * cell;
    pen.strokeRect(margin - 1, row - 1, (causal ? marked.from + 1 : T) * cell + 2 - gap, cell + 2 - gap);
    if (marked.to !== undefined) pen.strokeRect(margin + marked.to * cell + 1, row + 1, cell - 2 - gap, cell - 2 - gap);
  }
  return { cell, margin };
}

function legend() {
  const colours = Array.from({ length: 12 }, (_, i) => `rgb(${cividis(shade(i / 11))})`);
  return element("div", { class: "fbc-row legend fbc-label", "aria-hidden": "true" },
    "0", element("span", { style: `background: linear-gradient(to right, ${colours})` }), "1: looks nowhere else");
}

function candidateList(title, candidates, which, changed) {
  const rows = candidates.map((one) => {
    const p = one[which];
    const points = 100 * (one.after - one.before);
    const sign = Math.abs(points) < 0.05 ? "" : `${points > 0 ? "▲" : "▼"} ${Math.abs(points).toFixed(1)}`;
    const bar = element("span", { style: `width: ${100 * p}%` });
    return element("li", { "data-token": one.token, "data-probability": p.toFixed(6) },
      element("span", { class: "word" }, tokenName(one.token)),
      element("span", { class: "fbc-bar", "aria-hidden": "true" }, bar),
      element("span", { class: "fbc-number" }, percent(p)),
      element("span", { class: "fbc-number change", title: "change in percentage points" }, changed ? sign : ""));
  });
  return element("div", { class: "list", "data-list": which },
    element("h4", { class: "fbc-title" }, title), element("ol", {}, ...rows));
}

export default {
  render({ model, el }) {
    let picture, weightAt, map;
    let pinned = null; // a token's place; null: the last token, or the first blank
    let marked = {}; // the token (from) and cell (to) under the mouse or the keyboard

    const input = element("input", { class: "fbc-input", type: "text", "aria-label": "Your sentence", spellcheck: "false" });
    const count = element("span", { class: "fbc-label fbc-number" });
    const message = element("p", { class: "fbc-message", role: "status" });
    const sentence = element("div", { class: "sentence", role: "group", "aria-label": "The sentence as tokens: choose one to see where it looks" });
    const readout = element("p", { class: "readout" });
    const spoken = element("p", { class: "fbc-spoken", "aria-live": "polite" });
    const numbers = element("input", { type: "checkbox" });
    const thumbnails = element("div", { class: "thumbnails", role: "radiogroup", "aria-label": "All heads: rows are layers, columns are heads. The key o switches one off." });
    const mapTitle = element("h4", { class: "fbc-title" });
    const canvas = element("canvas", { class: "map", tabindex: "0", role: "application" });
    const switchOff = element("button", { class: "fbc-button", type: "button" });
    const allOn = element("button", { class: "fbc-button", type: "button" }, "All heads on");
    const tableButton = element("button", { class: "fbc-button", type: "button", "aria-expanded": "false" }, "Show as table");
    const table = element("div", { class: "fbc-scroll", hidden: true });
    const prediction = element("div", { class: "prediction", "aria-live": "off" });
    const root = widgetRoot("AttentionExplorer",
      element("div", { class: "fbc-row" }, input, count),
      message, sentence,
      element("div", { class: "fbc-row" }, readout, element("label", { class: "fbc-check fbc-label" }, numbers, "numbers")),
      element("div", { class: "maps" },
        element("div", {}, element("h4", { class: "fbc-title" }, "All layers and heads"), thumbnails,
          legend(), element("p", { class: "fbc-note" }, "One row per layer, counted from 0 as in Python. Click a head to see it in large.")),
        element("div", {}, element("div", { class: "fbc-row" }, mapTitle, switchOff, allOn), canvas, tableButton, table)),
      prediction, spoken);
    root.classList.add("fbc-attention");

    const layer = () => model.get("layer");
    const head = () => model.get("head");
    const weight = (from, to) => weightAt(layer(), head(), from, to);
    const isOff = (l, h) => picture.off.some(([a, b]) => a === l && b === h);
    const stops = () => [...thumbnails.querySelectorAll("button")];
    const settleThumbnails = arrowKeys(thumbnails, stops, () => picture.shape[1]);
    const settleTokens = arrowKeys(sentence, () => [...sentence.children], () => 1);
    const speak = debounce(400, (text) => (spoken.textContent = text));
    const place = () => {
      const last = picture.tokens.length - 1;
      const blanks = picture.causal ? [] : Object.keys(picture.predictions).map(Number);
      return pinned !== null && pinned <= last ? pinned : blanks[0] ?? last;
    };

    function ask(changes) {
      model.set({ ...changes, request: model.get("request") + 1 });
      model.save_changes();
    }
    function choose(l, h) {
      model.set({ layer: l, head: h });
      model.save_changes();
    }
    function toggle(l, h) {
      const others = model.get("off").filter(([a, b]) => a !== l || b !== h);
      ask({ off: others.length < model.get("off").length ? others : [...others, [l, h]] });
    }

    function buildThumbnails([layers, heads]) {
      thumbnails.style.setProperty("--heads", heads);
      thumbnails.replaceChildren(element("span"), ...Array.from({ length: heads }, (_, h) => element("span", { class: "fbc-label" }, `H${h}`)));
      for (let l = 0; l < layers; l++) {
        thumbnails.append(element("span", { class: "fbc-label" }, `L${l}`));
        for (let h = 0; h < heads; h++) {
          thumbnails.append(element("button", { type: "button", role: "radio", "data-layer": l, "data-head": h,
            onclick: () => choose(l, h), onfocus: () => choose(l, h) }, element("canvas")));
        }
      }
    }

    // New text, or other heads off.
    function showPicture() {
      picture = model.get("_picture");
      if (!picture.shape) return;
      weightAt = readWeights(picture);
      const [layers, heads, T] = picture.shape;
      if (stops().length !== layers * heads) buildThumbnails(picture.shape);
      if (document.activeElement !== input) input.value = model.get("text");
      message.textContent = picture.message;
      count.textContent = `${T} token${T === 1 ? "" : "s"}`;
      marked = {};
      sentence.replaceChildren(...picture.tokens.map((token, i) => element("button", { class: "token", type: "button", "data-token": i },
        element("span", { class: "text" }, token.trim() ? token : tokenName(token)), element("span", { class: "weight fbc-number" }))));
      for (const stop of stops()) {
        const [l, h] = [Number(stop.dataset.layer), Number(stop.dataset.head)];
        drawThumbnail(stop.firstChild, T, picture.causal, (from, to) => weightAt(l, h, from, to));
        stop.classList.toggle("off", isOff(l, h));
        stop.setAttribute("aria-label", `Layer ${l}, head ${h}${isOff(l, h) ? ", switched off" : ""}`);
        stop.title = stop.getAttribute("aria-label");
      }
      allOn.hidden = picture.off.length === 0;
      root.dataset.request = picture.request;
      root.dataset.off = picture.off.map((pair) => pair.join(".")).join(" ");
      showHead();
      showPrediction();
    }

    // Another head: other weights, the same words.
    function showHead() {
      if (!picture?.shape) return;
      root.dataset.layer = layer();
      root.dataset.head = head();
      for (const stop of stops()) {
        const chosen = Number(stop.dataset.layer) === layer() && Number(stop.dataset.head) === head();
        stop.setAttribute("aria-checked", chosen);
        if (chosen) settleThumbnails(stop);
      }
      const off = isOff(layer(), head());
      mapTitle.textContent = `Layer ${layer()}, head ${head()}`;
      switchOff.textContent = off ? "Switch this head on" : "Switch this head off";
      switchOff.setAttribute("aria-pressed", off);
      showTable();
      showLooks();
    }

    // Another token under the mouse or the keyboard.
    function showLooks() {
      const T = picture.tokens.length;
      const from = marked.from ?? place();
      if (T) map = drawMap(canvas, picture.tokens, picture.causal, weight, { from, to: marked.to });
      canvas.hidden = T === 0;
      root.classList.toggle("numbers", numbers.checked);
      [...sentence.children].forEach((chip, to) => {
        const unseen = picture.causal && to > from;
        const w = unseen ? 0 : weight(from, to);
        chip.style.setProperty("--weight", w);
        chip.style.setProperty("--shade", shade(w));
        chip.dataset.weight = w.toFixed(4);
        chip.classList.toggle("unseen", unseen);
        chip.classList.toggle("looking", to === from);
        chip.setAttribute("aria-pressed", to === place());
        chip.lastChild.textContent = unseen ? "" : w.toFixed(2).replace(/^0/, "");
      });
      settleTokens(sentence.children[from]);
      root.dataset.token = from;
      readout.textContent = T ? describe(from) : "";
      speak(readout.textContent);
      canvas.setAttribute("aria-label", `Attention of layer ${layer()}, head ${head()}. Arrow keys move from cell to cell. ${readout.textContent}`);
    }

    function describe(from) {
      const name = (i) => `“${tokenName(picture.tokens[i], i === 0)}”`;
      if (marked.to !== undefined) {
        if (picture.causal && marked.to > from) return `${name(from)} cannot see ${name(marked.to)}: it comes later.`;
        return `${name(from)} looks at ${name(marked.to)}: ${weight(from, marked.to).toFixed(3)} of 1.`;
      }
      const seen = picture.tokens.map((_, to) => to).slice(0, picture.causal ? from + 1 : undefined);
      const top = seen.sort((a, b) => weight(from, b) - weight(from, a)).slice(0, 3);
      return `${name(from)} looks at ${top.map((to) => `${name(to)} ${percent(weight(from, to))}`).join(", ")}.`;
    }

    function showPrediction() {
      const at = place();
      const found = picture.predictions[at];
      if (!picture.tokens.length) return prediction.replaceChildren();
      if (!found) {
        return prediction.replaceChildren(element("p", { class: "fbc-note" },
          "This model fills blanks: write ___ in place of a word, and see here what it expects there."));
      }
      const where = picture.causal ? `What comes after “${tokenName(picture.tokens[at], at === 0)}”?` : "What stands in the blank?";
      const names = picture.off.map(([l, h]) => `L${l} H${h}`).join(", ");
      prediction.replaceChildren(
        element("h4", { class: "fbc-title question" }, where),
        candidateList("All heads on", found.before, "before", false),
        names ? candidateList(`Without ${names}`, found.after, "after", true)
          : element("p", { class: "fbc-note list" }, "Switch a head off, and see here what the model expects without it."));
    }

    function showTable() {
      if (table.hidden) return;
      const cell = (from, to) => element("td", { "data-row": from, "data-column": to, "data-weight": weight(from, to).toFixed(4) },
        picture.causal && to > from ? "" : weight(from, to).toFixed(2));
      const names = picture.tokens.map((token, place) => tokenName(token, place === 0));
      table.replaceChildren(element("table", { class: "fbc-table" },
        element("caption", { class: "fbc-label" }, `Layer ${layer()}, head ${head()}: each row is a token that looks`),
        element("tr", {}, element("th"), ...names.map((name) => element("th", { scope: "col" }, name))),
        ...names.map((name, from) => element("tr", {}, element("th", { scope: "row" }, name), ...names.map((_, to) => cell(from, to))))));
    }

    function mark(next) {
      if (next.from === marked.from && next.to === marked.to) return;
      marked = next;
      showLooks();
    }
    function cellUnder(event) {
      const { cell, margin } = map;
      const [to, from] = [event.offsetX, event.offsetY].map((pixels) => Math.floor((pixels - margin) / cell));
      const T = picture.tokens.length;
      return from >= 0 && from < T ? (to >= 0 && to < T ? { from, to } : { from }) : {};
    }
    const tokenOf = (event) => event.target.closest(".token");

    input.addEventListener("input", debounce(80, () => ask({ text: input.value })));
    numbers.addEventListener("change", showLooks);
    switchOff.addEventListener("click", () => toggle(layer(), head()));
    allOn.addEventListener("click", () => ask({ off: [] }));
    thumbnails.addEventListener("keydown", (event) => event.key === "o" && toggle(layer(), head()));
    tableButton.addEventListener("click", () => {
      table.hidden = !table.hidden;
      tableButton.setAttribute("aria-expanded", !table.hidden);
      tableButton.textContent = table.hidden ? "Show as table" : "Hide table";
      showTable();
    });
    const pin = (event) => {
      const chip = tokenOf(event);
      if (!chip) return;
      pinned = Number(chip.dataset.token);
      showLooks();
      showPrediction();
    };
    sentence.addEventListener("click", pin);
    for (const kind of ["mouseover", "focusin"]) sentence.addEventListener(kind, (event) => tokenOf(event) && mark({ from: Number(tokenOf(event).dataset.token) }));
    for (const kind of ["mouseleave", "focusout"]) sentence.addEventListener(kind, () => mark({}));
    canvas.addEventListener("mousemove", (event) => mark(cellUnder(event)));
    for (const kind of ["mouseleave", "blur"]) canvas.addEventListener(kind, () => mark({}));
    canvas.addEventListener("keydown", (event) => {
      const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      if (!step) return;
      event.preventDefault();
      const last = picture.tokens.length - 1;
      const clamp = (i) => Math.min(Math.max(i, 0), last);
      mark({ from: clamp((marked.from ?? place()) + step[0]), to: clamp((marked.to ?? 0) + step[1]) });
    });

    el.append(root);
    model.on("change:_picture", showPicture);
    model.on("change:layer change:head", showHead);
    input.value = model.get("text");
    showPicture();
    const redraw = () => picture?.shape && showLooks();
    const unwatch = onThemeChange(redraw);
    const resize = new ResizeObserver(redraw); // also fires when the cell first becomes visible
    resize.observe(root);
    const unwatchKernel = tellOfRestart(model, message);
    return () => {
      unwatchKernel();
      unwatch();
      resize.disconnect();
      model.off("change:_picture", showPicture);
      model.off("change:layer change:head", showHead);
    };
  },
};
