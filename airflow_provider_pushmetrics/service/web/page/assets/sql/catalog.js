// What is in a database: its schemas, their tables and the columns of these, each read when it is opened.

import { el, fill } from "../elements/dom.js";
import { describeError } from "../http/errors.js";
import { quoteName, quoteTable } from "./sql_names.js";

/** @typedef {import("./catalog_reader.js").CatalogReader} CatalogReader */
/** @typedef {{ backend: string, insert: (text: string) => void }} Target where a name that is pressed goes */

/**
 * Make the view of the database that a field has chosen.
 *
 * @param {Ui.Input} choice
 * @param {{ getCatalog: () => CatalogReader, getBackend: () => string, insert: (text: string) => void }} settings
 */
export function makeCatalog(choice, { getCatalog, getBackend, insert }) {
  const view = makeBranch("Contents", () => listSchemas(getCatalog(), { backend: getBackend(), insert }));
  choice.addEventListener("change", () => view.forget());
  return view.node;
}

/**
 * Make a part that is read when it is opened for the first time.
 *
 * @param {string} label
 * @param {() => Promise<HTMLElement[]>} read
 */
function makeBranch(label, read) {
  const place = el("div", { class: "branch" });
  let isRead = false;
  let turn = 0;
  const load = async () => {
    if (isRead || !node.open) return;
    isRead = true;
    turn += 1;
    const mine = turn;
    fill(place, el("p", { class: "hint" }, "Reading…"));
    try {
      const found = await read();
      if (mine !== turn) return; // another database was chosen meanwhile
      fill(place, found.length ? found : el("p", { class: "hint" }, "Nothing."));
    } catch (error) {
      if (mine !== turn) return;
      isRead = false;
      fill(place, el("p", { class: "fault" }, describeError(error)));
    }
  };
  const node = el("details", { class: "catalog", ontoggle: load }, el("summary", {}, label), place);
  const forget = () => {
    isRead = false;
    turn += 1;
    fill(place);
    load();
  };
  return { node, forget };
}

/**
 * @param {CatalogReader} catalog
 * @param {Target} target
 */
async function listSchemas(catalog, target) {
  const schemas = await catalog.listSchemas();
  return schemas.map((schema) => makeBranch(schema, () => listTables(catalog, schema, target)).node);
}

/**
 * @param {CatalogReader} catalog
 * @param {string} schema
 * @param {Target} target
 */
async function listTables(catalog, schema, target) {
  const tables = await catalog.listTables(schema);
  return tables.map(
    ({ name }) => makeBranch(name, () => listColumns(catalog, { schema, name }, target)).node,
  );
}

/**
 * @param {CatalogReader} catalog
 * @param {{ schema: string, name: string }} table
 * @param {Target} target
 */
async function listColumns(catalog, table, { backend, insert }) {
  const columns = await catalog.listColumns(table);
  return [
    el("div", {}, makeInserter(`Insert ${table.name}`, quoteTable(table, backend), insert)),
    ...columns.map(({ name, type }) =>
      el(
        "div",
        {},
        makeInserter(el("code", {}, name), quoteName(name, backend), insert),
        " ",
        el("span", { class: "hint" }, type),
      ),
    ),
  ];
}

/**
 * @param {Ui.Child} label
 * @param {string} text
 * @param {(text: string) => void} insert
 */
const makeInserter = (label, text, insert) =>
  el(
    "button",
    {
      type: "button",
      class: "plain insert",
      title: `Insert ${text} at the cursor`,
      onclick: () => insert(text),
    },
    label,
  );
