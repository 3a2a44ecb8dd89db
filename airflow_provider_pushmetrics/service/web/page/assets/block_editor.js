// The form of one block, by its type. What the service says against it stands in the form.

import { part } from "./addresses.js";
import { post, put } from "./api.js";
import { EDITORS } from "./block_fields.js";
import { tryContent } from "./block_trial.js";
import { button } from "./buttons.js";
import { el } from "./dom.js";
import { inRow, makeForm, readValues, textField } from "./forms.js";
import { tell } from "./notices.js";
import { reload } from "./router.js";

/**
 * Make the form of a block; one without a uid is new.
 *
 * @param {Ui.Draft} block
 * @param {Ui.BlockContext} context
 * @param {{ close: () => void }} settings
 */
export function makeEditor(block, context, { close }) {
  const editor = EDITORS[block.type];
  const names = inRow(
    textField("name", "Name", {
      value: block.name ?? "",
      required: true,
      maxlength: 255,
      hint: "Other blocks refer to it by this name.",
    }),
    textField("verbose_name", "Title", { value: block.verbose_name ?? "", maxlength: 255 }),
  );
  const fields = editor.makeFields(block.content, context);
  const readContent = () => dropEmpty(editor.read(readValues(fields)));
  const trial = el("div", {});
  const tryButton =
    isSaved(block) &&
    block.type === "sql" &&
    button("Try it", () => tryContent(trial, block, context, readContent()), {
      title: "Run this text without saving it",
    });
  const form = makeForm({
    fields: [...names, ...fields],
    submit: block.uid ? "Save" : "Add the block",
    cancel: close,
    more: [tryButton],
    async send({ name, verbose_name }) {
      const body = {
        name,
        verbose_name: verbose_name || null,
        content: { ...keepUnknown(block, fields), ...readContent() },
      };
      /** @type {{ result: Api.BlockRow }} */
      const { result } = block.uid
        ? await put(`api/v1/block/${part(block.uid)}`, body)
        : await post("api/v1/block/", { ...body, type: block.type, report_id: context.report.id });
      await reload();
      const warnings = (result.warnings ?? []).filter(
        (warning) => warning.startsWith(`block '${name}'`) || warning.startsWith(`block "${name}"`),
      );
      tell([`Block “${name}” is saved`, ...warnings].join(". Warning: "));
    },
  });
  form.addEventListener("keydown", (event) => {
    if (!tryButton || event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    tryButton.click();
  });
  return [form, trial];
}

/**
 * @param {Ui.Draft} block
 * @returns {block is Api.Block}
 */
const isSaved = (block) => block.uid !== undefined;

/**
 * Keep the keys of a content that no field shows.
 *
 * @param {Ui.Draft} block
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
