// Running a report: the form for its parameters, and the start.

import { getBlocks } from "../blocks/block_list.js";
import { el, makeId } from "../elements/dom.js";
import { isolate } from "../elements/format.js";
import {
  checkField as boxField,
  choiceField,
  groupField,
  makeForm,
  nameOptions,
  textField,
} from "../elements/forms.js";
import { showDialog } from "../elements/notices.js";
import { go } from "../elements/router.js";
import { part } from "../http/addresses.js";
import { get, post } from "../http/api.js";
import {
  checkText,
  describeParameter,
  describeWanted,
  fitsOwnField,
  listValues,
  readValue,
  writeValue,
} from "./parameter_values.js";

/**
 * Ask for a report's parameters and run it; the page of the run follows.
 *
 * @param {Pick<Api.Report, "id" | "uid" | "name">} report
 * @param {Record<string, unknown>} [initial] The values that the form begins with, instead of the defaults.
 */
export async function runReport(report, initial) {
  const blocks = await getBlocks(report);
  const hasMessages = blocks.some((block) => block.type === "email" || block.type === "slack");
  /** @param {Ui.RunRequest} wanted */
  const start = async (wanted) => {
    /** @type {{ result: { run_id: number } }} */
    const { result } = await post(`api/v1/report/${part(report.uid)}/run/noteflow`, wanted);
    return result.run_id;
  };
  const run = await showRunForm(blocks, `Run ${report.name}`, { hasMessages, initial, start });
  if (run !== null) await go(`reports/${part(report.uid)}/runs/${run}`);
}

/**
 * Ask for the values of parameters. Null if nothing is to run.
 *
 * @param {Api.Block[]} blocks
 * @param {string} title
 * @returns {Promise<Ui.RunRequest | null>}
 */
export async function askForParameters(blocks, title) {
  if (!blocks.some(isParameter)) return { parameters: {} };
  return showRunForm(blocks, title, { start: async (wanted) => wanted });
}

/** @param {Api.Block} block */
const isParameter = (block) => block.type === "parameter";

/**
 * Show the form for parameters. What the service refuses when it starts stands in the form, with all that was entered.
 *
 * @template Answer
 * @param {Api.Block[]} blocks
 * @param {string} title
 * @param {{ hasMessages?: boolean, initial?: Record<string, unknown>, start: (wanted: Ui.RunRequest) => Promise<Answer> }} settings
 * @returns {Promise<Answer | null>}
 */
