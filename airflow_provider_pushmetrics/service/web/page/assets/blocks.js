// The blocks of a report: showing, adding, moving and deleting them.

import { part } from "./addresses.js";
import { getAll, put, remove } from "./api.js";
import { makeEditor } from "./block_editor.js";
import { getBlocks } from "./block_list.js";
import { makeTrial } from "./block_trial.js";
import { button } from "./buttons.js";
import { el, empty, fill } from "./dom.js";
import { confirmFirst, tell } from "./notices.js";
import { reload } from "./router.js";

/** @type {[Api.BlockType, string][]} */
const TYPES = [
  ["parameter", "Parameter"],
  ["sql", "SQL"],
  ["text", "Text"],
  ["chart", "Chart"],
  ["email", "Email"],
  ["slack", "Slack"],
];

/**
 * @param {Api.Report} report
 * @param {AbortSignal} signal
 */
export async function showBlocks(report, signal) {
  const [blocks, databases] = await Promise.all([
    getBlocks(report, signal),
    getAll("api/v1/database/", { signal }),
  ]);
  const context = { report, blocks, databases, signal };
  const place = el("div", {});
  return [
    blocks.length
      ? el(
          "ol",
          { class: "blocks" },
          blocks.map((block, index) => makeBlock(block, index, context)),
        )
      : empty(
          "This report has no blocks yet",
          "Begin with a SQL block that queries a database; text, charts and mails can use its rows. A parameter is a value that each run can set.",
        ),
    place,
    el(
      "div",
      { class: "adders", role: "group", "aria-label": "Add a block" },
      el("span", { class: "hint" }, "Add"),
      TYPES.map(([type, label]) => button(label, () => openNew(place, type, label, context))),
    ),
  ];
}

/**
 * @param {HTMLElement} place
 * @param {Api.BlockType} type
 * @param {string} label
 * @param {Ui.BlockContext} context
 */
function openNew(place, type, label, context) {
  const close = () => fill(place);
  fill(
    place,
    el(
      "section",
      { class: "card block", "aria-label": `New ${label} block` },
      el("h2", {}, `New block: ${label}`),
      makeEditor({ type, content: {} }, context, { close }),
    ),
  );
  place.querySelector("input")?.focus();
  place.scrollIntoView({ block: "nearest" });
}

/**
 * @param {Api.Block} block
 * @param {number} index
 * @param {Ui.BlockContext} context
 */
function makeBlock(block, index, context) {
  const body = el("div", { class: "block-body" });
  const trial = el("div", {});
  const showSummary = () => fill(body, makeSummary(block, context));
  const edit = () => {
    fill(body, makeEditor(block, context, { close: showSummary }));
    /** @type {HTMLElement | null} */ (body.querySelector("input,textarea"))?.focus();
  };
  showSummary();
  return el(
    "li",
    { class: "card block", "aria-label": `Block ${block.name}` },
    el(
      "div",
      { class: "block-head" },
      el("span", { class: "kind" }, block.type),
      el("h2", {}, block.name),
      block.verbose_name && el("span", { class: "hint" }, block.verbose_name),
      el("div", { class: "actions end" }, makeBlockActions(block, index, context, { edit, trial })),
    ),
    body,
    trial,
  );
}

/**
 * @param {Api.Block} block
 * @param {number} index
 * @param {Ui.BlockContext} context
 * @param {{ edit: () => void, trial: HTMLElement }} parts
 */
function makeBlockActions(block, index, context, { edit, trial }) {
  const move = (/** @type {number} */ position) => async () => {
    await put(`api/v1/block/${part(block.uid)}`, { position });
    await reload();
  };
  const last = context.blocks.length - 1;
  return [
    block.type !== "parameter" &&
      button("Run alone", () => makeTrial(trial, block, context), {
        title: "Run only this block and its dependencies",
      }),
    button("Edit", edit, { "aria-label": `Edit ${block.name}` }),
    index > 0 && button("↑", move(index - 1), { "aria-label": `Move ${block.name} up` }),
    index < last && button("↓", move(index + 1), { "aria-label": `Move ${block.name} down` }),
    button("Delete", () => deleteBlock(block), { kind: "danger", "aria-label": `Delete ${block.name}` }),
  ];
}

/** @param {Api.Block} block */
async function deleteBlock(block) {
  const text = `“${block.name}” is deleted. Blocks that refer to it fail from then on.`;
  if (!(await confirmFirst("Delete the block?", text, "Delete"))) return;
  await remove(`api/v1/block/${part(block.uid)}`);
  await reload();
  tell("The block is deleted");
}

/**
 * @param {Api.Block} block
 * @param {Ui.BlockContext} context
 * @returns {Ui.Child}
 */
function makeSummary(block, { databases }) {
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
        content.required ? "required" : ["default ", el("code", {}, JSON.stringify(content.default ?? null))],
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
    chart: () =>
      el(
        "p",
        {},
        "of ",
        el("code", {}, content.query),
        ": ",
        typeof content.spec.mark === "object"
          ? content.spec.mark.type
          : (content.spec.mark ?? "several marks"),
      ),
    email: () => el("p", {}, "to ", [content.to_].flat().join(", "), ": ", content.subject),
    slack: () => [el("p", {}, "to ", [content.channels].flat().join(", ")), code(content.value_markdown)],
  };
  return (show[block.type] ?? (() => code(block.content_json)))();
}

/**
 * @param {unknown[] | { query: string } | null | undefined} choices
 * @returns {Ui.Child}
 */
function describeChoices(choices) {
  if (!choices) return "";
  return Array.isArray(choices)
    ? [", one of ", el("code", {}, choices.map((one) => JSON.stringify(one)).join(", "))]
    : [", choices from ", el("code", {}, choices.query)];
}
