// Runs in every page before JupyterLab does: notes when cells start and when things become visible, and times reactions.
window.watch = {
  selectors: [],
  cells: [], // {source, at}: a cell that the kernel began to run, by the kernel's clock (this machine's)
  seen: {}, // selector -> {at, source}: first frame in which it was visible, and the source of the cell it stands in

  look() {
    for (const selector of this.selectors) {
      if (selector in this.seen) continue;
      const element = document.querySelector(selector);
      if (!element?.checkVisibility({ visibilityProperty: true })) continue;
      const box = element.getBoundingClientRect();
      if (!box.width || !box.height) continue;
      this.seen[selector] = { at: Date.now(), source: this.sourceOf(element) };
    }
    requestAnimationFrame(() => this.look());
  },

  sourceOf(element) {
    const node = element.closest(".jp-Cell");
    const cell = jupyterapp.shell.currentWidget.content.widgets.find((widget) => widget.node === node);
    return cell?.model.sharedModel.getSource();
  },

  async notebookReady() {
    const panel = jupyterapp.shell.currentWidget;
    await panel.context.ready;
    await panel.revealed;
    await panel.sessionContext.ready;
    await panel.sessionContext.session.kernel.info;
    panel.sessionContext.iopubMessage.connect((_, message) => {
      if (message.header.msg_type === "execute_input")
        this.cells.push({ source: message.content.code, at: Date.parse(message.header.date) });
    });
  },

  secondsToSee(selector) {
    const seen = this.seen[selector];
    if (!seen) throw new Error(`${selector} was never visible`);
    const cell = this.cells.findLast((one) => one.source === seen.source && one.at <= seen.at);
    if (!cell) throw new Error(`${selector} does not stand in a cell that was run`);
    return (seen.at - cell.at) / 1000;
  },

  // From the next `event` until read() gives something else than it did then, and that has been painted.
  timeReaction(event, read) {
    this.reaction = null;
    const begin = (happened) => {
      const before = read();
      const observer = new MutationObserver(() => {
        if (read() === before) return;
        observer.disconnect();
        requestAnimationFrame(() => setTimeout(() => (this.reaction = performance.now() - happened.timeStamp)));
      });
      observer.observe(document.body, { subtree: true, childList: true, attributes: true, characterData: true });
    };
    window.addEventListener(event, begin, { capture: true, once: true });
  },
};
window.addEventListener("DOMContentLoaded", () => window.watch.look());
