// What the SQL editor proposes: tables, columns, the names for `{{ … }}`, and the words of the dialect.

import { keywordCompletionSource, syntaxTree } from "../vendored/codemirror.js";
import { findTables, quoteName, quoteTable, readPath, readTemplate } from "./sql_names.js";

/** @typedef {import("@codemirror/autocomplete").Completion} Completion */
/** @typedef {import("@codemirror/autocomplete").CompletionContext} Context */
/** @typedef {import("@codemirror/lang-sql").SQLDialect} Dialect */

const IN_WORD = /^[\p{L}\p{N}_$]*$/u;
const NAME = /^[a-z_][a-z0-9_]*$/i;
const TEXTS = /^(String|LineComment|BlockComment)$/;
/** More tables than this are not all read; those that contain the word are. */
const MOST_TABLES = 1000;
/** The columns of more tables are not read for one proposal. */
const MOST_DESCRIBED = 12;

/**
 * Make the source of proposals.
 *
 * @param {Ui.SqlSettings} settings
 * @param {Dialect} dialect
 */
export function makeSource(settings, dialect) {
  const proposeKeywords = keywordCompletionSource(dialect, true);
  return async (/** @type {Context} */ context) => {
    const before = context.state.sliceDoc(0, context.pos);
    const template = readTemplate(before);
    if (template !== null) return propose(context, template, proposeNames(settings, template), true);
    if (TEXTS.test(syntaxTree(context.state).resolveInner(context.pos, -1).name)) return null;
    const { path, word } = readPath(before);
    if (!path.length && !word && !context.explicit) return null;
    const found = await readCatalog(settings, context.state.doc.toString(), path, word);
    const keywords = path.length ? null : await proposeKeywords(context);
    return propose(context, before, [...found, ...(keywords?.options ?? [])], path.length > 0);
  };
}

/**
 * @param {Context} context
 * @param {string} before
 * @param {readonly Completion[]} options
 * @param {boolean} isWanted whether something is proposed before the first letter
 */
function propose(context, before, options, isWanted) {
  const { word } = readPath(before);
  if (!options.length || !(word || isWanted || context.explicit)) return null;
  return { from: context.pos - word.length, options, validFor: IN_WORD };
}

/**
 * Propose what may stand in a `{{ … }}`.
 *
 * @param {Ui.SqlSettings} settings
 * @param {string} template what is written of it
 * @returns {Completion[]}
 */
function proposeNames({ listBlocks }, template) {
  const { path } = readPath(template);
  const blocks = listBlocks().filter(({ name }) => NAME.test(name));
  const parameters = blocks
    .filter(({ type }) => type === "parameter")
    .map(({ name }) => ({ label: name, type: "variable", detail: "parameter" }));
  if (path.length === 1 && path[0] === "params") return parameters;
  if (path.length) return [];
  if (/\|\s*\w*$/.test(template)) {
    return [
      { label: "inclause", type: "function", detail: "a list, as (…, …)" },
      { label: "identifier", type: "function", detail: "a name, in quotes" },
    ];
  }
  const queries = blocks
    .filter(({ type }) => type === "sql")
    .map(({ name }) => ({ label: name, type: "constant", detail: "query" }));
  return [...parameters, ...queries];
}

/**
 * Propose what the database has; nothing if it does not answer.
 *
 * @param {Ui.SqlSettings} settings
 * @param {string} text
 * @param {string[]} path
 * @param {string} word
 * @returns {Promise<Completion[]>}
 */
async function readCatalog({ getCatalog, getBackend }, text, path, word) {
  const catalog = getCatalog();
  if (!catalog) return [];
  try {
    const all = await catalog.searchTables("");
    const tables = all.length < MOST_TABLES || !word ? all : [...all, ...(await catalog.searchTables(word))];
    const used = findTables(text, tables);
    const owner = path.at(-1)?.toLowerCase();
    const asked = owner
      ? used.filter(({ table, alias }) => [table.name, alias].some((one) => one?.toLowerCase() === owner))
      : used;
    const described = [...new Set(asked.map(({ table }) => table))].slice(0, MOST_DESCRIBED);
    const columns = await Promise.all(described.map((table) => proposeColumns(catalog, table, getBackend())));
    return [...columns.flat(), ...proposeTables(tables, owner, getBackend())];
  } catch {
    return [];
  }
}

/**
 * @param {{ listColumns: (table: Api.FoundTable) => Promise<Api.Column[]> }} catalog
 * @param {Api.FoundTable} table
 * @param {string} backend
 * @returns {Promise<Completion[]>}
 */
async function proposeColumns(catalog, table, backend) {
  const columns = await catalog.listColumns(table);
  return columns.map(({ name, type }) => ({
    label: name,
    apply: quoteName(name, backend),
    type: "property",
    detail: `${type} · ${table.name}`,
    boost: 2,
  }));
}

/**
 * @param {Api.FoundTable[]} tables
 * @param {string | undefined} schema the part before the dot, if there is one
 * @param {string} backend
 * @returns {Completion[]}
 */
function proposeTables(tables, schema, backend) {
  if (schema !== undefined) {
    const inside = tables.filter((one) => one.schema.toLowerCase() === schema);
    return inside.map(({ name, type }) => ({
      label: name,
      apply: quoteName(name, backend),
      type: "class",
      detail: type,
    }));
  }
  const schemas = [...new Set(tables.map((one) => one.schema))];
  return [
    ...tables.map((table) => ({
      label: table.name,
      apply: quoteTable(table, backend),
      type: "class",
      detail: `${table.type} · ${table.schema}`,
      boost: 1,
    })),
    ...schemas.map((name) => ({
      label: name,
      apply: quoteName(name, backend),
      type: "namespace",
      detail: "schema",
    })),
  ];
}
