// The runs of blocks that the page does not show: of a form that was closed, or of a page that was left or loaded again.

import { card, el, keepFocus } from "../elements/dom.js";
import { updateChildren } from "../elements/redraw.js";
import { makeRunning } from "../notebook/block_result.js";

export class UnsavedRuns {
  #context;
  #next;
  #list = el("ul", { class: "unsaved-runs" });
  node = card(
    "Runs of blocks that are not on this page",
    el("p", { class: "hint" }, "They continue until they have ended. Their results are not shown here."),
    this.#list,
  );

  /**
   * @param {Ui.BlockContext} context
   * @param {HTMLElement} next Its first button gets the focus when a run was cancelled.
   */
  constructor(context, next) {
    this.#context = context;
    this.#next = next;
  }

  /** @param {readonly string[]} shown The blocks that the page shows, by their uids in their runs. */
  update(shown) {
    const runs = this.#context.state.listOtherRuns(new Set(shown));
    this.node.hidden = !runs.length;
    updateChildren(this.#list, runs, {
      getKey: (run) => run.run_id,
      getLook: JSON.stringify,
      make: (run) => this.#makeItem(run),
    });
  }

  /** @param {Api.UnfinishedBlock} run */
  #makeItem(run) {
    const whenCancelled = async () => {
      await this.#context.state.read();
      const button = this.#next.querySelector("button");
      if (button) keepFocus(button);
    };
    return el(
      "li",
      { class: "result-running", "aria-label": run.name },
      el("span", { class: "code" }, run.name),
      makeRunning(this.#context.report, run, whenCancelled),
    );
  }
}
