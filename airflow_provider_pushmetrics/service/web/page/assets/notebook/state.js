// The state of the blocks of a report: references, newest results, and what runs. All parts of the page follow it.

import { part } from "../http/addresses.js";
import { endureOutage, getRow, post } from "../http/api.js";
import { isOutage } from "../http/errors.js";
import { pause } from "../http/waiting.js";
import { MessageWaits } from "../runs/message_waits.js";

/** @type {Api.Notebook} */
const NOTHING = { references: { blocks: [], circle: [] }, results: [], unfinished: [] };

/** So many reads in succession may fail while one waits for a run: about a minute. */
const MOST_OUTAGES = 20;

export class NotebookState {
  #path;
  #signal;
  #now = NOTHING;
  #turn = 0;
  #newest = Promise.resolve();
  /** How often it was read. */
  readCount = 0;
  #typedTurn = 0;
  #newestTyped = Promise.resolve();
  /** @type {Api.References | null} The references with what is being written. */
  #typed = null;
  /** @type {Set<() => void>} */
  #followers = new Set();
  /** @type {Set<() => void>} Who waits for the next read. */
  #readers = new Set();
  /** @type {Set<() => readonly Api.SentMessage[]>} Who lists messages that were sent. */
  #senders = new Set([() => this.#now.results.flatMap((one) => one.messages)]);
  #messageWaits = new MessageWaits();
  #isFollowing = false;
  /** @type {Map<string, string>} The uids of saved blocks, by those that they had in runs from before. */
  #savedAs = new Map();

  /**
   * @param {{ uid: string }} report
   * @param {AbortSignal} signal
   */
  constructor(report, signal) {
    this.#path = `app/notebook/${part(report.uid)}`;
    this.#signal = signal;
  }

  /**
   * Call a function whenever the state has changed.
   *
   * @param {() => void} work
   */
  follow(work) {
    this.#followers.add(work);
  }

