// The buttons of a block. What is rarely needed, or cannot be taken back, is in a menu.

import { iconButton } from "../elements/icons.js";
import { makeMenu } from "../notebook/menu.js";

/**
 * @param {Ui.BlockEntry} view
 * @param {() => void} run
 * @param {Ui.BlockWork} work
 * @returns {Ui.Child}
 */
export function makeTools(view, run, work) {
  const { name, type } = view.block;
  const move = (/** @type {"up" | "down"} */ way) =>
    iconButton(way, `Move ${name} ${way}`, () => work.move(view, way), { "data-move": way });
  return [
    type !== "parameter" &&
      iconButton("run", `Run ${name}`, run, {
        title: "Run this block and what it uses, as it stands here (Ctrl+Enter)",
      }),
    iconButton("edit", `Edit ${name}`, () => view.edit(), { "data-edit": true }),
    move("up"),
    move("down"),
    makeMenu(`More actions for ${name}`, () => [
      { label: "Run from here", name: `Run from here: ${name}`, work: () => work.runFrom(view) },
      { label: "Delete", name: `Delete ${name}`, kind: "danger", work: () => work.remove(view) },
    ]),
  ];
}
