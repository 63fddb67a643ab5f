// FillInExplorer: click words to hide them; the kernel sends, for every blank, what the model would write there.

const SIDES = { left: "only the left side", both: "both sides", right: "only the right side" };

// A filling as a button with its bar: a click puts it in.
function candidateButton(candidate, best, truth, put) {
  const name = tokenName(candidate.text);
  const isTruth = truth !== null && candidate.text.trim() === truth.trim();
  return element("li", {},
    element("button", { class: `candidate${isTruth ? " truth" : ""}`, type: "button", "data-text": candidate.text,
      "data-probability": candidate.probability.toFixed(6), onclick: put,
      "aria-label": `Put in ${name}, ${percent(candidate.probability)}${isTruth ? ", the hidden word" : ""}` },
    element("span", { class: "word" }, name),
    element("span", { class: "fbc-bar" }, element("span", { style: `width: ${(100 * candidate.probability) / Math.max(best, 1e-9)}%` })),
    element("span", { class: "fbc-number" }, percent(candidate.probability))));
}

// One sentence for the true word, and how each side alone would have done.
function truthLine(blank, side, vocabulary) {
  if (blank.truth === null) return [];
  const among = blank.tokens === 1 ? `of ${vocabulary.toLocaleString("en")} tokens` : `of the ${blank.tokens}-token words found`;
  const rank = blank.rank === null ? "not among the words found" : `rank ${blank.rank.toLocaleString("en")} ${among}`;
  const tell = element("p", { class: "tell" }, "hidden: ", element("b", { class: "word" }, blank.truth.trim()),
    ` · ${percent(blank.probability)} · ${rank}`);
  const most = Math.max(...Object.values(blank.by_side), 1e-9);
  const compare = Object.entries(SIDES).map(([each, name]) =>
    element("tr", { class: each === side ? "chosen" : "", "data-side": each, "data-probability": blank.by_side[each].toFixed(6) },
      element("th", { scope: "row" }, name),
      element("td", {}, element("div", { class: "fbc-bar" }, element("span", { style: `width: ${(100 * blank.by_side[each]) / most}%` }))),
      element("td", { class: "fbc-number" }, percent(blank.by_side[each]))));
  return [tell, element("table", { class: "sides", "aria-label": `Probability of the hidden word, seeing one side or both` }, ...compare)];
}

