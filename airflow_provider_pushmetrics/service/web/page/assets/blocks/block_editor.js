// The form of one block, by its type. What the service says against it stands in the form.

import { isTouched } from "../drafts/unsaved.js";
import { quote } from "../elements/format.js";
import { inRow, makeForm, readValues, textField } from "../elements/forms.js";
import { tell } from "../elements/notices.js";
import { part } from "../http/addresses.js";
import { getRow, post, put } from "../http/api.js";
import { showFailure } from "../sql/sql_registry.js";
import { EDITORS } from "./block_fields.js";
import { readBlock } from "./block_list.js";

/**
 * Make the form of a block; one without a uid is new. `whenSaved` gets what the service saved, and whether something
 * was typed since.
 *
 * @param {Ui.EditedBlock} block
 * @param {Ui.BlockContext} context
 * @param {{ thing: string, close: () => void, whenSaved: Ui.WhenSaved }} settings
 * @returns {Ui.BlockForm}
 */
export function makeEditor(block, context, { thing, close, whenSaved }) {
  const editor = EDITORS[block.type];
  const fields = editor.makeFields(block.content, context);
  const makeContent = (/** @type {Ui.Values} */ values) => dropEmpty(editor.read(values));
  let saved = block;
  const form = makeForm({
    thing,
    isNew: !isSaved(block),
    isOutdated: async () => isSaved(saved) && (await isChanged(saved)),
    fields: [...makeNameFields(block), ...fields],
    submit: block.uid ? "Save" : "Add the block",
    cancel: close,
    async send({ name, verbose_name, ...values }, accept) {
      const content = { ...keepUnknown(saved, fields), ...makeContent(values) };
      const body = { name, verbose_name: verbose_name || null, content };
      const { warnings = [], ...row } = await sendBlock(saved, context, body);
      saved = readBlock(row);
      await whenSaved(row, accept());
      tell([`Block ${quote(name)} is saved`, ...findOwn(warnings, name)].join(". Warning: "));
    },
  });
  const find = (/** @type {string} */ name) => form.elements.namedItem(name);
  return {
    node: form,
    readContent: () => ({ ...keepUnknown(saved, fields), ...makeContent(readValues(fields)) }),
    readName: () => /** @type {HTMLInputElement} */ (find("name")).value.trim(),
    isTouched: () => isTouched(/** @type {HTMLElement} */ (form.parentElement)),
    showFailure(failure) {
      const input = find("sql");
      if (input instanceof HTMLTextAreaElement) showFailure(input, failure);
    },
  };
}

/** @param {Ui.EditedBlock} block */
function makeNameFields(block) {
  return inRow(
    textField("name", "Name", {
      value: block.name ?? "",
      required: true,
      maxlength: 255,
      hint: "Other blocks refer to it by this name.",
    }),
    textField("verbose_name", "Title", { value: block.verbose_name ?? "", maxlength: 255 }),
  );
}

/**
 * @param {Ui.EditedBlock} block
 * @param {Ui.BlockContext} context
 * @param {object} body
 */
async function sendBlock(block, { report }, body) {
  /** @type {{ result: Api.BlockRow }} */
  const { result } = isSaved(block)
    ? await put(`api/v1/block/${part(block.uid)}`, body)
    : await post("api/v1/block/", { ...body, type: block.type, report_id: report.id });
  return result;
}

/**
 * Tell whether somebody has changed a block since it was read.
 *
 * @param {Api.Block} block
 */
async function isChanged(block) {
  /** @type {Api.BlockRow} */
  const now = await getRow(`api/v1/block/${part(block.uid)}`);
  return !hasSameText(now, block);
}

/**
 * Tell whether a block says the same as another; its place does not count.
 *
 * @param {Api.BlockRow} one
 * @param {Api.BlockRow} other
 */
export const hasSameText = (one, other) =>
  one.name === other.name &&
  one.verbose_name === other.verbose_name &&
  one.content_json === other.content_json;

/**
 * Find the warnings about a block.
 *
 * @param {string[]} warnings
 * @param {string} name
 */
const findOwn = (warnings, name) =>
  warnings.filter(
    (warning) => warning.startsWith(`block '${name}'`) || warning.startsWith(`block "${name}"`),
  );

/**
 * @param {Ui.EditedBlock} block
 * @returns {block is Api.Block}
 */
const isSaved = (block) => block.uid !== undefined;

/**
 * Keep the keys of a content that no field shows.
 *
 * @param {Ui.EditedBlock} block
 * @param {Ui.FormPart[]} fields
 */
function keepUnknown(block, fields) {
  const shown = new Set([...fields.map((field) => field.name), "limit", "timeout_seconds", "database"]);
  return Object.fromEntries(Object.entries(block.content).filter(([key]) => !shown.has(key)));
}

/** @param {Api.Content} content */
function dropEmpty(content) {
  return Object.fromEntries(Object.entries(content).filter(([, value]) => value !== undefined));
}
