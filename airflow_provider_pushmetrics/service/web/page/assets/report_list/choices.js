// What of the reports is shown: links that choose it, and the chips of what is chosen.

import { el } from "../elements/dom.js";
import { iconButton } from "../elements/icons.js";
import { link } from "../elements/router.js";

/**
 * Make a link to the reports with a value, such as those in a folder, which is chosen on the page itself.
 *
 * @param {"folder" | "owner"} name
 * @param {string} value
 * @param {(value: string) => unknown} choose
 * @param {...Ui.Child} children
 */
export function makeChoice(name, value, choose, ...children) {
  const anchor = link(value ? `reports?${name}=${encodeURIComponent(value)}` : "reports", ...children);
  anchor.addEventListener("click", (event) => {
    if (event.button || event.metaKey || event.ctrlKey || event.shiftKey) return; // opened elsewhere
    event.preventDefault();
    choose(value);
  });
  return anchor;
}

/**
 * Make a link to the reports of an owner, who is known by the whole address to who does not see it.
 *
 * @param {Api.Report} report
 * @param {(owner: string) => unknown} choose
 */
export function makeOwner({ owner, owner_name }, choose) {
  if (!owner) return "–";
  const anchor = makeChoice("owner", owner, choose, el("span", { title: owner }, owner_name));
  anchor.setAttribute("aria-label", owner);
  return anchor;
}

/**
 * Make the chip of what is chosen, with a button that shows all again.
 *
 * @param {string} text
 * @param {string} all
 * @param {() => unknown} showAll
 */
export const makeChip = (text, all, showAll) =>
  el(
    "span",
    { class: "chip" },
    el("span", { class: "clip" }, text),
    iconButton("close", all, showAll, { kind: "reads" }),
  );
