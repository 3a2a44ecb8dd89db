// The blocks of a report: showing, adding, moving and deleting them. Drawing them again touches only what has changed.

import { hasDraft, listDrafts, moveDraft } from "../drafts/unsaved.js";
import { button } from "../elements/buttons.js";
import { arrange, el, empty } from "../elements/dom.js";
import { quote } from "../elements/format.js";
import { confirmFirst, tell } from "../elements/notices.js";
import { reload } from "../elements/router.js";
import { part } from "../http/addresses.js";
import { put, remove } from "../http/api.js";
import { runFrom } from "../notebook/run_from.js";
import { getBlocks, TYPES } from "./block_list.js";
import { restoreBlock } from "./block_restore.js";
import { BlockView, nameThing } from "./block_view.js";
import { NewBlock } from "./new_block.js";
import { UnsavedRuns } from "./unsaved_runs.js";

const NEW = "new";

/** The blocks on the page of a report. */
export class BlockList {
  #context;
  /** @type {Map<string, BlockView>} */
  #views = new Map();
  /** @type {Map<string, NewBlock>} The blocks that are not saved yet, by what is typed in them. */
  #forms = new Map();
  #list = el("ol", { class: "blocks" });
  #empty;
  #place = el("div", {});
  #adders = el(
    "div",
    { class: "adders", role: "group", "aria-label": "Add a block" },
    el("span", { class: "hint" }, "Add"),
    TYPES.map(([type, label]) => button(label, () => this.#add(type), { "data-type": type })),
  );
  #runs;
  #turn = 0;
  /** @type {Ui.BlockWork} */
  #work = {
    whenClosed: () => this.#whenClosed(),
    refresh: () => this.#refresh(),
    placeAll: () => this.#placeAll(),
    move: (view, way) => this.#move(view, way),
    remove: (view) => this.#remove(view),
    runFrom: (view) => runFrom(view.block, this.#context),
    goOn: (view) => this.#goOn(view),
  };
  #whenDrawn;
  #whenClosed;

  /**
   * @param {Ui.BlockContext} context
   * @param {(blocks: Api.Block[]) => unknown} whenDrawn Called when other blocks were read.
   * @param {() => unknown} whenClosed Called when a form was closed.
   */
  constructor(context, whenDrawn, whenClosed) {
    this.#context = context;
    this.#whenDrawn = whenDrawn;
    this.#whenClosed = whenClosed;
    this.#empty = empty(
      `This ${context.report.type} has no blocks yet`,
      "Begin with a SQL block that queries a database; text, charts and mails can use its rows. A parameter is a value that each run can set.",
    );
    this.#runs = new UnsavedRuns(context, this.#adders);
    this.parts = [this.#empty, this.#list, this.#place, this.#runs.node, this.#adders];
    this.#draw();
    for (const [type] of TYPES) {
      if (hasDraft(nameThing(context.report, type, NEW))) this.#openForm(type, NEW);
    }
    this.#openLost();
  }

  /** Show the state of each block. */
  showState() {
    for (const view of [...this.#views.values(), ...this.#forms.values()]) view.showState();
    this.#runs.update([...this.#views.keys(), ...[...this.#forms.values()].map((form) => form.runUid)]);
  }

  /** List the blocks as they are being written, those that are not saved yet too. */
  listTyped() {
    const typed = [...this.#views.values()].flatMap(({ typed: one }) => (one ? [one] : []));
    return [...typed, ...[...this.#forms.values()].flatMap((form) => form.read())];
  }

  /**
   * Go to a block.
   *
   * @param {string} uid
   */
  show(uid) {
    const form = [...this.#forms.values()].find((one) => one.uid === uid);
    const node = (this.#views.get(uid) ?? form)?.node;
    node?.scrollIntoView({ block: "start" });
    node?.focus({ preventScroll: true });
  }

  /** @param {string} uid */
  describeAge(uid) {
    return this.#views.get(uid)?.describeAge() ?? "";
  }

  async #refresh() {
    this.#turn += 1;
    const turn = this.#turn;
    const { report, signal } = this.#context;
    const blocks = await getBlocks(report, signal);
    if (turn !== this.#turn) return;
    this.#context.blocks = blocks;
    this.#draw();
    this.#openLost();
    await this.#whenDrawn(blocks);
  }

  #draw() {
    const { blocks } = this.#context;
    const before = this.#views;
    this.#views = new Map();
    for (const block of blocks) {
      const view = before.get(block.uid) ?? new BlockView(block, this.#context, this.#work);
      view.update(block);
      this.#views.set(block.uid, view);
    }
    arrange(
      this.#list,
      [...this.#views.values()].map((view) => view.node),
    );
    this.#list.hidden = !blocks.length;
    this.#empty.hidden = blocks.length > 0;
    this.#placeAll();
  }

  #placeAll() {
    const views = [...this.#views.values()];
    views.forEach((view, index) => {
      view.place({ isFirst: index === 0, isLast: index === views.length - 1 });
    });
  }

  /** Open what was typed for blocks that others have deleted meanwhile: it can be added again. */
  #openLost() {
    for (const [type] of TYPES) {
      const beginning = nameThing(this.#context.report, type, "");
      const uids = listDrafts(beginning).map((thing) => thing.slice(beginning.length));
      for (const uid of uids) if (uid !== NEW && !this.#views.has(uid)) this.#openForm(type, uid);
    }
  }

  /** @param {Api.BlockType} type */
  #add(type) {
    this.#openForm(type, NEW).focus();
  }

  /**
   * @param {Api.BlockType} type
   * @param {string} uid That of a block that was deleted, or "new".
   */
  #openForm(type, uid) {
    const thing = nameThing(this.#context.report, type, uid);
    const open = this.#forms.get(thing);
    if (open) return open;
    const label = TYPES.find(([key]) => key === type)?.[1] ?? type;
    const end = () => {
      made.remove();
      this.#forms.delete(thing);
    };
    const close = () => {
      end();
      this.#focusAdder(type);
      this.#whenClosed();
    };
    /** @type {Ui.WhenSaved} */
    const whenSaved = async (row, isDone) => {
      const hadFocus = made.node.contains(document.activeElement) || document.activeElement === document.body;
      end();
      if (!isDone) moveDraft(thing)(nameThing(this.#context.report, type, row.uid));
      await this.#refresh();
      if (hadFocus) this.#views.get(row.uid)?.focus();
    };
    const made = new NewBlock(type, this.#context, {
      thing,
      label,
      title: uid === NEW ? `New block: ${label}` : `Deleted block: ${label}`,
      warning: uid === NEW ? "" : "Somebody has deleted this block. You can add it again, or cancel.",
      close,
      whenSaved,
      goOn: () => this.#focusAdder(type),
    });
    this.#forms.set(thing, made);
    this.#place.append(made.node);
    return made;
  }

  /** @param {Api.BlockType} type */
  #focusAdder(type) {
    /** @type {HTMLElement | null} */ (this.#adders.querySelector(`[data-type="${type}"]`))?.focus();
  }

  /**
   * @param {BlockView} view
   * @param {"up" | "down"} way
   */
  async #move(view, way) {
    const index = [...this.#views.keys()].indexOf(view.block.uid) + (way === "up" ? -1 : 1);
    if (index < 0 || index >= this.#views.size) return;
    await put(`api/v1/block/${part(view.block.uid)}`, { position: index });
    await this.#refresh();
    view.node.scrollIntoView({ block: "nearest" });
  }

  /** @param {BlockView} view */
  async #remove(view) {
    const { block, thing } = view;
    const what = hasDraft(thing) ? "It is deleted, and your unsaved changes of it" : "It is deleted";
    const text = `${what}, with its own results and the schedules of its query. Blocks that refer to it fail from then on. Undo adds it again, with another id.`;
    if (!(await confirmFirst(`Delete the block ${quote(block.name)}?`, text, "Delete"))) return;
    await remove(`api/v1/block/${part(block.uid)}`);
    const giveDraft = moveDraft(thing);
    const uids = [...this.#views.keys()];
    const index = uids.indexOf(block.uid);
    const undo = () => this.#restore(block, uids.slice(0, index), giveDraft);
    tell(`The block ${quote(block.name)} is deleted`, "good", { label: "Undo", work: undo });
    await this.#refresh();
    const next = this.#views.get(uids[index + 1] ?? uids[index - 1]);
    if (next) next.focus();
    else this.#focusAdder(block.type);
  }

  /** @param {BlockView} view */
  #goOn(view) {
    const views = [...this.#views.values()];
    const next = views[views.indexOf(view) + 1];
    if (next) next.enter();
    else this.#focusAdder(view.block.type);
  }

  /**
   * @param {Api.Block} block
   * @param {string[]} before
   * @param {(thing: string) => void} giveDraft
   */
  async #restore(block, before, giveDraft) {
    const { report, signal } = this.#context;
    const uid = await restoreBlock(report, block, before, (added) =>
      giveDraft(nameThing(report, block.type, added)),
    );
    if (signal.aborted) return reload();
    await this.#refresh();
    this.#views.get(uid)?.focus();
  }
}
