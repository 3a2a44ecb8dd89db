// Which of several drawings of one place is shown: a drawing takes time, and a newer one may have begun meanwhile.

export class DrawingTurns {
  #turn = 0;
  /** Ends what is shown. */
  #end = () => {};

  /**
   * Begin another drawing; what is shown stays.
   *
   * @returns {() => boolean} Whether something newer has begun.
   */
  begin() {
    this.#turn += 1;
    const own = this.#turn;
    return () => own !== this.#turn;
  }

  /** End what is shown. */
  clear() {
    const end = this.#end;
    this.#end = () => {};
    end();
  }

  /** End what is shown, and what is being drawn when it is ready. */
  stop() {
    this.#turn += 1;
    this.clear();
  }

  /**
   * Draw, in place of what is shown. What is ready too late is ended at once, and its fault is nobody's.
   *
   * @param {() => boolean} isOver What the beginning of the drawing gave.
   * @param {() => Promise<() => void>} draw Gives what ends the drawing.
   * @returns {Promise<boolean>} Whether it is shown.
   */
  async show(isOver, draw) {
    if (isOver()) return false;
    this.clear();
    try {
      const end = await draw();
      if (isOver()) {
        end();
        return false;
      }
      this.#end = end;
      return true;
    } catch (error) {
      if (isOver()) return false;
      throw error;
    }
  }
}
