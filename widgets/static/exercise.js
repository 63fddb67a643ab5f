// A question, the verdict on the last answer, hints one at a time, and the solution for whoever asks twice. Hints and
// solution are shown without asking the kernel: a learner whose code is still running may read on.
const OUTCOMES = {
  "not attempted": "○ Not attempted",
  incorrect: "✗ Not yet",
  raised: "! Your code raised an error",
  correct: "✓ Correct",
};

async function copy(block, note) {
  try {
    await navigator.clipboard.writeText(block.textContent); // needs https or this machine
    note.textContent = "Copied.";
  } catch {
    getSelection().selectAllChildren(block);
    note.textContent = "Selected: press Ctrl+C.";
  }
}

export default {
  render({ model, el }) {
    const status = element("span", { class: "fbc-status" });
    const question = element("details", { class: "fbc-exercise-question" },
      element("summary", { tabindex: 0 }, "The question"), prose(model.get("question")));
    const verdict = element("div", { role: "status" });
    const hints = element("ol", { class: "fbc-hints", "aria-label": "Hints" });
    const note = element("p", { class: "fbc-note", role: "status" });

    const set = (name, value) => {
      model.set(name, value);
      model.save_changes();
    };
    const hint = button("", () => set("hints_shown", model.get("hints_shown") + 1));
    const ask = button("Solution", () => confirm(true));
    const keep = button("Keep trying", () => confirm(false), true);
    const sure = element("span", { class: "fbc-row", role: "group", "aria-label": "Show the solution?", hidden: true },
      "Show the solution? You learn more from one more try.", keep, button("Show it", () => {
        confirm(false);
        set("solution_shown", true);
      }));
    function confirm(asking) {
      sure.hidden = !asking;
      ask.hidden = asking;
      (asking ? keep : ask).focus();
    }
    const source = element("pre", { class: "fbc-code", tabindex: 0, "aria-label": "The solution's code" }, model.get("source"));
    const copied = element("span", { class: "fbc-label", role: "status" });
    const solution = element("div", { class: "fbc-solution" },
      element("div", { class: "fbc-row" }, element("strong", {}, "One solution"),
        element("span", {}, copied, " ", button("Copy", () => copy(source, copied)))), source);

    const root = widgetRoot("Exercise",
      element("div", { class: "fbc-exercise-head" }, element("h4", { class: "fbc-title" }, `Exercise ${model.get("label")}`), status),
      question, verdict, element("div", { class: "fbc-row" }, hint, ask, sure), hints, solution, note);
    root.setAttribute("aria-label", `Exercise ${model.get("label")}`);
    root.dataset.exercise = model.get("label");
    el.append(root);

    const showVerdict = () => {
      const { outcome, message, line, printed, checks } = model.get("verdict");
      const solvedBefore = outcome !== "correct" && model.get("solved_before");
      root.dataset.outcome = outcome;
      root.dataset.checks = checks;
      status.textContent = OUTCOMES[outcome] + (solvedBefore ? " (solved before ✓)" : "");
      verdict.className = message ? "fbc-verdict" : "";
      verdict.replaceChildren(...(message ? [prose(message)] : []));
      if (line) verdict.append(element("pre", { class: "fbc-code", "aria-label": "The line in your code" }, line));
      if (printed) verdict.append(element("p", { class: "fbc-note" }, "Your code printed:"),
        element("pre", { class: "fbc-code" }, printed));
    };
    const showHints = () => {
      const texts = model.get("hints");
      const shown = Math.min(model.get("hints_shown"), texts.length);
      hint.hidden = !texts.length;
      hint.disabled = shown === texts.length;
      hint.textContent = hint.disabled ? "No more hints" : `Hint ${shown + 1} of ${texts.length}`;
      hints.hidden = !shown;
      while (hints.children.length > shown) hints.lastChild.remove();
      for (const text of texts.slice(hints.children.length, shown)) hints.append(element("li", {}, prose(text)));
    };
    const showSolution = () => {
      solution.hidden = !model.get("solution_shown");
      if (model.get("solution_shown")) ask.hidden = sure.hidden = true;
    };
    const showNote = () => { note.textContent = model.get("note"); };
    // Shown twice, above the learner's code and under it, the question is open only in the first on the page.
    const attached = new ResizeObserver(() => {
      question.open = document.querySelector(`[data-exercise="${CSS.escape(root.dataset.exercise)}"]`) === root;
      attached.disconnect();
    });
    attached.observe(root);

    const watched = { verdict: showVerdict, solved_before: showVerdict, hints_shown: showHints, solution_shown: showSolution, note: showNote };
    for (const [name, show] of Object.entries(watched)) {
      model.on(`change:${name}`, show);
      show();
    }
    return () => {
      attached.disconnect();
      for (const [name, show] of Object.entries(watched)) model.off(`change:${name}`, show);
    };
  },
};
