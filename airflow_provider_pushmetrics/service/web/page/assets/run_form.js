// Running a report: the form for its parameters, and the start.

import { part } from "./addresses.js";
import { get, post } from "./api.js";
import { getBlocks } from "./block_list.js";
import { el } from "./dom.js";
import { checkField, choiceField, groupField, makeForm, nameOptions, textField } from "./forms.js";
import { showDialog } from "./notices.js";
import { go } from "./router.js";

/**
 * Ask for a report's parameters and run it; the page of the run follows.
 *
 * @param {Api.Report} report
 */
export async function runReport(report) {
  const blocks = await getBlocks(report);
  const hasMessages = blocks.some((block) => block.type === "email" || block.type === "slack");
  const wanted = await askForParameters(blocks, `Run ${report.name}`, { hasMessages, alwaysAsks: true });
  if (!wanted) return;
  /** @type {{ result: { run_id: number } }} */
  const { result } = await post(`api/v1/report/${part(report.uid)}/run/noteflow`, wanted);
  await go(`reports/${part(report.uid)}/runs/${result.run_id}`);
}

/**
 * Ask for the values of parameters; an empty text field has its default. Null if nothing is to run.
 *
 * @param {Api.Block[]} blocks
 * @param {string} title
 * @param {{ hasMessages?: boolean, alwaysAsks?: boolean }} settings
 * @returns {Promise<Ui.RunRequest | null>}
 */
export async function askForParameters(blocks, title, { hasMessages = false, alwaysAsks = false } = {}) {
  const parameters = blocks.filter((block) => block.type === "parameter");
  const fields = await Promise.all(parameters.map(makeParameterField));
  if (!fields.length && !alwaysAsks) return { parameters: {} };
  const preview = hasMessages ? makePreviewFields() : [];
  return showDialog(title, (close) => [
    !fields.length && el("p", { class: "hint" }, "It has no parameters."),
    makeForm({
      fields: [...fields, ...preview],
      submit: "Run",
      cancel: () => close(null),
      send: (values) => close(readWanted(fields, values)),
    }),
  ]);
}

/** @type {Record<string, Ui.Settings>} */
const KINDS = {
  date: { type: "date" },
  timestamp: { type: "datetime-local", step: 1 },
  integer: { inputmode: "numeric" },
  number: { inputmode: "decimal" },
};

/**
 * @param {Api.Block} block
 * @returns {Promise<Ui.FormPart>}
 */
async function makeParameterField({ uid, name, verbose_name: title, content }) {
  const hasDefault = content.default !== null && content.default !== undefined;
  const label = title ? `${title} (${name})` : name;
  const settings = {
    required: Boolean(content.required),
    hint: [
      content.multiple ? `list of ${content.type ?? "any"}, with commas between` : (content.type ?? "any"),
      content.required && "must be given",
      hasDefault && `empty for ${JSON.stringify(content.default)}`,
    ]
      .filter(Boolean)
      .join(", "),
  };
  const choices = content.choices ? await getChoices(uid) : [];
  if (choices.length && content.multiple)
    return groupField(name, label, choices.map(String), [content.default ?? []].flat().map(String));
  /** @type {string[] | null} */
  const options = choices.length
    ? choices.map(String)
    : content.type === "boolean" && !content.multiple
      ? ["true", "false"]
      : null;
  if (options) {
    /** @type {Ui.Option} */
    const empty = ["", content.required ? "Choose" : "As by default"];
    return choiceField(name, label, [empty, ...nameOptions(options)], settings);
  }
  return textField(name, label, { ...settings, ...(content.multiple ? {} : KINDS[content.type]) });
}

/**
 * Get the values to choose from; none where there are, or may be, others: those are typed.
 *
 * @param {string} uid
 */
async function getChoices(uid) {
  /** @type {Api.Choices} */
  const { result, is_complete: isComplete } = await get(`api/v1/block/${part(uid)}/choices`);
  return isComplete ? result : [];
}

function makePreviewFields() {
  const box = checkField("_send_to_me", "Preview: send mails only to me, and no other messages");
  const address = textField("_email", "My address", { type: "email" });
  return [box, address];
}

/**
 * @param {Ui.FormPart[]} fields
 * @param {Ui.Values} values
 * @returns {Ui.RunRequest}
 */
function readWanted(fields, values) {
  // No box ticked is an empty list, not the default.
  const given = fields.map(({ name = "" }) => [name, values[name]]).filter(([, value]) => value !== "");
  /** @type {Ui.RunRequest} */
  const wanted = { parameters: Object.fromEntries(given) };
  if (values._send_to_me) wanted.options = { send_to_me: true, email: values._email || null };
  return wanted;
}