export default {
  render({ model, el }) {
    let picture;
    let changedByHand = false; // only then is "Start again" of use
    let landing; // the word that the focus goes to once the picture with it is there
    const first = { text: model.get("text"), hidden: model.get("hidden"), side: model.get("side") };

    const input = element("input", { class: "fbc-input", type: "text", spellcheck: "false",
      "aria-label": "Your sentence; three underscores are a blank" });
    const restart = element("button", { class: "fbc-button", type: "button", hidden: true }, "Start again");
    const message = element("p", { class: "fbc-message", role: "status" });
    const sentence = element("div", { class: "sentence", role: "group", "aria-label": "The sentence: press a word to hide it" });
    const sides = element("div", { class: "fbc-group", role: "radiogroup", "aria-label": "What the model sees" });
    const cards = element("div", { class: "cards" });
    const note = element("p", { class: "fbc-note" });
    const spoken = element("p", { class: "fbc-spoken", "aria-live": "polite" });
    const root = widgetRoot("FillInExplorer",
      element("div", { class: "fbc-row" }, input, restart),
      message, sentence,
      element("div", { class: "fbc-row" }, element("span", { class: "fbc-label" }, "The model sees"), sides),
      cards, note, spoken);
    root.classList.add("fbc-fill-in");

    for (const [side, name] of Object.entries(SIDES)) {
      sides.append(element("button", { class: "fbc-button", type: "button", role: "radio", "data-side": side, onclick: () => ask({ side }) }, name));
    }
    const settleSides = arrowKeys(sides, () => [...sides.children]);
    const wordButtons = () => [...sentence.querySelectorAll("button")];
    const settleWords = arrowKeys(sentence, wordButtons);
    const speak = debounce(400, (text) => (spoken.textContent = text));

    function ask(changes) {
      changedByHand = true;
      model.set({ ...changes, request: model.get("request") + 1 });
      model.save_changes();
    }

    function toggle(number) {
      if (picture.words[number].typed) return;
      const hidden = model.get("hidden");
      ask({ hidden: hidden.includes(number) ? hidden.filter((i) => i !== number) : [...hidden, number].sort((a, b) => a - b) });
    }

    // The sentence with a candidate in the blank; white space before the word stays, unless the candidate has none.
    function put(number, filling) {
      const texts = picture.words.map((word) => word.text);
      const space = texts[number].match(/^\s*/)[0];
      texts[number] = (filling.startsWith(" ") || number === 0 ? space : "") + filling.trim();
      const text = texts.join("");
      input.value = text;
      landing = number;
      ask({ text, hidden: model.get("hidden").filter((i) => i !== number) });
    }

    function wordButton(word, number) {
      const blank = picture.blanks.findIndex((each) => each.word === number);
      const hidden = word.typed || picture.hidden.includes(number);
      const name = word.text.trim();
      const button = element("button", { class: `word${hidden ? " blank" : ""}${word.typed ? " typed" : ""}`, type: "button", "data-word": number,
        "aria-pressed": hidden, "aria-label": word.typed ? `blank ${blank + 1}` : hidden ? `${name}, hidden as blank ${blank + 1}` : name },
        ...(hidden ? [element("sup", {}, `${blank + 1}`), element("span", { class: "was" }, word.typed ? "     " : name)] : [name]));
      return element("span", { class: "piece" }, word.text.match(/^\s*/)[0], button);
    }

    // What the model cannot see of the sentence, when one side is hidden and there is one blank.
    function unseen(number) {
      if (picture.blanks.length !== 1 || picture.side === "both") return false;
      const at = picture.blanks[0].word;
      return picture.side === "left" ? number > at : number < at;
    }

    function card(blank, index) {
      const best = Math.max(...blank.candidates.flatMap(({ candidates }) => candidates.map((each) => each.probability)));
      const lists = blank.candidates.map(({ tokens, candidates }) => {
        const title = `${tokens} token${tokens > 1 ? "s" : ""}${blank.truth !== null && tokens === blank.tokens ? ", like the hidden word" : ""}`;
        const rows = candidates.map((each) => candidateButton(each, best, blank.truth, () => put(blank.word, each.text)));
        return element("div", { class: "list", "data-tokens": tokens }, element("h5", { class: "fbc-label" }, title), element("ol", {}, ...rows));
      });
      return element("article", { class: "card", "data-blank": index, "data-word": blank.word, "aria-label": `Blank ${index + 1}` },
        element("h4", { class: "fbc-title" }, element("sup", {}, `${index + 1}`), " What stands here?"),
        ...truthLine(blank, picture.side, picture.vocabulary), element("div", { class: "lists" }, ...lists));
    }

    function explain() {
      if (!picture.words.length) return "";
      if (!picture.blanks.length) return picture.message ? "" : "Click a word, or press Enter on it, to hide it. Several can be hidden at once.";
      const together = picture.blanks.length > 1 ? "while all blanks are hidden" : "while the word is hidden";
      const long = picture.blanks.some((blank) => blank.candidates.some(({ tokens }) => tokens > 1));
      return "Click a word to put it in. A percentage is the chance that the model gives to this one of its " +
        `${picture.vocabulary.toLocaleString("en")} tokens, ${together}. ` + (long ? "For several tokens it is the first one's " +
        "chance times that of each next one, given those before it, in a blank of just so many tokens." : "");
    }

    function showPicture() {
      picture = model.get("_picture");
      if (!picture.words) return;
      const focused = sentence.contains(document.activeElement) ? document.activeElement.dataset.word : landing;
      landing = undefined;
      if (document.activeElement !== input) input.value = model.get("text");
      message.textContent = picture.message;
      const buttons = picture.words.map(wordButton);
      sentence.replaceChildren(...buttons);
      buttons.forEach((piece, number) => piece.classList.toggle("unseen", unseen(number)));
      settleWords(wordButtons()[0]);
      if (focused !== undefined) wordButtons()[focused]?.focus();
      for (const button of sides.children) button.setAttribute("aria-checked", button.dataset.side === picture.side);
      settleSides(sides.querySelector('[aria-checked="true"]'));
      cards.replaceChildren(...picture.blanks.map(card));
      note.textContent = explain();
      restart.hidden = !changedByHand;
      speak(picture.blanks.map((blank, i) => {
        const best = blank.candidates[0]?.candidates[0];
        return best ? `Blank ${i + 1}: ${tokenName(best.text)}, ${percent(best.probability)}.` : "";
      }).join(" "));
      root.dataset.request = picture.request;
      root.dataset.side = picture.side;
      root.dataset.hidden = picture.hidden.join(" ");
    }

    input.addEventListener("input", debounce(80, () => ask({ text: input.value })));
    sentence.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button) toggle(Number(button.dataset.word));
    });
    restart.addEventListener("click", () => {
      input.value = first.text;
      ask(first);
      changedByHand = false;
    });

    el.append(root);
    input.value = model.get("text");
    model.on("change:_picture", showPicture);
    showPicture();
    const unwatch = tellOfRestart(model, message);
    return () => {
      unwatch();
      model.off("change:_picture", showPicture);
    };
  },
};
