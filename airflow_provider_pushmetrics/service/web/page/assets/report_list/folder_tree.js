// The tree of folders beside the list of reports.

import { el, fill } from "../elements/dom.js";
import { number } from "../elements/format.js";
import { icon } from "../elements/icons.js";
import { getRow } from "../http/api.js";
import { makeChoice } from "./choices.js";
import { buildTree, isWithin } from "./folders.js";

/**
 * Make the tree, and what shows it with a folder chosen. Without folders there is nothing to see.
 *
 * @param {(path: string) => unknown} choose
 * @param {AbortSignal} signal
 */
export async function makeFolderTree(choose, signal) {
  const node = el("nav", { class: "folders", "aria-label": "Folders" });
  /** @type {{ folder: string, count: number }[]} */
  const rows = await getRow("app/activity/folders", { signal });
  const tree = buildTree(rows);
  node.hidden = !tree.length;

  /** @param {string} chosen */
  function show(chosen) {
    const all = makeChoice("folder", "", choose, icon("report"), "All reports");
    if (!chosen) all.setAttribute("aria-current", "true");
    fill(node, all, makeLevel(tree, chosen));
  }

  /**
   * @param {import("./folders.js").Folder[]} folders
   * @param {string} chosen
   * @returns {HTMLElement}
   */
  function makeLevel(folders, chosen) {
    return el(
      "ul",
      {},
      folders.map(({ path, name, count, below }) => {
        const anchor = makeChoice(
          "folder",
          path,
          choose,
          icon("folder"),
          el("span", { class: "clip", title: path }, name),
        );
        if (path === chosen) anchor.setAttribute("aria-current", "true");
        const row = el("div", { class: "folder" }, anchor, el("span", { class: "hint" }, number(count)));
        // What is below shows only where the reader is: a tree of hundreds would be a list again.
        return el("li", {}, row, below.length > 0 && isWithin(chosen, path) && makeLevel(below, chosen));
      }),
    );
  }

  return { node, show };
}
