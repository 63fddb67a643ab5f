// The switch writes one class on the page; theme.css makes every widget on it larger.
export default {
  render({ model, el }) {
    const box = element("input", { type: "checkbox", role: "switch", "aria-label": "Projector mode: large type in all widgets" });
    const show = () => {
      box.checked = model.get("on");
      document.documentElement.classList.toggle("fbc-projector", box.checked);
    };
    box.addEventListener("change", () => {
      model.set("on", box.checked);
      model.save_changes();
    });
    model.on("change:on", show);
    el.append(widgetRoot("Projector", element("label", { class: "fbc-check" }, box, "Projector mode: large type in all widgets")));
    show();
    return () => model.off("change:on", show);
  },
};
