// The databases that SQL blocks ask. Passwords go in, and never come out.

import { button } from "../elements/buttons.js";
import { el, empty } from "../elements/dom.js";
import { isolate, moment, quote } from "../elements/format.js";
import { makeForm, readValues, textField } from "../elements/forms.js";
import { confirmFirst, showDialog, tell } from "../elements/notices.js";
import { reload } from "../elements/router.js";
import { makeList, named } from "../elements/tables.js";
import { part } from "../http/addresses.js";
import { post, put, remove } from "../http/api.js";
import { ApiError } from "../http/errors.js";

const HINT =
  "Such as postgresql://reader:password@host/database, sqlite:///shop.db, or duckdb:///sales.duckdb; duckdb:///exports is a folder of CSV and Parquet files. Files are in the folder sources of the data folder, or in one of the service's --source-dir; s3://bucket/folder is one of its --source-url. Give a user who can only read.";

/** What the service writes for the parts of a URL that it does not show. */
const MASK = "***";

/** @type {Ui.Column<Api.Database>[]} */
const COLUMNS = [
  named("Name", (row) => el("div", { class: "lines" }, row.database_name), "name"),
  named("Type", (row) => row.backend),
  named("Where", (row) => el("span", { class: "code clip", title: row.sqlalchemy_uri }, row.sqlalchemy_uri)),
  named("Added", (row) => moment(row.created_on), "tight"),
  ["", makeActions, "actions-cell"],
];

/** @type {Ui.Show} */
export async function showDatabases(_, signal) {
  const list = makeList({
    path: "api/v1/database/",
    caption: "Databases",
    noun: "database",
    signal,
    columns: COLUMNS,
    whenEmpty: () =>
      empty(
        "There are no databases yet",
        "SQL blocks query databases: add the first one by its URL.",
        makeNewButton(),
      ),
  });
  await list.show(0);
  return [
    el("div", { class: "head" }, el("h1", {}, "Databases"), el("div", { class: "actions" }, makeNewButton())),
    el("div", { class: "as-cards" }, list.node),
  ];
}

/** @returns {HTMLButtonElement} */
const makeNewButton = () => button("Add a database", () => editDatabase(), { kind: "primary admins" });

/** @param {Api.Database | null} row */
async function editDatabase(row = null) {
  const fields = [
    textField("database_name", "Name", { required: true, maxlength: 255, value: row?.database_name ?? "" }),
    textField("sqlalchemy_uri", "URL", {
      required: !row,
      class: "code",
      autocomplete: "off",
      spellcheck: "false",
      hint: row ? `Empty: unchanged. ${describeMask(row)}${HINT}` : HINT,
    }),
  ];
  /** @type {{ result: Api.Database, isTested: boolean, isUntested: boolean } | null} */
  const done = await showDialog(row ? "Edit the database" : "Add a database", (close) =>
    makeForm({
      fields,
      submit: "Save",
      more: [button("Test", () => testUnsaved(row, fields), { kind: "quiet" })],
      cancel: () => close(null),
      async send({ database_name, sqlalchemy_uri }) {
        const body = { database_name, ...(sqlalchemy_uri ? { sqlalchemy_uri } : {}) };
        const isTested = Boolean(sqlalchemy_uri) && (await tryFirst(row, sqlalchemy_uri));
        const settings = { query: { skip_test: true } }; // it was tested just now, or is saved on purpose
        /** @type {{ result: Api.Database }} */
        const { result } = row
          ? await put(`api/v1/database/${part(row.uid)}`, body, settings)
          : await post("api/v1/database/", body, settings);
        close({ result, isTested, isUntested: Boolean(sqlalchemy_uri) && !isTested });
      },
    }),
  );
  if (!done) return;
  await reload();
  const name = done.result.database_name;
  if (done.isUntested) return tell(`${isolate(name)} is saved, and was not tested successfully`, "bad");
  // A new name alone says nothing about whether the database answers.
  tell(done.isTested ? `${isolate(name)}: The database answers` : "The database is saved");
}

/**
 * Say what is kept of the stored URL when another one is written.
 *
 * @param {Api.Database} row
 */
const describeMask = ({ sqlalchemy_uri }) =>
  sqlalchemy_uri.includes(MASK)
    ? `Now it is ${sqlalchemy_uri}. In a new URL with the same user and server, ${MASK} keeps what is hidden here, and nothing else is kept: write all options. `
    : "";

/**
 * Try a database before it is saved; if that fails, ask whether it is saved all the same. True if it answers.
 *
 * @param {Api.Database | null} row
 * @param {string} sqlalchemy_uri
 */
async function tryFirst(row, sqlalchemy_uri) {
  try {
    await testUrl(row, sqlalchemy_uri);
    return true;
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 422) throw error;
    const title = "The test failed. Save the database anyway?";
    if (!(await confirmFirst(title, error.message, "Save anyway"))) throw error;
    return false;
  }
}

/** @param {Api.Database} row */
function makeActions(row) {
  return el(
    "div",
    { class: "actions end" },
    button("Test", () => test(row)),
    button("Edit", () => editDatabase(row), { kind: "quiet admins" }),
    button("Delete", () => deleteDatabase(row), { kind: "danger admins" }),
  );
}

/**
 * Try what the form says before it is saved; an empty URL of a saved database stands for its own.
 *
 * @param {Api.Database | null} row
 * @param {Ui.FormPart[]} fields
 */
async function testUnsaved(row, fields) {
  const { sqlalchemy_uri } = readValues(fields);
  if (row && !sqlalchemy_uri) return test(row);
  tell(await testUrl(row, sqlalchemy_uri), "good");
}

/**
 * Test a URL; of one that replaces another, `***` stands for the stored password.
 *
 * @param {Api.Database | null} row
 * @param {string} sqlalchemy_uri
 */
async function testUrl(row, sqlalchemy_uri) {
  /** @type {{ message: string }} */
  const { message } = await post("api/v1/database/test_connection", {
    sqlalchemy_uri,
    ...(row ? { database: row.uid } : {}),
  });
  return message;
}

/** @param {Api.Database} row */
async function test(row) {
  /** @type {{ result: { message: string, is_reachable: boolean } }} */
  const { result } = await post(`api/v1/database/${part(row.uid)}/test`);
  tell(`${isolate(row.database_name)}: ${result.message}`, result.is_reachable ? "good" : "bad");
}

/** @param {Api.Database} row */
async function deleteDatabase(row) {
  if (
    !(await confirmFirst(
      "Delete the database?",
      `${quote(row.database_name)} itself stays as it is; queries that ask it fail from then on.`,
      "Delete",
    ))
  )
    return;
  await remove(`api/v1/database/${part(row.uid)}`);
  await reload();
  tell("The database is deleted");
}
