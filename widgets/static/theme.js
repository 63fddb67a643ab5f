// What all widgets draw with. widgets/theme.py puts this text in front of each widget's own module.

// element("button", {class: "fbc-button", "aria-label": "Play", onclick: play}, "▶"): text is text, never HTML.
// What can have the focus keeps JupyterLab's one-key shortcuts (a, b, dd ...) from firing; they ask the focused element.
function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  if (["button", "input", "select"].includes(tag) || "tabindex" in attributes) node.dataset.lmSuppressShortcuts = "true";
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== null && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children);
  return node;
}

// The outermost element of a widget.
function widgetRoot(name, ...children) {
  return element("section", { class: "fbc", "data-widget": name, "aria-label": name }, ...children);
}

// Calls action once, after nothing was asked of it for so many milliseconds.
function debounce(milliseconds, action) {
  let timer;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => action(...given), milliseconds);
  };
}

const isDark = () => document.body.dataset.jpThemeLight === "false";

// Calls action when JupyterLab changes its theme or the projector switch is thrown; returns how to stop.
function onThemeChange(action) {
  const watch = new MutationObserver(action);
  watch.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light", "data-jp-theme-name"] });
  watch.observe(document.documentElement, { attributes: true, attributeFilter: ["class"] });
  return () => watch.disconnect();
}

// Calls `act` once the kernel was restarted: from then on nobody answers. Returns how to stop listening.
function onRestart(model, act) {
  function notice() { // called with the view as `this`; the model that anywidget hands out does not tell
    if (this.model?.comm_live === false) act();
  }
  model.on("comm_live_update", notice);
  return () => model.off("comm_live_update", notice);
}

// Draws with `show` now and with each new picture until the kernel was restarted; then calls `act`. Returns how to stop.
function drawUntilRestart(model, show, act) {
  const stop = () => model.off("change:_picture", show);
  const unwatch = onRestart(model, () => {
    stop();
    act();
  });
  model.on("change:_picture", show);
  show();
  return () => {
    unwatch();
    stop();
  };
}

// Says in `message` that it was.
function tellOfRestart(model, message) {
  return onRestart(model, () => {
    message.textContent = "The kernel was restarted, so nobody answers here any more. Run the lesson again from its first cell.";
  });
}

// Cividis (Nunez, Anderton and Renslow 2018): reads the same for colour-blind eyes, and in grey. [r, g, b] for 0..1.
const CIVIDIS = [[0, 34, 78], [18, 53, 112], [59, 73, 108], [87, 93, 109], [112, 113, 115], [138, 134, 120],
  [165, 156, 116], [195, 179, 105], [225, 204, 85], [254, 232, 56]];
function cividis(value) {
  const place = Math.min(Math.max(value, 0), 1) * (CIVIDIS.length - 1);
  const low = Math.min(Math.floor(place), CIVIDIS.length - 2);
  return CIVIDIS[low].map((from, i) => Math.round(from + (CIVIDIS[low + 1][i] - from) * (place - low)));
}

// A probability for people: 43 %, 4.3 %, 0.4 %, 0.03 %.
function percent(p) {
  if (p >= 0.0995) return `${(100 * p).toFixed(0)} %`;
  if (p >= 0.00995) return `${(100 * p).toFixed(1)} %`;
  return p < 1e-6 ? "0 %" : p < 1e-5 ? "< 0.001 %" : `${Number((100 * p).toPrecision(1))} %`;
}

// A token or word as a label: the space before it is not drawn, white space alone is, and a piece that continues
// the word before it (no space of its own) begins with three dots, unless it is the first of its text.
function tokenName(token, first = false) {
  if (token.trim() === "") return token.replaceAll("\n", "⏎").replaceAll(" ", "␣").replaceAll("\t", "⇥") || "∅";
  return !first && /^[\p{L}\p{N}]/u.test(token) ? `…${token.trim()}` : token.trim();
}

// Arrow keys, Home and End move the focus among the elements that stops() lists, in rows of `columns`. Only one of
// them is in the Tab order. The box may be redrawn: call the function that comes back with the stop to start from.
function arrowKeys(box, stops, columns = () => 1) {
  const settle = (chosen) => stops().forEach((stop) => (stop.tabIndex = stop === chosen ? 0 : -1));
  box.addEventListener("keydown", (event) => {
    const all = stops();
    const at = all.indexOf(event.target);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, ArrowDown: at + columns(), ArrowUp: at - columns(), Home: 0,
      End: all.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    all[to]?.focus();
  });
  box.addEventListener("focusin", (event) => stops().includes(event.target) && settle(event.target));
  return settle;
}
