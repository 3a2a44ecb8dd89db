// What is in a database: its schemas, their tables and the columns of these, each read when it is opened.

import { part } from "./addresses.js";
import { get, getRow } from "./api.js";
import { el, fill } from "./dom.js";
import { describeError } from "./errors.js";

/**
 * Make the view of the database that a field has chosen.
 *
 * @param {Ui.Input} choice
 */
export function makeCatalog(choice) {
  const view = makeBranch("Contents", () => listSchemas(`api/v1/database/${part(choice.value)}`));
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
  const load = async () => {
    if (isRead || !node.open) return;
    isRead = true;
    fill(place, el("p", { class: "hint" }, "Reading…"));
    try {
      const found = await read();
      fill(place, found.length ? found : el("p", { class: "hint" }, "Nothing."));
    } catch (error) {
      isRead = false;
      fill(place, el("p", { class: "fault" }, describeError(error)));
    }
  };
  const node = el("details", { class: "catalog", ontoggle: load }, el("summary", {}, label), place);
  const forget = () => {
    isRead = false;
    load();
  };
  return { node, forget };
}

/** @param {string} database */
async function listSchemas(database) {
  /** @type {string[]} */
  const schemas = await getRow(`${database}/schemas/`);
  return schemas.map((schema) => makeBranch(schema, () => listTables(database, schema)).node);
}

/**
 * @param {string} database
 * @param {string} schema
 */
async function listTables(database, schema) {
  /** @type {Api.Table[]} */
  const tables = await getRow(`${database}/schema/${part(schema)}/`, { query: { action: "tree" } });
  return tables.map(
    ({ name }) =>
      makeBranch(name, () => listColumns(`${database}/table/${part(name)}/${part(schema)}/`)).node,
  );
}

/** @param {string} path */
async function listColumns(path) {
  /** @type {{ columns: Api.Column[] }} */
  const { columns } = await get(path);
  return columns.map(({ name, type }) =>
    el("div", {}, el("code", {}, name), " ", el("span", { class: "hint" }, type)),
  );
}
