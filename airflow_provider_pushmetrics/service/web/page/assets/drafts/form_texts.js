// What stands in the fields of a form, as texts by their names.

/**
 * @param {HTMLFormElement} form
 * @returns {Ui.Input[]}
 */
const listFields = (form) =>
  [...form.querySelectorAll(/** @type {"input"} */ ("input,select,textarea"))].filter((field) => field.name);

/** @param {Ui.Input} field */
const isBox = (field) => field instanceof HTMLInputElement && ["checkbox", "radio"].includes(field.type);

/** @param {Ui.Input} field */
const nameField = (field) => (isBox(field) ? `${field.name}=${field.value}` : field.name);

/**
 * Read what stands in the fields of a form.
 *
 * @param {HTMLFormElement} form
 * @returns {Ui.Texts}
 */
export function readTexts(form) {
  const read = (/** @type {Ui.Input} */ field) =>
    isBox(field) ? String(/** @type {HTMLInputElement} */ (field).checked) : field.value;
  return Object.fromEntries(listFields(form).map((field) => [nameField(field), read(field)]));
}

/**
 * Put texts into the fields of a form. What follows a field, such as an editor, learns of it by its events.
 *
 * @param {HTMLFormElement} form
 * @param {Ui.Texts} texts
 */
export function writeTexts(form, texts) {
  const before = readTexts(form);
  const changed = listFields(form).filter((field) => {
    const text = texts[nameField(field)];
    return text !== undefined && text !== before[nameField(field)];
  });
  for (const field of changed) writeText(field, texts[nameField(field)]);
  for (const field of changed) {
    for (const name of ["input", "change"]) field.dispatchEvent(new Event(name, { bubbles: true }));
  }
}

/**
 * @param {Ui.Input} field
 * @param {string} text
 */
function writeText(field, text) {
  if (isBox(field)) Object.assign(field, { checked: text === "true" });
  else if (!(field instanceof HTMLSelectElement) || [...field.options].some((one) => one.value === text))
    field.value = text;
}

/**
 * List the fields that hold secrets by their kind.
 *
 * @param {HTMLFormElement} form
 */
export const listSecrets = (form) =>
  listFields(form)
    .filter(
      (field) =>
        field instanceof HTMLInputElement &&
        (field.type === "password" || field.getAttribute("autocomplete") === "off"),
    )
    .map(nameField);

/**
 * Find what stands beside a field.
 *
 * @param {HTMLFormElement} form
 * @param {string} name
 */
export function findLabel(form, name) {
  const field = listFields(form).find((one) => nameField(one) === name);
  return field?.closest(".field")?.querySelector("label,legend")?.textContent ?? name;
}
