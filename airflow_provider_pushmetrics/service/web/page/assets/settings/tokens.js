// API tokens: making them, which shows them once, and revoking them.

import { button } from "../elements/buttons.js";
import { el, empty } from "../elements/dom.js";
import { moment, quote } from "../elements/format.js";
import { makeForm, textField } from "../elements/forms.js";
import { confirmFirst, showDialog, showSecret, tell } from "../elements/notices.js";
import { reload } from "../elements/router.js";
import { makeTable, named } from "../elements/tables.js";
import { part } from "../http/addresses.js";
import { get, post, remove } from "../http/api.js";

const OWN = "api/v1/access_token/";
const KEEP_IT = "It has all permissions of its owner. It is shown only once: keep it like a password.";

/** @type {Ui.Show} */
export async function showTokens(_, signal) {
  /** @type {Api.List<Api.Token>} */
  const { result } = await get(OWN, { signal });
  return [
    el(
      "div",
      { class: "head" },
      el("h1", {}, "API tokens"),
      el(
        "div",
        { class: "actions" },
        button("New token", () => createToken(OWN), { kind: "primary" }),
      ),
    ),
    el("p", { class: "hint" }, "Your tokens, for Airflow’s connection, scripts and for signing in."),
    result.length
      ? makeTokenTable(result, OWN)
      : empty(
          "You have no tokens",
          "Create one for each program that calls this service, so that each can be revoked separately.",
        ),
  ];
}

/**
 * Make the table of somebody's tokens.
 *
 * @param {Api.Token[]} rows
 * @param {string} path
 * @param {() => void} whenRevoked
 */
export function makeTokenTable(rows, path, whenRevoked = () => {}) {
  /** @type {Ui.Column<Api.Token>[]} */
  const columns = [
    named("Name", (row) => el("div", { class: "lines" }, row.name), "name"),
    named("Prefix", (row) => (row.token_prefix ? el("code", {}, `${row.token_prefix}…`) : "–")),
    named("Created", (row) => moment(row.created_on), "tight"),
    named("Expires", (row) => el("span", {}, row.expires_on ? moment(row.expires_on) : "never"), "tight"),
    [
      "",
      (row) =>
        el(
          "div",
          { class: "actions end" },
          button("Revoke", () => revoke(row, path, whenRevoked), { kind: "danger" }),
        ),
      "actions-cell",
    ],
  ];
  return el("div", { class: "as-cards" }, makeTable(columns, rows, "API tokens"));
}

/**
 * Make a token and show it, once.
 *
 * @param {string} path
 */
export async function createToken(path) {
  /** @type {{ token: string } | null} */
  const answer = await showDialog("New token", (close) =>
    makeForm({
      fields: [
        textField("name", "Name", {
          required: true,
          maxlength: 255,
          hint: "What it is for, such as “airflow”.",
        }),
        textField("expires_on", "Expires", { type: "date", hint: "Empty: it does not expire." }),
      ],
      submit: "Create the token",
      cancel: () => close(null),
      send: async ({ name, expires_on }) =>
        close(await post(path, { name, ...(expires_on ? { expires_on } : {}) })),
    }),
  );
  if (!answer) return;
  await showSecret("The new token", KEEP_IT, answer.token);
  await reload();
}

/**
 * @param {Api.Token} row
 * @param {string} path
 * @param {() => void} whenRevoked
 */
async function revoke(row, path, whenRevoked) {
  const text = `Programs that use ${quote(row.name)} are rejected from then on, and sessions that were opened with it end.`;
  if (!(await confirmFirst("Revoke the token?", text, "Revoke"))) return;
  await remove(`${path}${part(row.id)}`);
  tell("The token is revoked");
  whenRevoked();
  await reload();
}
