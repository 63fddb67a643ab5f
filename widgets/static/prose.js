// What exercises and quizzes share. First a little Markdown for questions, hints and verdicts: paragraphs, lists, ```
// blocks, `code`, **bold** and *stress*. Every piece becomes text of an element: nothing is ever read as HTML.

const MARKED = /(`[^`]+`|\*\*[^*]+\*\*|(?<![\w*])\*[^\s*](?:[^*]*[^\s*])?\*(?![\w*]))/;

function inline(text) {
  return text.split(MARKED).map((piece, place) => {
    if (place % 2 === 0) return piece; // what lies between the marked pieces
    if (piece.startsWith("`")) return element("code", {}, piece.slice(1, -1));
    if (piece.startsWith("**")) return element("strong", {}, piece.slice(2, -2));
    return element("em", {}, piece.slice(1, -1));
  });
}

function prose(text) {
  const blocks = text.trim().split(/\n{2,}/).map((block) => {
    if (block.startsWith("```")) return element("pre", {}, block.replace(/^```.*\n?/, "").replace(/\n?```$/, ""));
    const lines = block.split("\n");
    if (/^- /.test(block) && lines.every((line) => /^(- | {2})/.test(line))) { // a line that is set in goes on with its item
      const items = block.slice(2).split(/\n- /);
      return element("ul", {}, ...items.map((item) => element("li", {}, ...inline(item.replace(/\s*\n\s*/g, " ")))));
    }
    return element("p", {}, ...inline(lines.join(" ")));
  });
  return element("div", { class: "fbc-prose" }, ...blocks);
}

function button(label, action, primary = false) {
  return element("button", { type: "button", class: `fbc-button${primary ? " fbc-primary" : ""}`, onclick: action }, label);
}
