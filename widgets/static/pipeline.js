// Pipeline: the phases of a speedrun, each with its share of the budget; one button to start it, one to stop it.

const minutes = (seconds) => (seconds < 90 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`);

export default {
  render({ model, el }) {
    const wish = (what) => () => {
      model.set("_wish", { do: what, request: (model.get("_wish").request ?? 0) + 1 });
      model.save_changes();
    };
    const button = (text, what, kind = "") => element("button", { class: `fbc-button${kind}`, type: "button", "data-do": what, onclick: wish(what) }, text);
    const play = button("▶ Train it from nothing", "play", " fbc-primary");
    const stop = button("■ Stop", "stop");
    const budget = element("span", { class: "fbc-label fbc-number" });
    const list = element("ol", { class: "phases", "aria-label": "Phases" });
    const message = element("p", { class: "fbc-message", role: "status" });
    const root = widgetRoot("Pipeline", element("div", { class: "fbc-row" }, play, stop, budget), list, message);
    root.classList.add("fbc-pipeline");

    function show() {
      const picture = model.get("_picture");
      if (!picture.phases) return;
      const running = picture.state === "running";
      list.replaceChildren(...picture.phases.map(({ name, about, seconds, share }) => {
        const now = name === picture.phase;
        const told = now ? Object.entries(picture.metrics).map(([metric, value]) => `${metric} ${value}`).join(", ") : "";
        return element("li", { "data-phase": name, "aria-current": now ? "step" : undefined },
          element("span", { class: "name" }, share >= 1 ? `✓ ${name}` : name), element("span", { class: "about" }, told || about),
          element("div", { class: "fbc-bar", role: "progressbar", "aria-label": name, "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": Math.round(100 * share) },
            element("span", { style: `width: ${100 * share}%` })),
          element("span", { class: "fbc-number fbc-label" }, minutes(seconds)));
      }));
      const begun = picture.phases.some(({ share }) => share > 0);
      budget.textContent = running ? `about ${minutes(picture.left)} left, of ${minutes(picture.budget)}` : picture.state === "done" ? "" : `budget: ${minutes(picture.budget)}`;
      play.textContent = begun ? "▶ Go on" : "▶ Train it from nothing";
      play.hidden = running || picture.state === "done";
      stop.hidden = !running;
      message.textContent = picture.message;
      Object.assign(root.dataset, { state: picture.state, request: picture.request, step: picture.phases.filter(({ share }) => share >= 1).length });
    }
    el.append(root);
    // Its kernel takes the run with it, and what is done so far is on disk.
    return drawUntilRestart(model, show, () => {
      root.dataset.state = "gone";
      play.hidden = stop.hidden = true;
      budget.textContent = "";
      message.textContent = "The kernel was restarted, and the run has ended with it. Run the lesson again from its first cell, and it goes on where it was.";
    });
  },
};
