// A block that is being written and is not saved yet: its form, and the result of what was run of it.

import { el } from "../elements/dom.js";
import { iconButton } from "../elements/icons.js";
import { tell } from "../elements/notices.js";
import { part } from "../http/addresses.js";
import { getRow, post } from "../http/api.js";
import { describeError, isAbort } from "../http/errors.js";
import { writeJson } from "../http/exact_json.js";
import { describeAge, describeFaults } from "../notebook/block_order.js";
import { ResultView } from "../notebook/block_result.js";
import { makeEditor } from "./block_editor.js";
import { readKey, wouldSave } from "./block_keys.js";
import { confirmSending } from "./block_trial.js";

const MOST_UID_LENGTH = 64;

export class NewBlock {
  #type;
  #context;
  #settings;
  #form;
  #result;
  #note = el("p", { class: "warning", role: "status", hidden: true });
  #leaveSenders;
  /** The last run that was started here, with what ran. @type {{ id: number, uid: string, content: string } | null} */
  #started = null;
  /** @type {Api.NewestResult | null} */
  #found = null;
  /** What ran to give the result that is shown, which may be that of an earlier run. */
  #foundContent = "";
  /** The state of the page for which the result was read, by its number. */
  #readFor = -1;
  /** The uid that it got when it was saved. */
  #savedUid = "";

  /**
   * @param {Api.BlockType} type
   * @param {Ui.BlockContext} context
   * @param {Ui.NewBlockSettings} settings
   */
  constructor(type, context, settings) {
    this.#type = type;
    this.#context = context;
    this.#settings = settings;
    this.#result = new ResultView(context);
    this.#form = makeEditor({ type, content: {} }, context, {
      thing: settings.thing,
      close: settings.close,
      whenSaved: (row, isDone) => this.#keep(row, isDone),
    });
    this.node = el(
      "section",
      { class: "card block", tabindex: "-1", "aria-label": `New ${settings.label} block` },
      el("div", { class: "block-head" }, el("h2", {}, settings.title), this.#makeTools()),
      settings.warning && el("p", { class: "warning" }, settings.warning),
      this.#form.node,
      this.#note,
      this.#result.node,
    );
    this.node.addEventListener("keydown", (event) => this.#press(event), { capture: true });
    this.#leaveSenders = context.state.addSender(() => this.#found?.messages ?? []);
  }

  /** Remove it from the page. */
  remove() {
    this.node.remove();
    this.#leaveSenders();
  }

  /** What it is called among the blocks that are being written. */
  get uid() {
    return this.#settings.thing.slice(-MOST_UID_LENGTH);
  }

  /** What it is called in the last run that was started here. */
  get runUid() {
    return this.#started?.uid ?? "";
  }

  get #name() {
    return this.#form.readName() || `(new ${this.#type} block)`;
  }

  get #path() {
    return `app/notebook/${part(this.#context.report.uid)}/block_runs`;
  }

  /** The block as it is being written; nothing while it cannot be read. @returns {Api.TypedBlock[]} */
  read() {
    try {
      return [{ uid: this.uid, type: this.#type, name: this.#name, content: this.#form.readContent() }];
    } catch {
      return [];
    }
  }

  focus() {
    this.node.querySelector("input")?.focus();
    this.node.scrollIntoView({ block: "nearest" });
  }

  /** Show the result of its last run, what runs, and what is wrong with its references. */
  showState() {
    const { state } = this.#context;
    const running = this.#started && state.getRunning(this.#started.uid);
    if (!running && this.#readFor !== state.readCount) {
      this.#readFor = state.readCount;
      // What it used may have changed. After a failure the next state reads it again.
      this.#readResult({ isUnasked: true }).catch(() => {});
    }
    this.#result.update(this.#found, running, {
      age: this.#describeAge(),
      onSend: () => this.#readResult(),
      isAsked: true,
    });
    const text = describeFaults(state.references, this.uid);
    if (this.#note.textContent !== text) this.#note.textContent = text;
    this.#note.hidden = !text;
  }

  #describeAge() {
    if (!this.#found) return "";
    const { state, values } = this.#context;
    const [typed] = this.read();
    const isChanged = !typed || writeJson(typed.content) !== this.#foundContent;
    const upstream = state.getReferences(this.uid)?.upstream ?? [];
    const differing = values.listDiffering(this.#found.parameters, upstream);
    const { changed, gone } = this.#found;
    return describeAge(
      this.#name,
      { changed: isChanged ? [this.#name, ...changed] : changed, gone },
      differing,
    );
  }

  #makeTools() {
    if (this.#type === "parameter") return null;
    const run = () => this.#start(() => this.#run());
    const title = "Run this block and what it uses, without saving it (Ctrl+Enter)";
    return el("div", { class: "actions end tools" }, iconButton("run", "Run as typed", run, { title }));
  }

  /** Run what is typed; messages are sent if one agrees. @param {() => void} [whenAgreed] */
  async #run(whenAgreed) {
    const { blocks, state, values } = this.#context;
    const [type, name, content] = [this.#type, this.#name, this.#form.readContent()];
    const upstream = await state.listUpstream(this.uid, [{ uid: this.uid, type, name, content }]);
    if (!(await confirmSending([...blocks, { name, type }], [name, ...upstream]))) return;
    whenAgreed?.();
    /** @type {{ result: { run_id: number, block_uid: string } }} */
    const { result } = await post(this.#path, { type, name, content, parameters: values.check() });
    this.#started = { id: result.run_id, uid: result.block_uid, content: writeJson(content) };
    if (this.#savedUid) state.identify(result.block_uid, this.#savedUid); // it was added meanwhile
    await state.waitFor(result.run_id);
    if (this.#started.id !== result.run_id) return; // a newer one was started
    await this.#readResult();
    this.#form.showFailure(
      this.#found?.error && content.sql ? { error: this.#found.error, sql: content.sql } : null,
    );
    if (this.#savedUid) await this.#giveResult();
  }

  /** @param {Pick<Ui.CallSettings, "isUnasked">} [settings] */
  async #readResult({ isUnasked } = {}) {
    const started = this.#started;
    if (!started) return;
    const { signal } = this.#context;
    /** @type {Api.NewestResult | null} */
    const found = await getRow(`${this.#path}/${started.id}`, { signal, isUnasked });
    if (!found || started !== this.#started) return;
    this.#found = found;
    this.#foundContent = started.content;
    this.showState();
    this.#context.state.followMessages();
  }

  /**
   * Let the block that was saved have the result.
   *
   * @param {Api.BlockRow} row
   * @param {boolean} isDone
   */
  async #keep(row, isDone) {
    this.#savedUid = row.uid;
    if (this.#started) this.#context.state.identify(this.#started.uid, row.uid);
    if (this.#found && this.#found.run_id === this.#started?.id) this.#start(() => this.#giveResult());
    await this.#settings.whenSaved(row, isDone);
  }

  async #giveResult() {
    await post(`${this.#path}/${this.#started?.id}/block`, { block_uid: this.#savedUid });
    await this.#context.state.read();
  }

  /** @param {() => Promise<void>} work */
  #start(work) {
    work().catch((error) => {
      if (!isAbort(error)) tell(describeError(error), "bad");
    });
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    const key = readKey(event);
    if (key || wouldSave(event)) event.preventDefault();
    if (!key) return;
    event.stopPropagation();
    if (event.repeat) return;
    if (this.#type === "parameter") tell("A parameter has nothing to run: add it");
    else this.#start(() => this.#run(() => key === "goOn" && this.#settings.goOn()));
  }
}
