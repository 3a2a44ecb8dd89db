// Which of many results is read next: a few at a time, and those near what is seen before all others.

/** @template {object} Place */
export class ReadingQueue {
  #most;
  #reading = 0;
  /** @type {Map<Place, () => Promise<unknown>>} What is still to be read, in the order in which it was added. */
  #waiting = new Map();
  /** @type {Set<Place>} The places that are read only while they are near. */
  #onlyNear = new Set();
  /** @type {Set<Place>} The places near what is seen. */
  #near = new Set();

  /** @param {number} most How many are read at a time. */
  constructor(most) {
    this.#most = most;
  }

  /** List the places that are still to be read. */
  get places() {
    return [...this.#waiting.keys()];
  }

  /**
   * Add what a place shows; it is read by a later `readNext`.
   *
   * @param {Place} place
   * @param {() => Promise<unknown>} read
   * @param {Ui.ReadSettings} [settings]
   */
  add(place, read, { isOnlyNear = false } = {}) {
    this.#waiting.set(place, read);
    if (isOnlyNear) this.#onlyNear.add(place);
  }

  /** @param {Place} place */
  remove(place) {
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
    while (this.#reading < this.#most) {
      const place = this.#choose();
      if (!place) return;
      this.#read(place);
    }
  }

  #choose() {
    const { places } = this;
    return (
      places.find((place) => this.#near.has(place)) ?? places.find((place) => !this.#onlyNear.has(place))
    );
  }

  /** @param {Place} place */
  async #read(place) {
    const read = this.#waiting.get(place);
    this.remove(place);
    this.#reading += 1;
    try {
      await read?.();
    } catch {
      // Who reads shows what went wrong.
    }
    this.#reading -= 1;
    this.readNext();
  }
}
