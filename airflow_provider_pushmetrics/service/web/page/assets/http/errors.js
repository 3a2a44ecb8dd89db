// What went wrong, as pages tell it.

export const NO_ANSWER = "The service does not respond. Check that it is running and that the network works.";

/** An answer that is not 2xx; its message is the service's. Without any answer, its status is 0. */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {string} message
   */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/**
 * Tell whether the same call may succeed later: the service does not answer, is overloaded, or nobody is signed in.
 *
 * @param {unknown} error
 * @returns {error is ApiError}
 */
export const isOutage = (error) =>
  error instanceof ApiError && ([0, 401, 429].includes(error.status) || error.status >= 500);

/**
 * Tell whether something ended because its page was left.
 *
 * @param {unknown} error
 */
export const isAbort = (error) => error instanceof DOMException && error.name === "AbortError";

/**
 * Write what went wrong.
 *
 * @param {unknown} error
 */
export const describeError = (error) => (error instanceof Error ? error.message : String(error));
