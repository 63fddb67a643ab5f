// A slider and a number field for one field of the trainer's config.
//
// about: {name, label, about, low, high, log, integer, value}. ask(name, value) sends a wish to the kernel and gives its answer
// {ok, request, value}; an accepted value is echoed in the slider's data-accepted, the request's name in data-request.
// A slider of factors (log) counts in powers of ten: its own value -2 stands for 0.01.
function knob(about, ask) {
  const { name, low, high, log, integer } = about;
  const [min, max] = log ? [Math.log10(low), Math.log10(high)] : [low, high];
  const slider = element("input", { type: "range", min, max, step: log ? "any" : roundStep((high - low) / 100, integer),
    "data-knob": name, "aria-label": `${about.label} (${name})` });
  const field = element("input", { type: "text", inputmode: "decimal", class: "fbc-number", "data-knob-value": name,
    "aria-label": `${about.label} (${name}): a number from ${low} to ${high}`, autocomplete: "off", spellcheck: "false" });
  let accepted = about.value;
  let wanted = null; // the latest wish that was not sent yet
  let waiting = false;
  let typed = null; // what stood in the field when it was last sent

  const valueAt = (place) => Math.min(Math.max(log ? Number((10 ** place).toPrecision(2)) : Number(place), low), high);

  function show(value) {
    slider.value = log ? Math.log10(value) : value;
    slider.setAttribute("aria-valuetext", readable(value));
    if (document.activeElement === field) return; // somebody types there
    field.value = readable(value);
    typed = null;
  }

  // One request at a time: what is wanted meanwhile waits, and of that only the latest is sent.
  async function send(value) {
    wanted = value;
    if (waiting) return;
    waiting = true;
    while (wanted !== null) {
      const sent = wanted;
      wanted = null;
      const answer = await ask(name, sent);
      if (answer.ok) {
        accepted = answer.value;
        Object.assign(slider.dataset, { request: answer.request, accepted });
      }
    }
    waiting = false;
    show(accepted);
  }

  function sendTyped() {
    if (field.value === typed || field.value === readable(accepted)) return;
    typed = field.value;
    send(typed);
  }

  slider.addEventListener("input", () => {
    const value = valueAt(slider.value);
    slider.setAttribute("aria-valuetext", readable(value));
    field.value = readable(value);
    send(value);
  });
  slider.addEventListener("keydown", (event) => {
    const way = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10 }[event.key];
    if (!log || !way) return; // a slider without steps has no keys of its own worth having
    event.preventDefault();
    slider.value = Number(slider.value) + (way * (max - min)) / 60;
    slider.dispatchEvent(new Event("input"));
  });
  field.addEventListener("keydown", (event) => event.key === "Enter" && sendTyped());
  field.addEventListener("blur", () => {
    sendTyped();
    if (!waiting) show(accepted);
  });
  show(accepted);

  return {
    node: element("div", { class: "fbc-knob", title: about.about },
      element("label", {}, about.label, element("code", { class: "fbc-label" }, name)), field, slider),
    // What the trainer's config says now, unless the reader's hand is on the knob.
    hear(value) {
      if (waiting || value === null || value === accepted) return;
      accepted = value;
      show(value);
    },
    disable: () => { slider.disabled = field.disabled = true; },
  };
}

// A step of 1, 2 or 5 times a power of ten, about as large as `rough`.
function roundStep(rough, integer) {
  if (integer) return Math.max(1, Math.round(rough));
  const power = 10 ** Math.floor(Math.log10(rough) + 1e-9);
  return Number((power * [5, 2, 1].find((times) => times * power <= rough * 1.001)).toPrecision(1));
}
