// A line chart that grows: curves over steps (or over another metric), marks where a knob moved, faint abandoned branches.
// Drawn as SVG with the page's own colours, so themes and projector mode need no redrawing. Arrow keys walk through it.

const SVG = "http://www.w3.org/2000/svg";
// In em, so that projector mode has room for its larger numbers.
const HEIGHT = 17;
const MARGIN = { top: 1.1, right: 0.9, bottom: 1.9, left: 3.5 };
const SHAPES = ["M-4,0a4,4 0 1,0 8,0a4,4 0 1,0 -8,0", "M-4,-4H4V4H-4Z", "M0,-5L5,4H-5Z", "M0,-5.5L5.5,0L0,5.5L-5.5,0Z"];

function shape(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

// Three digits that count: 0.0512, 3.71, 128, 1.2e-5.
const readable = (value) => {
  if (value === null || value === undefined) return "–";
  if (typeof value !== "number") return String(value); // not every field of a config is one
  const size = Math.abs(value);
  if (size !== 0 && (size < 0.001 || size >= 1e5)) return value.toExponential(1).replace(".0e", "e").replace("e+", "e");
  return String(Number(size >= 100 ? value.toFixed(0) : value.toPrecision(3)));
};
const measured = (value) => (Math.abs(value) < 1 && Math.abs(value) >= 0.0005 ? value.toFixed(3) : readable(value));

// Round numbers that cover low..high in about `count` pieces.
function ticks(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((times) => times * power >= rough);
  const first = Math.floor(low / step + 1e-9);
  const last = Math.ceil(high / step - 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

// The mean of each value and the `count - 1` before it, gaps left out: a row of [x, mean] for each row of [x, y].
function trailingMean(points, count) {
  return points.map(([x], i) => {
    const near = points.slice(Math.max(0, i - count + 1), i + 1).map((point) => point[1]);
    return [x, near.reduce((sum, y) => sum + y, 0) / near.length];
  });
}

// chart: {title, x, x_label, series: [{name, label, colour}], mean}; columns: the names of a row's entries. Over steps,
// curves; with `mean`, bold ones of that many steps' mean before faint ones of what was measured. Over another metric, dots.
// onPoint(step | null) is called when the reader points at a step here; point(step) shows a step pointed at elsewhere.
function lineChart(chart, columns, onPoint) {
  const xColumn = columns.indexOf(chart.x);
  const series = chart.series.map((one, i) => ({ ...one, column: columns.indexOf(one.name), shape: SHAPES[i % 4] }));
  const overSteps = chart.x === "step";
  let data = { rows: [], abandoned: [], changes: [] };
  let pointed = null;
  let width = 400;
  let scale = null;
  const clip = `fbc-clip-${Math.random().toString(36).slice(2)}`;

  const legend = element("div", { class: "fbc-legend" });
  for (const one of series) {
    one.value = element("span", { class: "fbc-number", "data-metric": one.name }, "–");
    const swatch = shape("svg", { class: "fbc-swatch", viewBox: "-12 -6 24 12", "aria-hidden": "true" },
      overSteps ? shape("path", { d: "M-12,0H12", class: "fbc-curve" }) : "", shape("path", { d: one.shape, class: "fbc-dot" }));
    swatch.style.setProperty("--series", `var(--fbc-${one.colour})`);
    legend.append(element("span", { title: one.name }, swatch, one.label, " ", one.value));
  }
  if (chart.mean) legend.append(element("span", { class: "fbc-label" }, `bold: mean of ${chart.mean} steps`));
  const svg = shape("svg", { class: "fbc-plot", tabindex: 0, role: "slider", "aria-valuemin": 0,
    "aria-label": `${chart.title}: ${series.map((one) => one.label).join(", ")}. Arrow keys walk through the steps.` });
  const node = element("figure", { class: "fbc-chart" },
    element("figcaption", { class: "fbc-title" }, chart.title), legend, svg);

  function measure() {
    const em = parseFloat(getComputedStyle(svg).fontSize) || 13;
    const [left, top, height] = [MARGIN.left * em, MARGIN.top * em, HEIGHT * em];
    const [right, bottom] = [width - MARGIN.right * em, height - MARGIN.bottom * em];
    const xs = [data.rows, ...data.abandoned].flat().map((row) => row[xColumn]);
    const ys = data.rows.flatMap((row) => series.map((one) => row[one.column])).filter((y) => y !== null);
    const xHigh = xs.reduce((most, x) => Math.max(most, x), overSteps ? 20 : 1);
    let [yLow, yHigh] = ys.reduce(([least, most], y) => [Math.min(least, y), Math.max(most, y)], [Infinity, -Infinity]);
    if (!ys.length) [yLow, yHigh] = [0, 1];
    if (yLow < 0 && -yLow < yHigh / 20) yLow = 0; // a hair below zero needs no axis of its own
    if (yHigh - yLow < 1e-9) [yLow, yHigh] = [yLow - 0.5, yHigh + 0.5];
    const xTicks = ticks(0, xHigh, (right - left) / (5 * em));
    const yTicks = ticks(yLow, yHigh, 4);
    const [xEnd, low, high] = [overSteps ? xHigh * 1.02 : xTicks.at(-1), yTicks[0], yTicks.at(-1)];
    return {
      em, left, right, top, bottom, height, xTicks: xTicks.filter((tick) => tick <= xEnd), yTicks,
      x: (value) => left + (value / xEnd) * (right - left),
      y: (value) => bottom - ((value - low) / (high - low)) * (bottom - top),
    };
  }

  const measuredPoints = (rows, column) => rows.filter((row) => row[column] !== null && row[xColumn] !== null)
    .map((row) => [row[xColumn], row[column]]);

  // Of long histories every pixel column keeps its lowest and highest point: nothing that can be seen is lost.
  function path(points) {
    let places = points.map(([x, y]) => [scale.x(x), scale.y(y)]);
    if (!overSteps) return places.map(([x, y]) => `M${x.toFixed(1)},${y.toFixed(1)}h0`).join("");
    if (places.length > 2 * width) {
      const spans = new Map();
      for (const [x, y] of places) {
        const [low, high] = spans.get(Math.round(x)) ?? [y, y];
        spans.set(Math.round(x), [Math.min(low, y), Math.max(high, y)]);
      }
      places = [...spans].flatMap(([x, [low, high]]) => [[x, low], [x, high]]);
    }
    return places.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)},${y.toFixed(1)}`).join("");
  }

  function draw() {
    scale = measure();
    const { em, left, right, top, bottom, height } = scale;
    const grid = shape("g", { class: "fbc-grid" });
    for (const tick of scale.yTicks) {
      const y = scale.y(tick);
      grid.append(shape("path", { d: `M${left},${y}H${right}`, class: tick === 0 ? "fbc-zero" : "" }),
        shape("text", { x: left - em / 2, y, dy: "0.32em", "text-anchor": "end" }, readable(tick)));
    }
    for (const tick of scale.xTicks)
      grid.append(shape("text", { x: scale.x(tick), y: bottom + 1.3 * em, "text-anchor": "middle" }, readable(tick)));
    grid.append(shape("text", { x: 0, y: bottom + 1.3 * em }, chart.x_label));

    const frame = shape("clipPath", { id: clip },
      shape("rect", { x: left, y: top - 3, width: Math.max(0, right - left), height: bottom - top + 6 }));
    const curves = shape("g", { class: "fbc-curves", "clip-path": `url(#${clip})` });
    for (const one of series) {
      const group = shape("g", { style: `--series: var(--fbc-${one.colour})` });
      const points = measuredPoints(data.rows, one.column);
      const add = (places, kind) => group.append(shape("path", { d: path(places), class: `fbc-curve ${kind}` }));
      const smooth = (places) => (chart.mean ? trailingMean(places, chart.mean) : places);
      for (const branch of data.abandoned) add(smooth(measuredPoints(branch, one.column)), "fbc-ghost");
      if (chart.mean) add(points, "fbc-faint");
      add(smooth(points), overSteps ? "" : "fbc-dots");
      curves.append(group);
    }
    svg.replaceChildren(frame, grid, overSteps ? knobMarks() : "", curves, shape("g", { class: "fbc-pointer" }));
    svg.setAttribute("height", height);
    svg.setAttribute("aria-valuemax", data.rows.at(-1)?.[0] ?? 0);
    point(pointed);
  }

  function knobMarks() {
    const { top, bottom } = scale;
    const marks = shape("g");
    for (const step of new Set(data.changes.map((change) => change.step))) {
      const moved = data.changes.filter((change) => change.step === step);
      const words = moved.map(({ name, before, value }) => `${name}: ${readable(before)} → ${readable(value)}`);
      const x = scale.x(step);
      marks.append(shape("g", { class: "fbc-change", "data-step": step, "data-knob": moved.map(({ name }) => name).join(" ") },
        shape("title", {}, `after step ${step}\n${words.join("\n")}`),
        shape("path", { d: `M${x},${top}V${bottom}` }),
        shape("path", { d: `M${x - 5},${top - 10}h10l-5,9Z`, class: "fbc-flag" })));
    }
    return marks;
  }

  // Shows one step, null for the latest: a dot on each curve, its values in the legend and for screen readers.
  function point(step) {
    pointed = step;
    const pointer = svg.querySelector(".fbc-pointer");
    if (!pointer) return;
    const found = step === null ? -1 : data.rows.findIndex((row) => row[0] >= step);
    const at = found === -1 ? data.rows.length - 1 : found;
    const row = data.rows[at];
    for (const one of series) { // what is not measured in every step keeps its last value
      const known = data.rows.findLast((other, i) => i <= at && other[one.column] !== null);
      one.value.textContent = measured(known?.[one.column]);
    }
    const words = series.map((one) => `${one.label} ${one.value.textContent}`).join(", ");
    svg.setAttribute("aria-valuenow", row?.[0] ?? 0);
    svg.setAttribute("aria-valuetext", row ? `step ${row[0]}: ${words}` : "nothing yet");
    pointer.replaceChildren();
    if (!row || row[xColumn] === null) return;
    const x = scale.x(row[xColumn]);
    if (step !== null) pointer.append(shape("path", { d: `M${x},${scale.top}V${scale.bottom}` }));
    for (const one of series) {
      if (row[one.column] === null) continue;
      pointer.append(shape("path", { d: one.shape, class: "fbc-dot", style: `--series: var(--fbc-${one.colour})`,
        transform: `translate(${x.toFixed(1)},${scale.y(row[one.column]).toFixed(1)})` }));
    }
  }

  svg.addEventListener("pointermove", (event) => {
    if (!data.rows.length || !scale) return;
    const x = event.clientX - svg.getBoundingClientRect().left;
    const away = (row) => (row[xColumn] === null ? Infinity : Math.abs(scale.x(row[xColumn]) - x));
    onPoint(data.rows.reduce((best, row) => (away(row) < away(best) ? row : best))[0]);
  });
  svg.addEventListener("pointerleave", () => onPoint(null));
  svg.addEventListener("blur", () => onPoint(null));
  svg.addEventListener("keydown", (event) => {
    const last = data.rows.length - 1;
    const at = pointed === null ? last : data.rows.findIndex((row) => row[0] >= pointed);
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, ArrowDown: at - 1, ArrowUp: at + 1, PageDown: at - 10,
      PageUp: at + 10, Home: 0, End: last, Escape: null }[event.key];
    if (to === undefined || last < 0) return;
    event.preventDefault();
    onPoint(to === null ? null : data.rows[Math.min(Math.max(to, 0), last)][0]);
  });

  return {
    node,
    point,
    inWords: () => svg.getAttribute("aria-valuetext") ?? "nothing yet",
    show: (news) => { data = news; draw(); },
    resize: (pixels) => { if (pixels > 60 && pixels !== width) { width = pixels; draw(); } },
  };
}
