// The SQL editor on a page: it is loaded when a form with SQL is opened. The textarea stays the value of the form, and
// is itself the editor until the other one is there, or if that cannot load.

import { el } from "../elements/dom.js";
import { setSettings } from "./sql_registry.js";

/**
 * Give a field of SQL the editor.
 *
 * @param {Ui.Field<string, HTMLTextAreaElement>} field
 * @param {Omit<Ui.SqlSettings, "input">} settings
 */
export function addSqlEditor(field, settings) {
  const host = document.createElement("sql-editor");
  setSettings(host, { ...settings, input: field.input });
  const note = el("p", { class: "hint" });
  field.input.before(host);
  field.input.after(note);
  loadEditor(note);
  return field;
}

/** @param {HTMLElement} note */
async function loadEditor(note) {
  try {
    await import("./sql_element.js");
    note.remove();
  } catch {
    note.textContent = "The SQL editor could not be loaded. This is a plain text field.";
  }
}
