// One's own API tokens: making them, which shows them once, and revoking them.

import { get, part, post, remove } from "./api.js";
import { button } from "./buttons.js";
import { el, empty } from "./dom.js";
import { makeForm, textField } from "./forms.js";
import { moment } from "./format.js";
import { confirmFirst, showDialog, showSecret, tell } from "./notices.js";
import { reload } from "./router.js";
import { makeTable } from "./tables.js";

const KEEP_IT = "Whoever has it can do here what you can. It is shown only now: keep it like a password.";

export async function showTokens(_, signal) {
  const { result } = await get("api/v1/access_token/", { signal });
  const columns = [
    ["Name", (row) => row.name],
    ["Begins with", (row) => el("code", {}, `${row.token_prefix}…`)],
    ["Made", (row) => moment(row.created_on), "tight"],
    ["Expires", (row) => (row.expires_on ? moment(row.expires_on) : "never"), "tight"],
    ["", (row) => el("div", { class: "actions end" }, button("Revoke", () => revoke(row), { kind: "danger" })), "actions-cell"],
  ];
  return [
    el("div", { class: "head" }, el("h1", {}, "API tokens"), el("div", { class: "actions" }, button("New token", createToken, { kind: "primary" }))),
    el("p", { class: "hint" }, "Airflow’s connection, scripts and people sign in with them. Each of these is yours."),
    result.length ? makeTable(columns, result, "API tokens") : empty("You have no tokens", "Make one for each program that calls this service, so that each can be revoked alone."),
  ];
}

async function createToken() {
  const answer = await showDialog("New token", (close) =>
    makeForm({
      fields: [
        textField("name", "Name", { required: true, maxlength: 255, hint: "What it is for, such as “airflow”." }),
        textField("expires_on", "Last day", { type: "date", hint: "Empty: it does not expire." }),
      ],
      submit: "Make the token",
      cancel: () => close(null),
      send: async ({ name, expires_on }) => close(await post("api/v1/access_token/", { name, ...(expires_on ? { expires_on } : {}) })),
    }),
  );
  if (!answer) return;
  await showSecret("Your new token", KEEP_IT, answer.token);
  await reload();
}

async function revoke(row) {
  const text = `Programs that use “${row.name}” are refused from then on. If you signed in with it, you are signed out.`;
  if (!(await confirmFirst("Revoke the token?", text, "Revoke"))) return;
  await remove(`api/v1/access_token/${part(row.id)}`);
  tell("The token is revoked");
  await reload();
}