  /** Tell all parts that something has changed which they show. */
  announce() {
    for (const work of this.#followers) work();
  }

  /**
   * Read the state; it is there when this ends, also if somebody else began to read it later.
   *
   * @param {Pick<Ui.CallSettings, "isUnasked">} [settings]
   */
  read(settings = {}) {
    this.#turn += 1;
    this.#newest = this.#fetch(this.#turn, settings);
    return this.#newest;
  }

  /**
   * @param {number} turn
   * @param {Pick<Ui.CallSettings, "isUnasked">} settings
   * @returns {Promise<void>}
   */
  async #fetch(turn, { isUnasked }) {
    /** @type {Api.Notebook} */
    const now = await getRow(this.#path, { signal: this.#signal, isUnasked });
    if (turn !== this.#turn) return this.#newest;
    this.#now = now;
    this.readCount += 1;
    for (const resolve of this.#readers) resolve();
    this.#readers.clear();
    this.announce();
    this.followMessages();
  }

  /**
   * Follow what becomes of the messages of somebody else, too; the function given ends that.
   *
   * @param {() => readonly Api.SentMessage[]} list Lists them.
   */
  addSender(list) {
    this.#senders.add(list);
    return () => this.#senders.delete(list);
  }

  /** Read again while messages wait to be sent: no run changes by that, of which the page would hear. */
  async followMessages() {
    if (this.#isFollowing) return;
    this.#isFollowing = true;
    const waits = this.#messageWaits;
    try {
      while (waits.mayAskAgain([...this.#senders].flatMap((list) => list()))) {
        await pause(waits.count, this.#signal);
        waits.count += 1;
        await endureOutage(this.read({ isUnasked: true }));
      }
    } catch {
      // The page was left, or nobody is signed in: the live connection says so, and reads again.
    } finally {
      this.#isFollowing = false;
    }
  }

  /**
   * Read the references with some blocks as they are being written; the newest of them are there when this ends.
   *
   * @param {Api.TypedBlock[]} blocks
   */
  readTyped(blocks) {
    this.#typedTurn += 1;
    this.#newestTyped = this.#fetchTyped(this.#typedTurn, blocks);
    return this.#newestTyped;
  }

  /**
   * @param {number} turn
   * @param {Api.TypedBlock[]} blocks
   * @returns {Promise<void>}
   */
  async #fetchTyped(turn, blocks) {
    const typed = blocks.length ? await this.#readReferences(blocks, { isUnasked: true }) : null;
    if (turn !== this.#typedTurn) return this.#newestTyped;
    this.#typed = typed;
    this.announce();
  }

  /**
   * List what a run of a block runs besides it: what is typed in other blocks does not count.
   *
   * @param {string} uid
   * @param {Api.TypedBlock[]} typed The block as it runs, unless that is as it is saved.
   */
  async listUpstream(uid, typed) {
    const { blocks } = await this.#readReferences(typed);
    return blocks.find((one) => one.uid === uid)?.upstream ?? [];
  }

  /**
   * @param {Api.TypedBlock[]} blocks
   * @param {Pick<Ui.CallSettings, "isUnasked">} [settings]
   */
  async #readReferences(blocks, { isUnasked } = {}) {
    /** @type {{ result: Api.References }} */
    const { result } = await post(
      `${this.#path}/references`,
      { blocks },
      { signal: this.#signal, isUnasked },
    );
    return result;
  }

  get references() {
    return this.#typed ?? this.#now.references;
  }

  /** The references of what is saved: what a run follows. */
  get saved() {
    return this.#now.references;
  }

  /** @param {string} uid */
  getResult(uid) {
    return this.#now.results.find((one) => one.block_uid === uid) ?? null;
  }

  /** @param {string} uid */
  getRunning(uid) {
    const mine = this.#now.unfinished.filter(
      ({ block_uid }) => (this.#savedAs.get(block_uid) ?? block_uid) === uid,
    );
    return mine.at(-1) ?? null;
  }

  /**
   * Say which block a block was saved as that ran before.
   *
   * @param {string} before Its uid in the run.
   * @param {string} uid
   */
  identify(before, uid) {
    this.#savedAs.set(before, uid);
  }

  /**
   * List the unfinished runs of single blocks that are none of some blocks.
   *
   * @param {ReadonlySet<string>} uids
   */
  listOtherRuns(uids) {
    return this.#now.unfinished.filter(
      ({ kind, block_uid }) => kind === "block_run" && !uids.has(block_uid) && !this.#savedAs.has(block_uid),
    );
  }

  /** @param {string} uid */
  getReferences(uid) {
    return this.references.blocks.find((one) => one.uid === uid) ?? null;
  }

  /**
   * Wait until a run of one block has ended. An outage of the service does not end the wait. Who is signed out
   * meanwhile is not asked to sign in: it goes on when one has done so.
   *
   * @param {number} runId
   */
  async waitFor(runId) {
    let outages = 0;
    for (let tries = 0; ; tries += 1) {
      try {
        // Who has just started the run is there; whether anybody is later, nobody knows.
        await this.read({ isUnasked: tries > 0 });
        outages = 0;
        if (!this.#isOpen(runId)) return;
      } catch (error) {
        if (!isOutage(error) || outages === MOST_OUTAGES) throw error;
        outages += 1;
        if (error.status === 401) await this.#waitForRead();
      }
      await pause(tries, this.#signal);
    }
  }

  /** @param {number} runId */
  #isOpen(runId) {
    return this.#now.unfinished.some((one) => one.kind === "block_run" && one.run_id === runId);
  }

  /** Wait until somebody else has read the state, as the live connection does after a sign-in. @returns {Promise<void>} */
  #waitForRead() {
    return new Promise((resolve, reject) => {
      this.#readers.add(resolve);
      this.#signal.addEventListener("abort", () => reject(this.#signal.reason), { once: true });
    });
  }
}
