// Which of many results is read next: a few at a time, and those near what is seen before all others.

/** @template {object} Place */
export class ReadingQueue {
  #most;
  /** @type {Map<Place, AbortController>} What is being read. */
  #reading = new Map();
  /** @type {Map<Place, (signal: AbortSignal) => Promise<unknown>>} What is still to be read, in the order in which it was added. */
  #waiting = new Map();
  /** @type {Set<Place>} The places that are read only while they are near. */
  #onlyNear = new Set();
  /** @type {Set<Place>} The places near what is seen. */
  #near = new Set();

  /** @param {number} most How many are read at a time. */
  constructor(most) {
    this.#most = most;
  }

  /** List the places that are being read, and those that are still to be. */
  get places() {
    return [...this.#reading.keys(), ...this.#waiting.keys()];
  }

  /**
   * Add what a place shows; it is read by a later `readNext`.
   *
   * @param {Place} place
   * @param {(signal: AbortSignal) => Promise<unknown>} read
   * @param {Pick<Ui.ReadSettings, "isOnlyNear">} [settings]
   */
  add(place, read, { isOnlyNear = false } = {}) {
    this.#waiting.set(place, read);
    if (isOnlyNear) this.#onlyNear.add(place);
  }

  /**
   * Drop some places. Those that are being read are aborted, and others are read at once: a read that hangs may not end.
   *
   * @param {readonly Place[]} places
   */
  drop(places) {
    for (const place of places) this.#remove(place);
    for (const place of places) {
      this.#reading.get(place)?.abort();
      this.#reading.delete(place);
    }
    this.readNext();
  }

  /** @param {Place} place */
  #remove(place) {
    for (const one of [this.#waiting, this.#onlyNear, this.#near]) one.delete(place);
  }

  /**
   * Say whether a place is near what is seen now.
   *
   * @param {Place} place
   * @param {boolean} isNear
   */
  mark(place, isNear) {
    if (isNear && this.#waiting.has(place)) this.#near.add(place);
    else this.#near.delete(place);
  }

  /** Read as many as may be read at a time; when one of them has ended, also by a failure, the next one begins. */
  readNext() {
    while (this.#reading.size < this.#most) {
      const place = this.#choose();
      if (!place) return;
      this.#read(place);
    }
  }

  #choose() {
    const places = [...this.#waiting.keys()];
    return (
      places.find((place) => this.#near.has(place)) ?? places.find((place) => !this.#onlyNear.has(place))
    );
  }

  /** @param {Place} place */
  async #read(place) {
    const read = this.#waiting.get(place);
    this.#remove(place);
    const own = new AbortController();
    this.#reading.set(place, own);
    try {
      await read?.(own.signal);
    } catch {
      // Who reads shows what went wrong.
    }
    if (this.#reading.get(place) !== own) return; // it was dropped, and another one has its turn
    this.#reading.delete(place);
    this.readNext();
  }
}
