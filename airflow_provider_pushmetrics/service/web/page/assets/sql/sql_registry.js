// Which SQL editor belongs to which textarea.

/** What an open editor does for the other parts of the page, by its textarea. @type {WeakMap<HTMLTextAreaElement, Ui.OpenEditor>} */
const openEditors = new WeakMap();

/** What the elements `sql-editor` are made for; an element gets its class when that is loaded. @type {WeakMap<HTMLElement, Ui.SqlSettings>} */
const settingsOf = new WeakMap();

/**
 * @param {HTMLElement} host
 * @param {Ui.SqlSettings} settings
 */
export function setSettings(host, settings) {
  settingsOf.set(host, settings);
}

/** @param {HTMLElement} host */
export function getSettings(host) {
  const settings = settingsOf.get(host);
  if (!settings) throw new Error("An SQL editor is made by addSqlEditor");
  return settings;
}

/**
 * Tell that a textarea has an open editor, or none any more.
 *
 * @param {HTMLTextAreaElement} input
 * @param {Ui.OpenEditor | null} editor
 */
export function setOpenEditor(input, editor) {
  if (editor) openEditors.set(input, editor);
  else openEditors.delete(input);
}

/**
 * Insert a text at the cursor of a field.
 *
 * @param {HTMLTextAreaElement} input
 * @param {string} text
 */
export function insertText(input, text) {
  const editor = openEditors.get(input);
  if (editor) {
    editor.insert(text);
    return;
  }
  input.setRangeText(text, input.selectionStart, input.selectionEnd, "end");
  input.dispatchEvent(new Event("input", { bubbles: true }));
  input.focus();
}

/**
 * Show in the editor of a field where an error is, if it tells; null removes the mark of the one before.
 *
 * @param {HTMLTextAreaElement} input
 * @param {{ error: string, sql: string } | null} failure what the database said, and of what
 */
export function showFailure(input, failure) {
  // A text that was changed since has other lines.
  openEditors.get(input)?.showFailure(failure && input.value === failure.sql ? failure : null);
}
