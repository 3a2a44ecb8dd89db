// Forms: fields that know their names, and what happens when they are sent.

import { followTyping, save } from "../drafts/draft_notes.js";
import { describeError, isAbort } from "../http/errors.js";
import { add, el, fill, keepFocus, makeId } from "./dom.js";
import { confirmDiscard } from "./notices.js";

/**
 * Make a field around an input: its label, a hint, and how its value is read.
 *
 * @template {Ui.Input} Element
 * @template Value
 * @param {string} name
 * @param {string} label
 * @param {Element} input
 * @param {{ hint?: string, read: () => Value }} settings
 * @returns {Ui.Field<Value, Element>}
 */
function makeField(name, label, input, { hint, read }) {
  const id = makeId(name);
  input.id = id;
  input.name = name;
  const hintId = hint ? `${id}-hint` : null;
  if (hintId) input.setAttribute("aria-describedby", hintId);
  const node = el(
    "div",
    { class: "field" },
    el("label", { for: id }, label),
    input,
    hint && el("p", { class: "hint", id: hintId }, hint),
  );
  return { name, node, input, read };
}

/**
 * @param {string} name
 * @param {string} label
 * @param {Ui.FieldSettings} settings
 */
export function textField(name, label, { hint, type = "text", ...settings } = {}) {
  const input = el("input", { type, ...settings });
  return makeField(name, label, input, { hint, read: () => input.value.trim() });
}

/**
 * @param {string} name
 * @param {string} label
 * @param {Ui.FieldSettings & { value?: string, rows?: number, isCode?: boolean }} settings
 */
export function areaField(name, label, { hint, value = "", rows = 4, isCode = false, ...settings } = {}) {
  const lines = Math.min(Math.max(rows, value.split("\n").length + 1), 24);
  const input = el("textarea", {
    rows: lines,
    class: isCode ? "code" : null,
    spellcheck: isCode ? "false" : "true",
    value,
    ...settings,
  });
  return makeField(name, label, input, { hint, read: () => input.value });
}

/**
 * Make a choice: `options` are [value, label].
 *
 * @param {string} name
 * @param {string} label
 * @param {readonly Ui.Option[]} options
 * @param {Ui.FieldSettings} settings
 */
export function choiceField(name, label, options, { hint, value, ...settings } = {}) {
  const input = el(
    "select",
    settings,
    options.map(([key, text]) =>
      el("option", { value: key, selected: String(key) === String(value ?? "") }, text),
    ),
  );
  return makeField(name, label, input, { hint, read: () => input.value });
}

/**
 * @param {string} name
 * @param {string} label
 * @param {{ checked?: boolean, hint?: string }} settings
 * @returns {Ui.Field<boolean, HTMLInputElement>}
 */
export function checkField(name, label, { checked = false, hint } = {}) {
  const id = makeId(name);
  const hintId = hint ? `${id}-hint` : null;
  const input = el("input", { type: "checkbox", id, name, checked, "aria-describedby": hintId });
  const node = el(
    "div",
    { class: "field check" },
    input,
    el("label", { for: id }, label),
    hint && el("p", { class: "hint", id: hintId }, hint),
  );
  return { name, node, input, read: () => input.checked };
}

/**
 * Make a list of recipients, one a line; the service splits lines at commas and semicolons too.
 *
 * @param {string} name
 * @param {string} label
 * @param {{ value?: string[], hint?: string, required?: boolean }} settings
 * @returns {Ui.Field<string[], HTMLTextAreaElement>}
 */
export function listField(name, label, { value = [], ...settings } = {}) {
  const field = areaField(name, label, { value: value.join("\n"), rows: 2, ...settings });
  return {
    ...field,
    read: () =>
      field.input.value
        .split("\n")
        .map((one) => one.trim())
        .filter(Boolean),
  };
}

/**
 * Make a group of boxes, of which some are ticked.
 *
 * @param {string} name
 * @param {string} label
 * @param {string[]} options
 * @param {string[]} chosen
 * @returns {Ui.FormPart}
 */
export function groupField(name, label, options, chosen = []) {
  const boxes = options.map((option) =>
    el("input", { type: "checkbox", name, value: option, checked: chosen.includes(option) }),
  );
  const rows = boxes.map((box) => el("label", { class: "box" }, box, box.value));
  const node = el("fieldset", { class: "field boxes" }, el("legend", {}, label), rows);
  return { name, node, read: () => boxes.filter((box) => box.checked).map((box) => box.value) };
}

/**
 * Make a form. `send(values)` does what it is for; what the service says against it stands in the form. Who has typed
 * something is asked before it is cancelled; with the name of a `thing`, a draft of it is kept and restored.
 *
 * @param {Ui.FormSettings} settings
 */
export function makeForm(settings) {
  const { fields, submit, cancel = null, more = [], kind = "primary" } = settings;
  const fault = el("p", { class: "fault", role: "alert", hidden: true });
  const confirm = el("button", { type: "submit", class: kind }, submit);
  const actions = el("div", { class: "actions" }, confirm, more);
  const form = el(
    "form",
    { method: "post", class: "stack" },
    fields.map((field) => field.node ?? field),
    fault,
    actions,
  );
  const typed = followTyping(form, settings);
  const leave = async () => {
    if (typed.isTouched && !(await confirmDiscard())) return;
    typed.discard();
    cancel?.();
  };
  if (cancel) add(actions, [el("button", { type: "button", class: "quiet", onclick: leave }, "Cancel")]);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    confirm.disabled = true;
    fault.hidden = true;
    try {
      await save(typed, readValues(fields), settings);
    } catch (error) {
      if (isAbort(error)) return;
      fill(fault, describeError(error));
      fault.hidden = false;
    } finally {
      confirm.disabled = false;
      keepFocus(confirm);
    }
  });
  return form;
}

/**
 * Read the values of fields by their names.
 *
 * @param {readonly Ui.FormPart[]} fields
 * @returns {Ui.Values}
 */
export function readValues(fields) {
  return Object.fromEntries(fields.flatMap(({ name, read }) => (name && read ? [[name, read()]] : [])));
}

/**
 * Put fields beside each other, where there is room.
 *
 * @param {...Ui.FormPart} fields
 * @returns {Ui.FormPart[]}
 */
export function inRow(...fields) {
  const row = el(
    "div",
    { class: "row" },
    fields.map((field) => field.node),
  );
  return fields.map((field, index) => ({ ...field, node: index ? document.createComment("") : row }));
}

/**
 * Show a field only while a condition holds.
 *
 * @template {Ui.Field} Part
 * @param {Part} field
 * @param {Ui.Input} source
 * @param {(value: string) => boolean} condition
 * @returns {Part}
 */
export function showWhile(field, source, condition) {
  const update = () => {
    field.node.hidden = !condition(source.value);
  };
  source.addEventListener("change", update);
  update();
  return field;
}

/**
 * Make options whose labels are their values.
 *
 * @param {string[]} names
 * @returns {Ui.Option[]}
 */
export const nameOptions = (names) => names.map((name) => [name, name]);