async function showRunForm(blocks, title, { hasMessages = false, initial = {}, start }) {
  const fields = await Promise.all(
    blocks.filter(isParameter).map((block) => makeParameterField(block, initial[block.name])),
  );
  const preview = hasMessages ? makePreviewFields() : [];
  // A run may have values without a parameter, which its templates use all the same.
  const others = Object.entries(initial).filter(([name]) => !fields.some((field) => field.name === name));
  return showDialog(title, (/** @type {Ui.Close<Answer>} */ close) => [
    !fields.length && el("p", { class: "hint" }, "It has no parameters."),
    makeForm({
      fields: [...fields, ...preview],
      submit: "Run",
      cancel: () => close(null),
      send: async (values) => close(await start(readWanted(fields, values, Object.fromEntries(others)))),
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
 * @param {unknown} initial
 * @param {AbortSignal} [signal]
 * @returns {Promise<Ui.ParameterField>}
 */
export async function makeParameterField(block, initial, signal) {
  const { uid, name, verbose_name: title, content } = block;
  const label = title ? `${isolate(title)} (${isolate(name)})` : name;
  const choices = content.choices ? await getChoices(uid, signal) : [];
  const start = initial === undefined ? content.default : initial;
  if (choices.length && content.multiple) return makeBoxes(name, label, choices.map(String), start, initial);
  const text = writeValue(content, start);
  const field = makeTextField(block, label, choices.length ? choices.map(String) : null, text);
  const begin = field.read();
  return {
    ...field,
    check: () => checkField(block, field, begin),
    getValue: () => readValue(content, field.read(), begin, initial),
  };
}

/**
 * @param {Api.Block} block
 * @param {string} label
 * @param {string[] | null} choices
 * @param {string} text
 */
function makeTextField({ name, content }, label, choices, text) {
  const settings = { required: Boolean(content.required), hint: describeParameter(content), value: text };
  const options = choices ?? (content.type === "boolean" && !content.multiple ? ["true", "false"] : null);
  if (!options) {
    const kind = content.multiple || !fitsOwnField(content, text) ? {} : KINDS[content.type];
    return textField(name, label, { ...settings, ...kind });
  }
  // A value that is no longer among the choices is shown, and refused by the service.
  const known = options.includes(text) || !text ? options : [text, ...options];
  /** @type {Ui.Option} */
  const empty = ["", content.required ? "Choose" : "No value"];
  return choiceField(name, label, [empty, ...nameOptions(known)], settings);
}

/**
 * Make a box for each choice. No box ticked is an empty list.
 *
 * @param {string} name
 * @param {string} label
 * @param {string[]} choices
 * @param {unknown} start
 * @param {unknown} initial
 * @returns {Ui.ParameterField}
 */
function makeBoxes(name, label, choices, start, initial) {
  const field = groupField(name, label, choices, listValues(start).map(String));
  const begin = JSON.stringify(field.read?.());
  return {
    ...field,
    name,
    check: () => null,
    getValue: () => (JSON.stringify(field.read?.()) === begin ? initial : field.read?.()),
  };
}

/**
 * Say what is wrong with the value of a field, and mark it; null if nothing is. What was not changed is the service's
 * own value, of which the field may show another text.
 *
 * @param {Api.Block} block
 * @param {Ui.Field<string>} field
 * @param {string} begin The text that the field began with.
 */
function checkField(block, { node, input, read }, begin) {
  const isUnchanged = begin !== "" && read() === begin;
  // A browser gives no text for a date that is not complete.
  const fault = input.validity.badInput
    ? describeWanted(block)
    : isUnchanged
      ? null
      : checkText(block, read());
  showFault(node, input, fault);
  return fault;
}

/**
 * Show under a field what is wrong with its value.
 *
 * @param {HTMLElement} node
 * @param {Ui.Input} input
 * @param {string | null} fault
 */
function showFault(node, input, fault) {
  const known = node.querySelector(".fault");
  const place = known ?? el("p", { class: "fault", id: makeId("fault") });
  if (!known && fault) {
    node.append(place);
    const described = [input.getAttribute("aria-describedby"), place.id].filter(Boolean);
    input.setAttribute("aria-describedby", described.join(" "));
  }
  place.textContent = fault;
  input.setAttribute("aria-invalid", String(Boolean(fault)));
}

/**
 * Get the values to choose from; none where there are, or may be, others: those are typed.
 *
 * @param {string} uid
 * @param {AbortSignal} [signal]
 */
async function getChoices(uid, signal) {
  /** @type {Api.Choices} */
  const { result, is_complete: isComplete } = await get(`api/v1/block/${part(uid)}/choices`, { signal });
  return isComplete ? result : [];
}

function makePreviewFields() {
  const box = boxField("_send_to_me", "Preview: send mails only to me, and no other messages");
  const address = textField("_email", "My address", { type: "email" });
  return [box, address];
}

/**
 * @param {Ui.ParameterField[]} fields
 * @param {Ui.Values} values
 * @param {Record<string, unknown>} others
 * @returns {Ui.RunRequest}
 */
function readWanted(fields, values, others) {
  const wrong = fields.filter((field) => field.check());
  if (wrong.length) {
    const { node } = wrong[0];
    const marked = node instanceof HTMLElement ? node.querySelector('[aria-invalid="true"]') : null;
    if (marked instanceof HTMLElement) marked.focus();
    throw new Error("Some values are not valid. They are marked.");
  }
  const given = fields.flatMap(({ name, getValue }) => {
    const value = getValue();
    return value === undefined ? [] : [[name, value]];
  });
  /** @type {Ui.RunRequest} */
  const wanted = { parameters: { ...others, ...Object.fromEntries(given) } };
  // An address without the tick is refused by the service: without it, the mails would go to everybody.
  if (values._send_to_me || values._email)
    wanted.options = { send_to_me: Boolean(values._send_to_me), email: values._email || null };
  return wanted;
}
