// How long a page goes on asking what became of messages that wait to be sent.

/** So often in succession, which are some minutes: another attempt to send a message may come hours later. */
export const MOST_MESSAGE_READS = 100;

export class MessageWaits {
  #waiting = "";
  /** How often it was asked about those that wait now. */
  count = 0;

  /**
   * Tell whether to ask again. When another message waits, such as one that is sent again, the count begins anew.
   *
   * @param {readonly Pick<Api.SentMessage, "uid" | "status">[]} messages
   */
  mayAskAgain(messages) {
    const waiting = messages
      .filter(({ status }) => status === "pending")
      .map(({ uid }) => uid)
      .sort()
      .join();
    if (waiting !== this.#waiting) this.count = 0;
    this.#waiting = waiting;
    return waiting !== "" && this.count < MOST_MESSAGE_READS;
  }
}
