// Scoreboard: a table of scores with their intervals, drawn as small bars, one column a stage.

const LIMITS = { score: [-1, 1], share: [0, 1] }; // bits have no upper end: their column's own range is used
const readable = (unit, value) => (unit === "share" ? `${Math.round(100 * value)} %` : unit === "bits" ? value.toFixed(2)
  : `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)}`);

// A score: the number, and below it a track with the interval as a bar and the value as a mark.
function cell(measure, score, [from, to], best) {
  if (!score) return element("td", { class: "missing" }, "…");
  const place = (value) => `${(100 * (value - from)) / (to - from || 1)}%`;
  const range = `${readable(measure.unit, score.low)} to ${readable(measure.unit, score.high)}`;
  return element("td", { "data-value": score.value.toFixed(4), class: best ? "best" : "", title: `${range} (95 %), ${score.n} measured` },
    element("span", { class: "fbc-number" }, readable(measure.unit, score.value)),
    element("span", { class: "fbc-spoken" }, `, 95 % interval ${range}${best ? ", the best of the row" : ""}`),
    element("span", { class: "track", "aria-hidden": "true" },
      element("span", { class: "range", style: `left: ${place(score.low)}; right: calc(100% - ${place(score.high)})` }),
      element("span", { class: "mark", style: `left: ${place(score.value)}` })));
}

function table(picture) {
  const head = picture.stages.map(({ name, colour }) =>
    element("th", { scope: "col", style: `--fbc-stage: var(--fbc-${colour})`, class: "stage" }, name));
  const rows = [];
  let axis = "";
  for (const measure of picture.measures) {
    if (measure.axis !== axis) {
      axis = measure.axis;
      rows.push(element("tr", { class: "axis" }, element("th", { colspan: picture.stages.length + 1, scope: "rowgroup" },
        axis === "alignment" ? "alignment: does it do what people want?" : "capability: what is it able to do?")));
    }
    const scores = picture.stages.map((stage) => stage.scores?.[measure.name]);
    const there = scores.filter(Boolean);
    const limits = LIMITS[measure.unit] ?? [0, Math.max(...there.map(({ high }) => high), 1e-9)];
    const best = there.length > 1 ? Math.max(...there.map(({ value }) => value * measure.better)) : NaN;
    rows.push(element("tr", { "data-measure": measure.name },
      element("th", { scope: "row" }, measure.name, element("span", { class: "wanted" }, measure.better > 0 ? " more is better" : " less is better")),
      ...picture.stages.map((stage, n) => {
        const one = cell(measure, scores[n], limits, scores[n]?.value * measure.better === best);
        one.dataset.stage = stage.name;
        one.style.setProperty("--fbc-stage", `var(--fbc-${stage.colour})`);
        return one;
      })));
  }
  return element("table", {}, element("thead", {}, element("tr", {}, element("td", {}), ...head)), element("tbody", {}, ...rows));
}

export default {
  render({ model, el }) {
    const wish = (what) => () => {
      model.set("_wish", { do: what, request: (model.get("_wish").request ?? 0) + 1 });
      model.save_changes();
    };
    const button = (text, what, about = {}) => element("button", { class: "fbc-button", type: "button", "data-do": what, onclick: wish(what), ...about }, text);
    const measure = button("▶ Measure", "measure", { class: "fbc-button fbc-primary" });
    const stop = button("■ Stop", "stop");
    const message = element("p", { class: "fbc-message", role: "status" });
    const working = element("p", { class: "fbc-note", role: "status" });
    const place = element("div", { class: "fbc-scroll", tabindex: "0", role: "group", "aria-label": "Scores" });
    const root = widgetRoot("Scoreboard", element("h4", { class: "fbc-title" }, model.get("title")), place, working, message,
      element("div", { class: "fbc-row" }, measure, stop),
      element("p", { class: "fbc-note" }, "The mark is what was measured, the bar its 95 % interval. Bold: best of the row, but where bars overlap, it may be luck."));
    root.classList.add("fbc-scoreboard");

    function show() {
      const picture = model.get("_picture");
      if (!picture.stages) return;
      place.replaceChildren(table(picture));
      const running = picture.state === "running";
      const done = picture.stages.filter(({ scores }) => scores).length;
      working.textContent = running ? picture.message : "";
      message.textContent = running ? "" : picture.message;
      measure.hidden = running || done === picture.stages.length;
      stop.hidden = !running;
      root.dataset.state = picture.state;
      root.dataset.step = done;
      root.dataset.request = picture.request;
    }
    el.append(root);
    return drawUntilRestart(model, show, () => {
      root.dataset.state = "gone";
      measure.hidden = stop.hidden = true;
      working.textContent = "";
      message.textContent = "The kernel was restarted, so nothing is measured here any more. Run the lesson again from its first cell.";
    });
  },
};
