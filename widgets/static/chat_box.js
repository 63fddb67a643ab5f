// ChatBox: say something to one stage or several, watch them answer token by token, and see the row that they read.

// A token as a chip: special ones by name, text with its spaces made visible, what the model wrote in the model's colour.
function chip(token, place) {
  const text = token.special ? token.text : token.text.replaceAll("\n", "⏎").replaceAll(" ", "␣");
  const what = token.special ? "special token" : token.wrote ? "written by the model" : "read";
  return element("span", { class: `chip${token.special ? " special" : ""}${token.wrote ? " wrote" : ""}`, role: "listitem",
    "data-id": token.id, title: `token ${place + 1}: number ${token.id} of the vocabulary, ${what}` }, text);
}

export default {
  render({ model, el }) {
    const cards = element("div", { class: "cards" });
    const message = element("p", { class: "fbc-message", role: "status" });
    const spoken = element("p", { class: "fbc-spoken", "aria-live": "polite" });
    const input = element("textarea", { class: "fbc-input", rows: 1, spellcheck: "false", placeholder: "Say something, and press Enter",
      "aria-label": "What you say", "data-lm-suppress-shortcuts": "true" });
    const button = (text, act, about = {}) => element("button", { class: "fbc-button", type: "button", onclick: act, ...about }, text);
    const tries = element("div", { class: "fbc-row tries", role: "group", "aria-label": "Sentences to try" });
    const open = new Set(); // names of the stages whose tokens are shown: the list survives a new picture
    let spokenFor = 0; // how many turns were read aloud

    function wish(what) {
      model.set("_wish", { ...what, request: (model.get("_wish").request ?? 0) + 1 });
      model.save_changes();
    }
    const running = () => model.get("_picture").state === "running";
    function send() {
      if (running()) return; // what was typed stays
      wish({ do: "say", text: input.value });
    }
    input.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      send();
    });
    const sendButton = button("Send", send, { class: "fbc-button fbc-primary", "data-do": "say" });
    const stopButton = button("■ Stop", () => wish({ do: "stop" }), { "data-do": "stop" });
    const newButton = button("New conversation", () => wish({ do: "new" }), { "data-do": "new" });

    function slider(trait, name, about, { min, max, step, say }) {
      const range = element("input", { type: "range", min, max, step, "data-setting": trait, "aria-label": name });
      const output = element("output", { class: "fbc-number" });
      const show = () => {
        range.value = model.get(trait);
        output.textContent = say(model.get(trait));
        range.setAttribute("aria-valuetext", output.textContent);
      };
      range.addEventListener("input", () => {
        model.set(trait, Number(Number(range.value).toFixed(2)));
        model.save_changes();
        show();
      });
      model.on(`change:${trait}`, show);
      show();
      return element("label", { class: "setting", title: about }, element("span", {}, name), output, range);
    }
    const system = element("input", { class: "fbc-input", type: "text", "aria-label": "System message", spellcheck: "false",
      placeholder: "none", value: model.get("system") });
    system.addEventListener("change", () => {
      model.set("system", system.value);
      model.save_changes();
    });
    system.addEventListener("keydown", (event) => event.stopPropagation());
    const settings = element("div", { class: "settings", role: "group", "aria-label": "How answers are drawn" },
      slider("temperature", "temperature", "Below 1 the likely become likelier; at 0 the most probable token is always taken.",
        { min: 0, max: 2, step: 0.05, say: (t) => (t === 0 ? "0: always the first" : t.toFixed(2)) }),
      slider("top_p", "top-p", "Only the fewest tokens stay that have this much probability together (the nucleus).",
        { min: 0.05, max: 1, step: 0.05, say: (p) => (p >= 1 ? "all" : p.toFixed(2)) }),
      element("label", { class: "setting wide", title: "Said to the models before anything else. A change begins a new conversation." },
        element("span", {}, "system message"), system));
    const root = widgetRoot("ChatBox", cards, message,
      element("div", { class: "fbc-row say" }, input, sendButton, stopButton, newButton), tries, settings, spoken);
    root.classList.add("fbc-chat");
    for (const text of model.get("suggestions")) {
      tries.append(button(text, () => { input.value = text; send(); }, { "data-try": text }));
    }
    tries.hidden = !model.get("suggestions").length;

    // One stage: its side of the conversation, and the tokens of its latest row.
    function card(speaker) {
      const log = element("div", { class: "log", role: "log", "aria-label": `Conversation with ${speaker.name}`, tabindex: "0" });
      const chips = element("div", { class: "chips", role: "list", "aria-label": `Tokens that ${speaker.name} reads and writes` });
      const summary = element("summary", { "data-lm-suppress-shortcuts": "true" });
      const details = element("details", { class: "seen" }, summary,
        element("p", { class: "fbc-note" }, "Framed: special tokens, which only the program can write. Coloured and underlined: what the model wrote. All else it reads."), chips);
      details.open = open.has(speaker.name);
      details.addEventListener("toggle", () => (details.open ? open.add(speaker.name) : open.delete(speaker.name)));
      const box = element("article", { class: "card", "data-stage": speaker.name, "aria-label": speaker.name,
        style: `--fbc-stage: var(--fbc-${speaker.colour})` },
        element("h4", { class: "fbc-title" }, speaker.name), log, details);
      return box;
    }

    function fill(box, speaker, said) {
      const log = box.querySelector(".log");
      const first = said.length - speaker.remembers;
      const turns = said.flatMap((text, turn) => {
        const old = turn < first ? " forgotten" : "";
        const answer = speaker.answers[turn];
        const waits = !answer && running();
        const words = answer ? answer.text || (answer.stopped || !speaker.speaking ? "(says nothing)" : "") : "";
        return [element("p", { class: `you${old}` }, text),
          ...(answer || waits ? [element("p", { class: `answer${old}${waits || speaker.speaking && turn === said.length - 1 ? " speaking" : ""}` },
            words, answer?.stopped ? element("span", { class: "cut" }, " ■ stopped") : "")] : [])];
      });
      if (first > 0) turns.unshift(element("p", { class: "fbc-note" }, "Pale: too long ago, the model does not see it any more."));
      log.replaceChildren(...turns);
      log.scrollTop = log.scrollHeight;
      const count = speaker.tokens.length;
      box.querySelector("summary").textContent = count
        ? `What the model sees: ${count}${speaker.longest ? ` of at most ${speaker.longest}` : ""} tokens` : "What the model sees";
      const chips = box.querySelector(".chips");
      chips.replaceChildren(...speaker.tokens.map(chip));
      chips.scrollTop = chips.scrollHeight;
    }

    function showPicture() {
      const picture = model.get("_picture");
      if (!picture.speakers) return;
      const names = [...cards.children].map((box) => box.dataset.stage);
      if (names.join("\n") !== picture.speakers.map(({ name }) => name).join("\n")) cards.replaceChildren(...picture.speakers.map(card));
      // An accepted sentence leaves the box; a refused one, and what was typed meanwhile, stays.
      if (picture.said.length > Number(root.dataset.step ?? 0) && input.value.trim() === picture.said.at(-1)) input.value = "";
      picture.speakers.forEach((speaker, place) => fill(cards.children[place], speaker, picture.said));
      message.textContent = picture.message;
      sendButton.hidden = picture.state === "running";
      const stopHadFocus = document.activeElement === stopButton;
      stopButton.hidden = picture.state !== "running";
      if (stopHadFocus && stopButton.hidden) input.focus();
      for (const each of tries.children) each.disabled = picture.state === "running";
      if (picture.state === "done" && picture.said.length !== spokenFor) {
        spokenFor = picture.said.length;
        spoken.textContent = picture.speakers.map(({ name, answers }) => `${name}: ${answers.at(-1)?.text || "says nothing"}.`).join(" ");
      }
      root.dataset.state = picture.state;
      root.dataset.step = picture.said.length;
      root.dataset.request = picture.request;
    }

    const showSystem = () => { system.value = model.get("system"); };
    el.append(root);
    model.on("change:_picture", showPicture);
    model.on("change:system", showSystem);
    showPicture();
    const unwatch = tellOfRestart(model, message);
    return () => {
      unwatch();
      model.off("change:_picture", showPicture);
      model.off("change:system", showSystem);
    };
  },
};
