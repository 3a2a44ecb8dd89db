// What the list of blocks shows of each type of block.

import { el } from "../elements/dom.js";
import { isolate, listNames } from "../elements/format.js";
import { writeJson } from "../http/exact_json.js";
import { describeType } from "../runs/parameter_values.js";

const MARK = /([\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069])/;

/**
 * Show what a block says, while nobody edits it.
 *
 * @param {Api.Block} block
 * @param {Ui.BlockContext} context
 * @returns {Ui.Child}
 */
export function makeSummary(block, { databases }) {
  const { content } = block;
  const code = (/** @type {unknown} */ text) =>
    el("pre", { class: "code folded", tabindex: "0" }, splitMarks(String(text ?? "")).map(makePart));
  const database = databases.find((one) => one.uid === content.database_id);
  const show = {
    parameter: () =>
      el(
        "p",
        {},
        `${describeType(content)}, `,
        content.required ? "required" : ["default ", el("code", {}, writeJson(content.default ?? null))],
        describeChoices(content.choices),
      ),
    sql: () => [
      code(content.sql),
      el(
        "p",
        { class: "hint" },
        "in ",
        isolate(database?.database_name ?? "a database that is gone"),
        content.limit ? `, at most ${content.limit} rows` : "",
        content.timeout_seconds ? `, at most ${content.timeout_seconds} s` : "",
      ),
    ],
    text: () => code(content.text),
    chart: () => el("p", {}, `${describeMark(content.spec.mark)} of `, el("code", {}, content.query)),
    email: () =>
      el("p", {}, "to ", listNames([content.to_].flat()), ": ", isolate(String(content.subject ?? ""))),
    slack: () => [el("p", {}, "to ", listNames([content.channels].flat())), code(content.value_markdown)],
  };
  return (show[block.type] ?? (() => code(block.content_json)))();
}

/**
 * Split a text into what is read as it stands, and each mark that turns what follows around: by them, code can look like
 * other code.
 *
 * @param {string} text
 * @returns {{ text: string, mark: string | null }[]} With the names of the marks.
 */
export const splitMarks = (text) =>
  text.split(MARK).flatMap((part, index) => {
    const mark = index % 2 ? `U+${part.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}` : null;
    return part ? [{ text: part, mark }] : [];
  });

/** @param {{ text: string, mark: string | null }} part */
const makePart = ({ text, mark }) =>
  mark
    ? el("span", { class: "direction-mark", "data-mark": mark, title: "A mark of direction" }, text)
    : text;

/**
 * Name a chart by its mark, whatever was written for it.
 *
 * @param {unknown} mark
 */
export function describeMark(mark) {
  const name = mark instanceof Object && "type" in mark ? mark.type : mark;
  return typeof name === "string" ? `${name} chart` : "chart with several marks";
}

/**
 * @param {unknown[] | { query: string } | null | undefined} choices
 * @returns {Ui.Child}
 */
function describeChoices(choices) {
  if (!choices) return "";
  return Array.isArray(choices)
    ? [", one of ", el("code", {}, choices.map((one) => writeJson(one)).join(", "))]
    : [", choices from ", el("code", {}, choices.query)];
}
