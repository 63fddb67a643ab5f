// A question, a guess that one commits to, and then why. All of it happens on the page, so a busy kernel is no obstacle.

// Choices: a radio group. Arrow keys move, Enter or the button below commits.
function choicesView(model, commit) {
  let picked = model.get("given");
  const marks = [];
  const options = model.get("choices").map((choice, place) => {
    marks[place] = element("span", { "aria-hidden": true });
    return element("div", { class: "fbc-choice", role: "radio", tabindex: -1, onclick: () => pick(place) }, marks[place],
      element("div", {}, prose(choice)));
  });
  const group = element("div", { class: "fbc-choices", role: "radiogroup", "aria-label": model.get("question") }, ...options);
  const answered = () => model.get("given") !== null;
  function pick(place, focus = false) {
    if (answered()) return;
    picked = (place + options.length) % options.length;
    show();
    if (focus) options[picked].focus();
  }
  group.addEventListener("keydown", (event) => {
    const at = options.indexOf(document.activeElement);
    if (answered() || at < 0) return;
    if (["ArrowDown", "ArrowRight"].includes(event.key)) pick(at + 1, true);
    else if (["ArrowUp", "ArrowLeft"].includes(event.key)) pick(at - 1, true);
    else if (event.key === " ") pick(at);
    else if (event.key === "Enter") {
      pick(at);
      commit();
    } else return;
    event.preventDefault();
  });
  function show() {
    const given = model.get("given");
    const right = model.get("right");
    if (given !== null) picked = given;
    options.forEach((option, place) => {
      const chosen = place === picked;
      const is = given === null ? "open" : place === right ? "right" : chosen && right !== null ? "wrong" : chosen ? "guess" : "other";
      option.dataset.is = is;
      option.setAttribute("aria-checked", chosen);
      option.setAttribute("aria-disabled", given !== null);
      option.tabIndex = chosen || (picked === null && place === 0) ? 0 : -1;
      marks[place].textContent = { right: "✓", wrong: "✗" }[is] ?? (chosen ? "●" : "○");
      const why = given !== null && (chosen || place === right) ? model.get("explanations")[place] : "";
      option.querySelector(".fbc-note")?.remove();
      if (why) option.lastChild.append(element("div", { class: "fbc-note" }, prose(why)));
    });
  }
  return { node: group, picked: () => picked, clear: () => { picked = null; }, show, sentence: () => {
    const right = model.get("right");
    if (right === null) return "Noted. What follows will tell.";
    if (model.get("given") === right) return "That is right.";
    return `Not so: it is “${model.get("choices")[right]}”.`;
  } };
}

// A number: a slider, and afterwards a line with the guess and, once it is known, the measured value.
function numberView(model) {
  const { low, high, step, decimals, unit, explain } = model.get("scale");
  const words = (value) => `${value.toFixed(decimals)} ${unit}`.trim();
  const input = element("input", { type: "range", min: low, max: high, step, "aria-label": model.get("question") });
  const output = element("output", { class: "fbc-number" });
  const say = () => {
    output.textContent = words(input.valueAsNumber);
    input.setAttribute("aria-valuetext", output.textContent);
  };
  input.addEventListener("input", say);
  input.value = model.get("given") ?? (low + high) / 2;
  say();
  const slider = element("div", { class: "fbc-scale" }, element("span", { class: "fbc-label" }, words(low)), input,
    element("span", { class: "fbc-label" }, words(high)), output);
  const line = element("div", { class: "fbc-line", "aria-hidden": true });
  const mark = (value, name, kind = "") => {
    const share = Math.min(Math.max((value - low) / (high - low), 0), 1);
    const dot = element("div", { class: `fbc-mark ${kind}` }, element("span", {}, `${name}: ${words(value)}`));
    dot.style.left = `${100 * share}%`;
    return dot;
  };
  return { node: element("div", {}, slider, line), picked: () => input.valueAsNumber, clear: () => {}, show() {
    const given = model.get("given");
    const right = model.get("right");
    slider.hidden = given !== null;
    line.hidden = given === null;
    if (given === null) return;
    line.replaceChildren(mark(given, "your guess"), ...(right === null ? [] : [mark(right, "it is", "fbc-measured")]));
  }, sentence: () => {
    const given = model.get("given");
    const right = model.get("right");
    if (right === null) return `Noted: ${words(given)}. What follows will tell.`;
    return `You guessed ${words(given)}; it is ${words(right)}. ${explain}`.trim();
  } };
}

export default {
  render({ model, el }) {
    const commit = () => {
      if (view.picked() === null) return;
      model.set("given", view.picked());
      model.save_changes();
    };
    const view = model.get("choices").length ? choicesView(model, commit) : numberView(model);
    const guess = button("This is my guess", commit, true);
    const again = button("Guess again", () => {
      view.clear();
      model.set("given", null);
      model.save_changes();
    });
    const told = element("div", { class: "fbc-told", role: "status" });
    const note = element("p", { class: "fbc-note" });
    const root = widgetRoot("Quiz", element("h4", { class: "fbc-title" }, "Predict"), prose(model.get("question")), view.node,
      told, element("div", { class: "fbc-row" }, guess, again), note);
    root.dataset.quiz = model.get("label");
    el.append(root);

    const show = () => {
      const answered = model.get("given") !== null;
      root.dataset.answered = answered;
      guess.hidden = answered;
      again.hidden = !answered;
      note.textContent = model.get("note");
      view.show();
      told.replaceChildren(...(answered ? [prose(view.sentence())] : []));
    };
    model.on("change:given change:right change:note", show);
    show();
    return () => model.off("change:given change:right change:note", show);
  },
};
