// What the list of blocks shows of each type of block.

import { el } from "../elements/dom.js";
import { writeJson } from "../http/exact_json.js";

/**
 * Show what a block says, while nobody edits it.
 *
 * @param {Api.Block} block
 * @param {Ui.BlockContext} context
 * @returns {Ui.Child}
 */
export function makeSummary(block, { databases }) {
  const { content } = block;
  const code = (/** @type {string} */ text) => el("pre", { class: "code folded", tabindex: "0" }, text);
  const database = databases.find((one) => one.uid === content.database_id);
  const show = {
    parameter: () =>
      el(
        "p",
        {},
        content.multiple ? "list of " : "",
        `${content.type ?? "any"}, `,
        content.required ? "required" : ["default ", el("code", {}, writeJson(content.default ?? null))],
        describeChoices(content.choices),
      ),
    sql: () => [
      code(content.sql),
      el(
        "p",
        { class: "hint" },
        "in ",
        database?.database_name ?? "a database that is gone",
        content.limit ? `, at most ${content.limit} rows` : "",
        content.timeout_seconds ? `, at most ${content.timeout_seconds} s` : "",
      ),
    ],
    text: () => code(content.text),
    chart: () => el("p", {}, "of ", el("code", {}, content.query), ": ", describeMark(content.spec.mark)),
    email: () => el("p", {}, "to ", [content.to_].flat().join(", "), ": ", content.subject),
    slack: () => [el("p", {}, "to ", [content.channels].flat().join(", ")), code(content.value_markdown)],
  };
  return (show[block.type] ?? (() => code(block.content_json)))();
}

/**
 * Name the mark of a chart, whatever was written for it.
 *
 * @param {unknown} mark
 */
export function describeMark(mark) {
  const name = mark instanceof Object && "type" in mark ? mark.type : mark;
  return typeof name === "string" ? name : "several marks";
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
