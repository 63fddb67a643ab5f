// The panel of a running trainer. The kernel sends news, at most ten times a second: new rows, and how things stand.
// The page sends wishes, each with a request's name, and each is answered. A view that has just come asks for everything.

const SILENCE = 10_000; // milliseconds without a word from a running trainer before the page asks after it
const ICONS = {
  play: "M4,2L14,8L4,14Z", pause: "M3,2H6.5V14H3ZM9.5,2H13V14H9.5Z", step: "M2,2L10,8L2,14ZM11,2H14V14H11Z",
  stop: "M3,3H13V13H3Z", rewind: "M8,2V14L1,8ZM15,2V14L8,8Z",
};
const STATES = { idle: "ready", running: "training", paused: "paused", done: "done", failed: "failed" };
const WISHES = { paused: "pausing after this step", idle: "stopping" };

function duration(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

function table(heads, lines, attributes = {}) {
  const row = (cells) => element("tr", {}, ...cells);
  return element("table", attributes, element("thead", {}, row(heads.map((head) => element("th", { scope: "col" }, head)))),
    element("tbody", {}, ...lines.map(row)));
}

// What to watch for; behind a click, so that one looks and thinks first, why it happens and how it is mended.
function toldOf({ watch, why, mend }) {
  if (!why) return [watch];
  const line = (head, words) => element("p", {}, element("strong", {}, head), words);
  return [watch, element("details", {}, element("summary", {}, "Why, and how to mend it"),
    line("Why: ", why), line("Mend: ", mend))];
}

// Sends wishes and waits for their answers, whichever view's messages they come back among.
function correspondence(model, undeliverable) {
  const view = Math.random().toString(36).slice(2, 8);
  const waiting = new Map();
  let count = 0;
  return {
    ask: (type, more = {}) => new Promise((resolve) => {
      const request = `${view}-${++count}`;
      waiting.set(request, resolve);
      try {
        model.send({ type, request, ...more });
      } catch { // the comm is closed
        undeliverable();
        resolve({ ok: false });
      }
    }),
    hear(answer) {
      waiting.get(answer.request)?.(answer);
      waiting.delete(answer.request);
    },
  };
}

function render({ model, el }) {
  const plan = model.get("plan");
  const letters = correspondence(model, die);
  let news = { state: "idle", wish: "", step: 0, target: 0, snapshots: [], changes: [], message: "" };
  let [rows, abandoned] = [[], []];
  let complaint = null; // {sentence, offer}: what the last wish met with
  let [complete, dead, heard] = [false, false, performance.now()];

  async function ask(type, more) {
    if (dead) return { ok: false };
    const answer = await letters.ask(type, more);
    if (!["hello", "ping"].includes(type) && !dead) {
      if (answer.ok && ["knob", "rewind"].includes(type)) watchFor.textContent = ""; // no longer as the recipe left it
      complaint = answer.ok ? null : { sentence: answer.message, offer: answer.busy ? takeOver : "" };
      showMessage();
    }
    return answer;
  }

  // What one sees and touches.
  const pressable = (name, label, press, more = {}) => element("button", { type: "button", class: "fbc-button",
    "data-action": name, ...more, onclick: ({ currentTarget }) => currentTarget.ariaDisabled === "true" || press() }, ...label);
  const icon = (name) => shape("svg", { viewBox: "0 0 16 16", class: "fbc-icon", "aria-hidden": "true" },
    shape("path", { d: ICONS[name] }));
  const steps = element("input", { type: "text", inputmode: "numeric", value: plan.steps, class: "fbc-number",
    "data-steps": true, "aria-label": "How many steps Play does" });
  const snapshots = element("select", { class: "fbc-select", "data-snapshots": true,
    "aria-label": "Which snapshot to rewind to" });
  const buttons = {
    play: pressable("play", [icon("play"), "Play"], () => ask("play", { steps: steps.value })),
    pause: pressable("pause", [icon("pause"), "Pause"], () => ask("pause")),
    step: pressable("step", [icon("step"), "One step"], () => ask("step")),
    stop: pressable("stop", [icon("stop"), "Stop"], () => ask("stop")),
    rewind: pressable("rewind", [icon("rewind"), "Rewind"], () => ask("rewind", { step: Number(snapshots.value) })),
  };
  const takeOver = pressable("takeover", ["Stop the other one and play"], () => ask("takeover", { steps: steps.value }));
  const [chip, pace, bar] = ["fbc-state", "fbc-label", ""].map((name) => element("span", { class: name }));
  const progress = element("div", { class: "fbc-progress", role: "progressbar", "aria-label": "Steps done" }, bar);
  const message = element("p", { class: "fbc-message", role: "status" });
  const spoken = element("div", { class: "fbc-spoken", "aria-live": "polite" });
  const charts = plan.charts.map((chart) =>
    lineChart(chart, plan.columns, (step) => charts.forEach((one) => one.point(step))));
  const knobs = plan.knobs.map((about) => knob(about, (name, value) => ask("knob", { name, value })));
  const watchFor = element("div", { class: "fbc-note", role: "status" });
  const recipes = plan.recipes.map((recipe) => pressable("recipe", [recipe.name], async () => {
    if (!(await ask("recipe", { name: recipe.name })).ok) return;
    watchFor.dataset.told = recipe.name;
    watchFor.replaceChildren(...toldOf(recipe));
  }, { "data-recipe": recipe.name, title: recipe.watch }));
  const numbers = element("div", { class: "fbc-scroll fbc-rows", hidden: true, tabindex: 0, role: "region",
    "aria-label": "The curves as a table" });
  const numbersSwitch = pressable("table", ["Show as table"], () => {
    numbers.hidden = !numbers.hidden;
    numbersSwitch.ariaPressed = String(!numbers.hidden);
    showNumbers();
  }, { "aria-pressed": "false" });
  const samples = element("div", { class: "fbc-samples", hidden: true });
  const vitalSigns = element("div", { class: "fbc-charts fbc-vital" }, ...charts.slice(3).map((one) => one.node));
  const side = element("div", { class: "fbc-side", hidden: !knobs.length && !recipes.length });
  if (knobs.length) side.append(element("div", { class: "fbc-title" }, "Knobs"), ...knobs.map((one) => one.node));
  if (recipes.length)
    side.append(element("div", { class: "fbc-title" }, "Break it, mend it"),
      element("div", { class: "fbc-recipes" }, ...recipes), watchFor);
  const root = widgetRoot(plan.name,
    element("header", { class: "fbc-head" }, element("strong", {}, plan.title), chip, pace, numbersSwitch),
    progress,
    element("div", { class: "fbc-controls" },
      element("div", { class: "fbc-group", role: "group", "aria-label": "Training" },
        buttons.play, buttons.pause, buttons.step, buttons.stop),
      element("label", {}, "steps ", steps),
      element("span", { class: "fbc-rewind" }, element("label", {}, "back to ", snapshots), buttons.rewind)),
    message,
    element("div", { class: "fbc-panel" },
      element("div", {}, element("div", { class: "fbc-charts" }, ...charts.slice(0, 3).map((one) => one.node)),
        vitalSigns), side),
    numbers, samples, spoken);
  root.classList.add("fbc-live");

  function showMessage() {
    const sentence = complaint?.sentence ?? news.message;
    message.toggleAttribute("data-error", Boolean(complaint) || news.state === "failed" || dead);
    if ((message.firstChild?.data ?? "") === sentence) return; // read aloud once
    message.replaceChildren(...(sentence ? [sentence, complaint?.offer ?? ""] : []));
  }

  function showStanding() {
    const { state, wish, step, target, seconds_per_step: seconds } = news;
    const running = state === "running";
    Object.assign(root.dataset, { state, step });
    chip.textContent = WISHES[wish] ?? (state === "idle" && step ? "stopped" : STATES[state]);
    const words = [`step ${step}${target > step || state === "done" ? ` of ${target}` : ""}`];
    if (seconds) words.push(seconds > 1 ? `${readable(seconds)} s a step` : `${readable(1 / seconds)} steps a second`);
    if (seconds && running && target > step) words.push(`about ${duration((target - step) * seconds)} left`);
    pace.textContent = words.join(" · ");
    bar.style.width = `${target ? Math.min(100, (100 * step) / target) : 0}%`;
    progress.ariaValueMax = target;
    progress.ariaValueNow = step;
    const off = { play: running && !wish, pause: !running || wish, step: running,
      stop: wish === "idle" || !(running || state === "paused"), rewind: !news.snapshots.length };
    for (const [name, one] of Object.entries(buttons)) one.ariaDisabled = String(Boolean(off[name] || dead));
    buttons.play.classList.toggle("fbc-primary", !running && !dead);
    showSnapshots();
    showMessage();
  }

  function showSnapshots() {
    const listed = [...snapshots.options].map((option) => Number(option.value));
    if (listed.join() === news.snapshots.join()) return;
    const chosen = Number(snapshots.value);
    const followed = chosen === (listed.at(-1) ?? 0); // whoever chose an earlier one keeps it
    snapshots.replaceChildren(...news.snapshots.map((step) =>
      element("option", { value: step }, step ? `step ${step}` : "the start")));
    snapshots.value = followed || !news.snapshots.includes(chosen) ? news.snapshots.at(-1) : chosen;
  }

  function showSamples({ step, rows: said }) {
    const columns = said.some((one) => "before" in one) ? ["prompt", "before", "now"] : ["prompt", "now"];
    const heads = { prompt: "asked", before: "before", now: step ? `after step ${step}` : "now" };
    samples.hidden = !said.length;
    samples.dataset.step = step;
    const cell = (one, name) => element("td", { class: `fbc-${name}`,
      "data-new": name === "now" && "before" in one && one.now !== one.before }, one[name] || "(nothing)");
    samples.replaceChildren(
      element("div", { class: "fbc-title" }, columns.length === 3 ? "What it says, before and now" : "What it says"),
      table(columns.map((name) => heads[name]), said.map((one) => columns.map((name) => cell(one, name)))));
  }

  function showNumbers() {
    if (numbers.hidden) return;
    const stride = Math.ceil(rows.length / 500) || 1; // a table of thousands of rows helps nobody
    const shown = rows.filter((_, i) => (rows.length - 1 - i) % stride === 0).reverse();
    numbers.replaceChildren(table(plan.columns, shown.map((row) =>
      row.map((value) => element("td", { class: "fbc-number" }, readable(value)))), { class: "fbc-table" }));
  }

  // At most one drawing a frame, none while nobody looks.
  let drawing = false;
  function drawSoon() {
    if (drawing) return;
    drawing = true;
    requestAnimationFrame(() => {
      drawing = false;
      charts.forEach((one) => one.show({ rows, abandoned, changes: news.changes }));
      showNumbers();
      speak();
    });
  }

  // Read aloud: every change of state, else a line every ten seconds.
  let [spokenAt, spokenState] = [0, "idle"];
  function speak() {
    if (news.state === spokenState && (news.state !== "running" || performance.now() - spokenAt < SILENCE)) return;
    [spokenAt, spokenState] = [performance.now(), news.state];
    spoken.textContent = `${chip.textContent}, ${charts[0]?.inWords() ?? pace.textContent}`;
  }

  function hear(content) {
    heard = performance.now();
    if (dead) return;
    if (content.type === "answer") return letters.hear(content);
    const whole = content.abandoned !== null;
    if (!whole && (!complete || content.from > rows.length)) {
      if (complete) ask("hello"); // something was missed
      complete = false;
      return;
    }
    complete = true;
    news = content;
    rows = [...rows.slice(0, content.from), ...content.rows];
    if (whole) abandoned = content.abandoned;
    if (complaint?.silence) complaint = null;
    if (content.samples) showSamples(content.samples);
    plan.knobs.forEach(({ name }, i) => knobs[i].hear(content.knobs[name]));
    showStanding();
    drawSoon();
  }

  // A kernel that is restarted takes the trainer with it: say so, and do not look alive.
  function die() {
    if (dead) return;
    dead = true;
    complaint = null;
    const message = "The kernel was restarted, so this training is gone. Run the lesson again from its first cell for a new one.";
    news = { ...news, state: news.state === "running" ? "failed" : news.state, wish: "", message };
    knobs.forEach((one) => one.disable());
    [...recipes, steps, snapshots].forEach((one) => (one.disabled = true));
    showStanding();
    speak();
  }

  const pulse = setInterval(() => {
    const silent = performance.now() - heard;
    if (dead || news.state !== "running" || silent < SILENCE) return;
    ask("ping");
    if (dead || silent < 2 * SILENCE) return;
    const sentence = `The kernel has said nothing for ${duration(silent / 1000)}: it is busy with another cell, or gone.`;
    complaint = { sentence, silence: true };
    showMessage();
  }, SILENCE / 4);
  const widths = new ResizeObserver((entries) => entries.forEach(({ target, contentRect }) =>
    charts.find((one) => one.node === target).resize(Math.floor(contentRect.width))));
  charts.forEach((one) => widths.observe(one.node));
  const themes = onThemeChange(drawSoon); // projector mode moves the axes

  model.on("msg:custom", hear);
  const unwatchKernel = onRestart(model, die);
  el.append(root);
  showStanding();
  drawSoon();
  ask("hello");
  return () => {
    model.off("msg:custom", hear);
    unwatchKernel();
    widths.disconnect();
    themes();
    clearInterval(pulse);
  };
}

export default { render };
