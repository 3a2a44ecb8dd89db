// The keys of a block: Ctrl+Enter runs it, and Shift+Enter runs it and goes on to the next.

/** Where Shift+Enter is a key of the field: it writes a new line, or does nothing. */
const FIELDS = "input,select,textarea:not([name=sql])";

/**
 * Read what a key does with a block; null if nothing.
 *
 * @param {KeyboardEvent} event
 * @returns {"run" | "goOn" | null}
 */
export function readKey(event) {
  if (event.key !== "Enter" || event.isComposing) return null;
  if (event.ctrlKey || event.metaKey) return "run";
  const [target] = event.composedPath(); // it may be within the SQL editor, such as its search
  const isInField = target instanceof Element && target.closest(FIELDS);
  return event.shiftKey && !isInField ? "goOn" : null;
}

/**
 * Whether a key would save the form of a field: Shift+Enter as Enter does, which is not asked for.
 *
 * @param {KeyboardEvent} event
 */
export const wouldSave = (event) =>
  event.key === "Enter" &&
  event.shiftKey &&
  !event.isComposing &&
  event.composedPath()[0] instanceof HTMLInputElement;
