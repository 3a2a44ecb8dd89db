// What went wrong, as pages tell it.

export const NO_ANSWER = "The service does not respond. Check that it is running and that the network works.";

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
