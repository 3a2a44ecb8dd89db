// The fields of each type of block, and the content that their values make.

import { makeChartFields } from "../charts/chart_fields.js";
import { button } from "../elements/buttons.js";
import { el } from "../elements/dom.js";
import {
  areaField,
  checkField,
  choiceField,
  inRow,
  listField,
  nameOptions,
  textField,
} from "../elements/forms.js";
import { link } from "../elements/router.js";
import { part } from "../http/addresses.js";
import { post } from "../http/api.js";
import { makeCatalog } from "../sql/catalog.js";
import { makeReaders } from "../sql/catalog_reader.js";
import { addSqlEditor } from "../sql/sql_editor.js";
import { insertText } from "../sql/sql_registry.js";
import {
  keepDeleted,
  readChoices,
  readDefault,
  readJson,
  readNumber,
  writeChoices,
  writeDefault,
} from "./block_values.js";

const PARAMETER_TYPES = nameOptions(["any", "text", "integer", "number", "boolean", "date", "timestamp"]);
const TEMPLATE_HINT = "Values are inserted as {{ name }}: a parameter, or another block by its name.";

/**
 * Each type: its fields, and the content that their values make.
 *
 * @type {Record<Api.BlockType, Ui.BlockEditor>}
 */
export const EDITORS = {
  parameter: {
    makeFields: (content) => [
      choiceField("type", "Type", PARAMETER_TYPES, { value: content.type ?? "any" }),
      textField("default", "Default", {
        value: writeDefault(content.default),
        hint: "Empty for none. The type “any” accepts JSON.",
      }),
      checkField("required", "Required: each run must set it", { checked: content.required ?? false }),
      checkField("multiple", "A list of values", { checked: content.multiple ?? false }),
      areaField("choices", "Choices", {
        value: writeChoices(content.choices),
        rows: 3,
        hint: "One value per line; empty for any value. “query: name” uses the first column of a query's last result.",
      }),
    ],
    read: (values) => ({
      type: values.type,
      default: readDefault(values.default, values.multiple ? "list" : values.type),
      required: values.required,
      multiple: values.multiple,
      choices: readChoices(values.choices, values.type),
    }),
  },
  sql: {
    makeFields: (content, { databases, blocks }) => {
      const database = databases.length || content.database_id ? databaseField(content, databases) : null;
      const sql = areaField("sql", "SQL", {
        value: content.sql ?? "",
        rows: 8,
        isCode: true,
        required: true,
        hint: "{{ name }} is bound as a value, so it needs no quotes; {{ other_query }} is that query’s SQL.",
      });
      const getBackend = () => databases.find((one) => one.uid === database?.input.value)?.backend ?? "";
      const getCatalog = database && makeReaders(database.input);
      const insert = (/** @type {string} */ text) => insertText(sql.input, text);
      addSqlEditor(sql, {
        label: "SQL",
        choice: database?.input ?? null,
        getBackend,
        getCatalog: () => getCatalog?.() ?? null,
        listBlocks: () => blocks.filter((one) => one.content !== content),
      });
      return [
        ...(database && getCatalog
          ? [database, { node: makeCatalog(database.input, { getCatalog, getBackend, insert }) }]
          : [noDatabase()]),
        sql,
        ...(database ? [{ node: makeFormatButton(sql.input, database.input) }] : []),
        ...inRow(
          textField("limit", "Rows at most", { type: "number", min: 1, value: content.limit ?? "" }),
          textField("timeout_seconds", "Seconds at most", {
            type: "number",
            min: 1,
            value: content.timeout_seconds ?? "",
          }),
        ),
      ];
    },
    read: (values) => ({
      database_id: values.database_id,
      sql: values.sql,
      limit: readNumber(values.limit),
      timeout_seconds: readNumber(values.timeout_seconds),
    }),
  },
  text: {
    makeFields: (content) => [
      areaField("text", "Text", {
        value: content.text ?? "",
        rows: 6,
        required: true,
        hint: `${TEMPLATE_HINT} Markdown; {{ query.data }} are the rows of a query, {{ query.table }} shows them.`,
      }),
    ],
    read: (values) => values,
  },
  chart: {
    makeFields: (content, context) => makeChartFields(content, context, queryField(content, context.blocks)),
    read: (values) => ({ query: values.query ?? "", spec: readJson(values.spec) }),
  },
  email: {
    makeFields: (content) => [
      listField("to_", "To", {
        value: [content.to_ ?? []].flat(),
        required: true,
        hint: "Addresses, such as ann@example.com or Ann <ann@example.com>, one per line. A parameter is one address, a list one for each item.",
      }),
      choiceField(
        "format",
        "Format",
        [
          ["text", "Plain text"],
          ["markdown", "Markdown"],
          ["html", "HTML"],
        ],
        { value: content.format ?? "text" },
      ),
      textField("subject", "Subject", { value: content.subject ?? "", required: true }),
      areaField("value", "Message", {
        value: content.value ?? "",
        rows: 6,
        hint: `${TEMPLATE_HINT} {{ query.table }} is a table of its rows, {{ chart }} a picture in Markdown and HTML. Values are always text, never markup.`,
      }),
    ],
    read: (values) => values,
  },
  slack: {
    makeFields: (content) => [
      listField("channels", "Channels", {
        value: [content.channels ?? []].flat(),
        required: true,
        hint: "Such as #sales, one per line.",
      }),
      areaField("value_markdown", "Message", {
        value: content.value_markdown ?? "",
        rows: 5,
        hint: `${TEMPLATE_HINT} Markdown; {{ query.table }} is a table of its rows.`,
      }),
    ],
    read: (values) => values,
  },
};

/**
 * @param {Api.Content} content
 * @param {Api.Database[]} databases
 */
function databaseField(content, databases) {
  return choiceField(
    "database_id",
    "Database",
    keepDeleted(
      databases.map((one) => [one.uid, one.database_name]),
      content.database_id,
    ),
    { value: content.database_id },
  );
}

/**
 * @param {Api.Content} content
 * @param {Api.Block[]} blocks
 */
function queryField(content, blocks) {
  const names = blocks.filter((one) => one.type === "sql").map((one) => one.name);
  return choiceField("query", "Rows of", keepDeleted(nameOptions(names), content.query, content.query), {
    value: content.query,
    required: true,
  });
}

/**
 * Lay out the SQL, by the service. What is typed meanwhile stays, and Ctrl+Z takes it back.
 *
 * @param {HTMLTextAreaElement} input
 * @param {HTMLSelectElement} database
 */
function makeFormatButton(input, database) {
  const format = async () => {
    const before = input.value;
    const path = `api/v1/database/${part(database.value)}/format_sql`;
    /** @type {{ result: { sql: string } }} */
    const { result } = await post(path, { sql: before });
    if (input.value !== before) throw new Error("The SQL was changed meanwhile, and is not formatted.");
    input.value = result.sql;
    input.dispatchEvent(new Event("input", { bubbles: true }));
  };
  return el("div", { class: "actions" }, button("Format", format, { title: "Lay out the SQL" }));
}

/** @returns {Ui.FormPart} */
function noDatabase() {
  return {
    name: "database_id",
    node: el(
      "p",
      { class: "fault" },
      "There is no database to query. ",
      link("databases", "Add one first"),
      ".",
    ),
    read: () => "",
  };
}
