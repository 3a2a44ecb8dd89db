// One block in the list of a report: its summary or its editor, its buttons, and its newest result.

import { hasDraft } from "../drafts/unsaved.js";
import { el, fill } from "../elements/dom.js";
import { tell } from "../elements/notices.js";
import { describeError, isAbort } from "../http/errors.js";
import { writeJson } from "../http/exact_json.js";
import { describeAge, describeFaults } from "../notebook/block_order.js";
import { ResultView } from "../notebook/block_result.js";
import { hasSameText, makeEditor } from "./block_editor.js";
import { readKey, wouldSave } from "./block_keys.js";
import { readBlock } from "./block_list.js";
import { makeSummary } from "./block_summary.js";
import { makeTools } from "./block_tools.js";
import { confirmSending, runAlone } from "./block_trial.js";

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

/** A block in the list. It stays when the list is drawn again, with its open editor and its result. */
export class BlockView {
  #context;
  #work;
  #head = el("div", { class: "block-head" });
  #body = el("div", { class: "block-body" });
  #note = el("p", { class: "warning", role: "status", hidden: true });
  #result;
  /** @type {Ui.BlockForm | null} */
  #form = null;
  /** The last run that was started here, with what ran. @type {{ id: number, content: string | null } | null} */
  #last = null;

  /**
   * @param {Api.Block} block
   * @param {Ui.BlockContext} context
   * @param {Ui.BlockWork} work
   */
  constructor(block, context, work) {
    this.block = block;
    this.#context = context;
    this.#work = work;
    this.#result = new ResultView(context);
    this.node = el(
      "li",
      { class: "card block", tabindex: "-1", "data-block": block.uid },
      this.#head,
      this.#body,
      this.#note,
      this.#result.node,
    );
    // Before the SQL editor sees the key, which would write a new line.
    this.node.addEventListener("keydown", (event) => this.#press(event), { capture: true });
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
    if (!this.#form) this.#draw();
  }

  /** Show its newest result, and what is wrong with its references. */
  showState() {
    const { state } = this.#context;
    if (this.block.type !== "parameter") {
      const result = state.getResult(this.block.uid);
      this.#result.update(result, state.getRunning(this.block.uid), {
        age: this.describeAge(),
        onSend: () => state.read(),
        isAsked: result?.kind === "block_run" && result.run_id === this.#last?.id,
      });
    }
    const text = describeFaults(state.references, this.block.uid);
    if (this.#note.textContent !== text) this.#note.textContent = text;
    this.#note.hidden = !text;
  }

  /** Say why its result is old; empty if it is not, or if there is none. */
  describeAge() {
    const { state, values } = this.#context;
    const { name, uid } = this.block;
    const result = state.getResult(uid);
    if (!result) return "";
    const upstream = state.getReferences(uid)?.upstream ?? [];
    const others = result.changed.filter((one) => one !== name);
    const changed = this.#isChangedSince(result) ? [name, ...others] : others;
    const differing = values.listDiffering(result.parameters, upstream);
    return describeAge(name, { changed, gone: result.gone }, differing);
  }

  /** @param {Api.NewestResult} result */
  #isChangedSince(result) {
    const isOwnRun = result.kind === "block_run" && result.run_id === this.#last?.id;
    const ran = isOwnRun ? (this.#last?.content ?? null) : null;
    const typed = this.#readTyped();
    if (typed === null) return result.changed.includes(this.block.name);
    return ran === null || writeJson(typed) !== ran;
  }

  /** Read what stands in the open form and is not saved; null if nothing does. */
  #readTyped() {
    if (!this.#form?.isTouched()) return null;
    try {
      return this.#form.readContent();
    } catch {
      return {}; // such as a specification that is not JSON yet
    }
  }

  /** The block as it stands in its form, if that differs from what is saved. @returns {Api.TypedBlock | null} */
  get typed() {
    const content = this.#readTyped();
    if (!content || !this.#form) return null;
    const { uid, type, name } = this.block;
    return { uid, type, name: this.#form.readName() || name, content };
  }

  /**
   * Tell which of its neighbors it has. A button that can do nothing stays, so that it keeps the focus.
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
    if (!this.#form) this.#open();
    /** @type {HTMLElement | null} */ (this.#body.querySelector("input,textarea"))?.focus();
  }

  /** Put the focus on the button that opens the editor. */
  focus() {
    /** @type {HTMLElement | null} */ (this.#head.querySelector("[data-edit]"))?.focus();
    this.node.scrollIntoView({ block: "nearest" });
  }

  /** Put the focus where one goes on: into the open editor, or on the block's buttons. */
  enter() {
    if (this.#form) this.edit();
    else this.focus();
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
      if (isDone) this.#close();
      await this.#work.refresh();
      if (isDone && hadFocus) this.focus();
    };
    this.#form = makeEditor(this.block, this.#context, { thing: this.thing, close, whenSaved });
    fill(this.#body, this.#form.node);
  }

  #close() {
    this.#form = null;
    this.#draw();
    this.#work.whenClosed();
  }

  #draw() {
    const { block } = this;
    this.node.setAttribute("aria-label", `Block ${block.name}`);
    fill(
      this.#head,
      el("span", { class: "kind" }, block.type),
      el("h2", {}, block.name),
      block.verbose_name && el("span", { class: "hint" }, block.verbose_name),
      el(
        "div",
        { class: "actions end tools" },
        makeTools(this, () => this.#start(), this.#work),
      ),
    );
    fill(this.#body, makeSummary(block, this.#context));
    this.#work.placeAll();
  }

  /** Run the block as it stands here, saved or not; messages if one agrees. @param {() => void} [whenAgreed] */
  async #run(whenAgreed) {
    const { blocks, state } = this.#context;
    const form = this.#form;
    const content = form?.isTouched() ? form.readContent() : null;
    const { uid, type, name } = this.block;
    const upstream = await state.listUpstream(uid, content ? [{ uid, type, name, content }] : []);
    if (!(await confirmSending(blocks, [name, ...upstream]))) return;
    whenAgreed?.();
    const id = await runAlone(this.block, this.#context, content, (started) => {
      this.#last = { id: started, content: content && writeJson(content) };
    });
    const result = state.getResult(uid);
    if (result?.run_id !== id || result.kind !== "block_run" || this.#last?.id !== id) return;
    const sql = (content ?? this.block.content).sql;
    form?.showFailure(result.error && sql ? { error: result.error, sql } : null);
  }

  /** Run the block, and stay free for what comes next. @param {() => void} [whenAgreed] */
  #start(whenAgreed) {
    this.#run(whenAgreed).catch((error) => {
      if (!isAbort(error)) tell(describeError(error), "bad");
    });
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    const key = this.block.type === "parameter" ? null : readKey(event);
    if (key || wouldSave(event)) event.preventDefault();
    if (!key) return;
    event.stopPropagation();
    if (event.repeat) return;
    this.#start(() => key === "goOn" && this.#work.goOn(this));
  }
}
