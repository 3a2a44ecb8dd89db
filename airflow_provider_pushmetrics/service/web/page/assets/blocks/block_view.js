// One block in the list of a report: its summary or its editor, and its buttons.

import { confirmRunOfSaved } from "../drafts/draft_notes.js";
import { hasDraft } from "../drafts/unsaved.js";
import { button } from "../elements/buttons.js";
import { el, fill } from "../elements/dom.js";
import { hasSameText, makeEditor } from "./block_editor.js";
import { readBlock } from "./block_list.js";
import { makeSummary } from "./block_summary.js";
import { makeTrial } from "./block_trial.js";

/**
 * Name what is typed in the form of a block, for its draft.
 *
 * @param {Api.Report} report
 * @param {Api.BlockType} type
 * @param {string} uid That of the block, or "new".
 */
export const nameThing = (report, type, uid) => `${nameBlocks(report)}${type}/${uid}`;

/**
 * Write how the names of all that is typed in a report's blocks begin.
 *
 * @param {Api.Report} report
 */
export const nameBlocks = (report) => `report/${report.uid}/block/`;

/** A block in the list. It stays when the list is drawn again, with its open editor and the results of its trial. */
export class BlockView {
  #context;
  #work;
  #head = el("div", { class: "block-head" });
  #body = el("div", { class: "block-body" });
  #trial = el("div", {});
  #isEdited = false;

  /**
   * @param {Api.Block} block
   * @param {Ui.BlockContext} context
   * @param {Ui.BlockWork} work
   */
  constructor(block, context, work) {
    this.block = block;
    this.#context = context;
    this.#work = work;
    this.node = el("li", { class: "card block" }, this.#head, this.#body, this.#trial);
    this.#draw();
    if (hasDraft(this.thing)) this.#open();
  }

  get thing() {
    return nameThing(this.#context.report, this.block.type, this.block.uid);
  }

  /**
   * Show what is saved of the block now. An open editor keeps what was typed, and finds out when it saves.
   *
   * @param {Api.Block} block
   */
  update(block) {
    if (hasSameText(block, this.block)) return;
    this.block = block;
    if (this.#isEdited) return;
    fill(this.#trial);
    this.#draw();
  }

  /**
   * Tell which of its neighbours it has. A button that can do nothing stays, so that it keeps the focus.
   *
   * @param {{ isFirst: boolean, isLast: boolean }} place
   */
  place({ isFirst, isLast }) {
    for (const [kind, isOff] of /** @type {const} */ ([
      ["up", isFirst],
      ["down", isLast],
    ]))
      this.#head.querySelector(`[data-move="${kind}"]`)?.setAttribute("aria-disabled", String(isOff));
  }

  /** Open the editor, or go to the one that is open. */
  edit() {
    if (!this.#isEdited) this.#open();
    /** @type {HTMLElement | null} */ (this.#body.querySelector("input,textarea"))?.focus();
  }

  /** Put the focus on the button that opens the editor. */
  focus() {
    /** @type {HTMLElement | null} */ (this.#head.querySelector("[data-edit]"))?.focus();
    this.node.scrollIntoView({ block: "nearest" });
  }

  #open() {
    const close = () => {
      this.#close();
      this.focus();
    };
    /** @type {Ui.WhenSaved} */
    const whenSaved = async (row, isDone) => {
      this.block = readBlock(row);
      const hadFocus =
        this.#body.contains(document.activeElement) || document.activeElement === document.body;
      if (isDone) {
        fill(this.#trial);
        this.#close();
      }
      await this.#work.refresh();
      if (isDone && hadFocus) this.focus();
    };
    this.#isEdited = true;
    fill(this.#body, makeEditor(this.block, this.#context, { thing: this.thing, close, whenSaved }));
  }

  #close() {
    this.#isEdited = false;
    this.#draw();
  }

  #draw() {
    const { block } = this;
    this.node.setAttribute("aria-label", `Block ${block.name}`);
    fill(
      this.#head,
      el("span", { class: "kind" }, block.type),
      el("h2", {}, block.name),
      block.verbose_name && el("span", { class: "hint" }, block.verbose_name),
      el("div", { class: "actions end" }, this.#makeActions()),
    );
    fill(this.#body, makeSummary(block, this.#context));
    this.#work.placeAll();
  }

  async #run() {
    if (await confirmRunOfSaved(this.thing)) await makeTrial(this.#trial, this.block, this.#context);
  }

  #makeActions() {
    const { block } = this;
    const { name } = block;
    const move = (/** @type {"up" | "down"} */ way, /** @type {string} */ sign) =>
      button(sign, () => this.#work.move(this, way), {
        "aria-label": `Move ${name} ${way}`,
        "data-move": way,
      });
    return [
      block.type !== "parameter" &&
        button("Run alone", () => this.#run(), {
          title: "Run only this block and its dependencies",
        }),
      button("Edit", () => this.edit(), { "aria-label": `Edit ${name}`, "data-edit": true }),
      move("up", "↑"),
      move("down", "↓"),
      button("Delete", () => this.#work.remove(this), { kind: "danger", "aria-label": `Delete ${name}` }),
    ];
  }
}
