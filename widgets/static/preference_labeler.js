// PreferenceLabeler: which of two answers is better? The page owns the choices; the kernel writes them down and says
// which are safe. What is not yet safe waits in the browser's tab too, so that no kernel can lose it.

const KEYS = { ArrowLeft: "left", 1: "left", ArrowRight: "right", 2: "right", 0: "tie", " ": "tie", u: "undo", U: "undo", Backspace: "undo" };
const NAMES = { left: "the left one", right: "the right one", tie: "no difference" };
const PATIENCE = 3000; // milliseconds until somebody who waits is told why

export default {
  render({ model, el }) {
    const shown = model.get("_shown");
    const waiting = `fbc-labeler:${model.get("session")}`;
    let dead = false;
    let overdue = false;
    let timer;

    const count = element("span", { class: "fbc-number count" });
    const bar = element("span");
    const progress = element("div", { class: "fbc-bar progress", role: "progressbar", "aria-label": "Pairs labeled", "aria-valuemin": 0, "aria-valuemax": shown.length }, bar);
    const safe = element("span", { class: "safe" });
    const asked = element("p", { class: "asked" });
    const answers = ["left", "right"].map((side, i) => {
      const text = element("span", { class: "text" });
      const keys = element("span", { class: "fbc-label" }, element("kbd", {}, side === "left" ? "←" : "→"), " or ", element("kbd", {}, `${i + 1}`));
      const node = element("button", { class: "answer", type: "button", "data-choose": side, onclick: () => choose(side) }, text, keys);
      return { side, node, text };
    });
    const pair = element("div", { class: "pair" }, ...answers.map((one) => one.node));
    const tie = element("button", { class: "fbc-button", type: "button", "data-choose": "tie", onclick: () => choose("tie") }, "No difference ", element("kbd", {}, "0"));
    const undo = element("button", { class: "fbc-button", type: "button", "data-action": "undo", onclick: () => choose("undo") }, "Undo ", element("kbd", {}, "u"));
    const done = element("ul", { class: "done" });
    const before = element("p", { class: "before" });
    const message = element("p", { class: "fbc-message", role: "status" });
    const spoken = element("p", { class: "fbc-spoken", "aria-live": "polite" });
    const stage = element("div", { class: "stage", tabindex: 0, role: "group",
      "aria-label": "Left or right arrow: that answer is better. 0 or space: no difference. U or backspace: undo." },
      asked, pair, done, element("div", { class: "fbc-row under" }, tie, undo), before);
    const root = widgetRoot("PreferenceLabeler",
      element("h4", { class: "fbc-title" }, "Which answer is better?"),
      element("div", { class: "fbc-row" }, count, progress, safe), message, stage, spoken);
    root.classList.add("fbc-labeler");

    const choices = () => model.get("choices");
    const current = () => shown.findIndex((_, place) => !choices().some((choice) => choice[0] === place));
    const same = (one, other) => one[0] === other[0] && one[1] === other[1];
    const unsafe = () => choices().filter((one) => !(model.get("_kept").choices ?? []).some((other) => same(one, other)));

    function choose(what) {
      if (dead) return;
      const place = current();
      if (what === "undo" ? !choices().length : place === -1) return;
      model.set("choices", what === "undo" ? choices().slice(0, -1) : [...choices(), [place, what]]);
      spoken.textContent = `${what === "undo" ? "Taken back" : NAMES[what]}. ${choices().length} of ${shown.length}.`;
      store();
      model.save_changes();
      show();
      stage.focus({ preventScroll: true }); // the keys go on working after a click
      clearTimeout(timer);
      timer = setTimeout(() => { overdue = unsafe().length > 0; show(); }, PATIENCE);
    }

    // In this tab's memory, by their words: after a restart the places may be others.
    function store() {
      const open = unsafe().map(([place, side]) => ({ ...shown[place], side }));
      try {
        if (open.length) sessionStorage.setItem(waiting, JSON.stringify(open));
        else sessionStorage.removeItem(waiting);
      } catch {} // a browser that keeps nothing: then the kernel alone does
    }
    function restore() {
      let open = [];
      try {
        open = JSON.parse(sessionStorage.getItem(waiting) ?? "[]");
      } catch {}
      const found = open.map(({ prompt, left, right, side }) =>
        [shown.findIndex((one) => one.prompt === prompt && one.left === left && one.right === right), side])
        .filter(([place]) => place !== -1 && !choices().some((choice) => choice[0] === place));
      if (!found.length) return;
      model.set("choices", [...choices(), ...found]);
      model.save_changes();
    }

    function show() {
      const made = choices();
      const place = current();
      const kept = model.get("_kept");
      const open = unsafe().length;
      if (!open) overdue = false;
      const finished = place === -1;
      count.textContent = finished ? `${shown.length} of ${shown.length}` : `${made.length + 1} of ${shown.length}`;
      progress.setAttribute("aria-valuenow", made.length);
      bar.style.width = `${(100 * made.length) / shown.length}%`;
      safe.textContent = open ? `${made.length - open} saved, ${open} on the way` : made.length ? "all saved" : "";
      [asked, pair, tie].forEach((node) => (node.hidden = finished));
      done.hidden = !finished;
      done.replaceChildren(...(finished ? ["Done. Your votes are kept.", ...(kept.told ?? [])] : []).map((line) => element("li", {}, line)));
      if (!finished) {
        asked.textContent = shown[place].prompt;
        for (const { side, node, text } of answers) {
          text.textContent = shown[place][side];
          node.setAttribute("aria-label", `The ${side} answer is better: ${shown[place][side]}`);
        }
      }
      const last = made.at(-1);
      before.textContent = last ? `Before: ${shown[last[0]].prompt} — ${last[1] === "tie" ? NAMES.tie : `“${shown[last[0]][last[1]]}”`}` : "";
      undo.disabled = dead || !made.length;
      [tie, ...answers.map((one) => one.node)].forEach((node) => (node.disabled = dead));
      message.textContent = dead
        ? "The kernel was restarted. What you labeled is safe: run the lesson again from its first cell, and go on where you stopped."
        : overdue ? `The kernel is busy with something else, or gone: ${open} of your votes wait in this tab to be saved.` : kept.note ?? "";
      root.dataset.place = finished ? "done" : place;
      root.dataset.labeled = made.length;
      root.dataset.saved = made.length - open;
    }

    function hear() {
      store();
      show();
    }

    root.addEventListener("keydown", (event) => {
      const what = KEYS[event.key];
      if (!what || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === " " && event.target !== stage) return; // space on a button presses the button
      event.preventDefault();
      event.stopPropagation();
      if (!event.repeat) choose(what); // a key held down is one opinion
    });

    el.append(root);
    restore();
    show();
    model.on("change:_kept", hear);
    model.on("change:choices", show);
    const unwatchKernel = onRestart(model, () => {
      dead = true;
      show();
    });
    return () => {
      clearTimeout(timer);
      model.off("change:_kept", hear);
      model.off("change:choices", show);
      unwatchKernel();
    };
  },
};
