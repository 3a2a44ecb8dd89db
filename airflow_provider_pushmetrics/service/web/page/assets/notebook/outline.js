// The outline of a report: its blocks, what each of them uses, and what is wrong with that.

import { el, fill } from "../elements/dom.js";
import { isolate, listNames } from "../elements/format.js";
import { icon } from "../elements/icons.js";
import { findDepths } from "./block_order.js";

/** @type {Record<Api.BlockType, import("../elements/icons.js").IconName>} */
export const ICONS = {
  parameter: "parameter",
  sql: "table",
  text: "text",
  chart: "chart",
  email: "mail",
  slack: "message",
};
const DEEPEST = 5;

export class Outline {
  #show;
  #look = "";
  #faults = el("div", { role: "status" });
  #list = el("ol", { class: "outline" });
  node = el("nav", { "aria-label": "Outline" }, this.#faults, this.#list);

  /** @param {(uid: string) => void} show Shows a block. */
  constructor(show) {
    this.#show = show;
  }

  /**
   * @param {readonly Api.Block[]} blocks
   * @param {Api.References} references
   * @param {(uid: string) => string} getMark The state of a block, in a word.
   */
  update(blocks, references, getMark) {
    const marks = blocks.map(({ uid, type }) => [uid, type, getMark(uid)]);
    const look = JSON.stringify([marks, references]);
    if (look === this.#look) return;
    this.#look = look;
    const giveFocus = rememberFocus(this.#list);
    fill(this.#faults, makeFaults(references));
    const depths = findDepths(references.blocks);
    const uids = new Map(references.blocks.map((one) => [one.name, one.uid]));
    fill(
      this.#list,
      blocks.map((block) => {
        const found = references.blocks.find((one) => one.uid === block.uid);
        const depth = Math.min(depths.get(found?.name ?? block.name) ?? 0, DEEPEST);
        return el(
          "li",
          { "data-depth": depth, "data-block": block.uid },
          this.#makeLink(block.uid, [
            icon(ICONS[block.type] ?? "text"),
            el("span", { class: "outline-name" }, found?.name ?? block.name),
            makeMark(getMark(block.uid)),
          ]),
          found &&
            found.uses.length > 0 &&
            el(
              "p",
              { class: "outline-uses" },
              el("span", { "aria-hidden": "true" }, "← "),
              el("span", { class: "unseen" }, "uses "),
              found.uses.map((name, index) => [
                index > 0 && ", ",
                this.#makeLink(uids.get(name) ?? "", name),
              ]),
            ),
          found &&
            found.unknown.length > 0 &&
            el("p", { class: "warning" }, icon("warning"), ` Unknown: ${listNames(found.unknown)}`),
        );
      }),
    );
    giveFocus();
  }

  /**
   * @param {string} uid
   * @param {Ui.Child} content
   */
  #makeLink(uid, content) {
    /** @param {MouseEvent} event */
    const onclick = (event) => {
      event.preventDefault();
      this.#show(uid);
    };
    return el("a", { href: `#${uid}`, onclick }, content);
  }
}

/**
 * Remember which link has the focus; the function given finds it in what is drawn next: that of the same block to the
 * same block, or else that of the block itself.
 *
 * @param {HTMLElement} list
 * @returns {() => void}
 */
function rememberFocus(list) {
  const active = document.activeElement;
  const item = list.contains(active) ? active?.closest("li") : null;
  if (!active || !item) return () => {};
  const href = active.getAttribute("href");
  return () => {
    const found = [...list.querySelectorAll("li")].find((one) => one.dataset.block === item.dataset.block);
    const links = [...(found?.querySelectorAll("a") ?? [])];
    (links.find((one) => one.getAttribute("href") === href) ?? links[0])?.focus();
  };
}

/** @param {Api.References} references */
function makeFaults({ circle }) {
  return (
    circle.length > 0 &&
    el("p", { class: "warning" }, icon("warning"), ` Circular references: ${circle.map(isolate).join(" → ")}`)
  );
}

/** @param {string} mark */
const makeMark = (mark) => mark && el("span", { class: `outline-mark ${mark}` }, mark);
