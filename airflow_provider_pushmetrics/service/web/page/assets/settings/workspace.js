// The workspace that the session belongs to, and making another one.

import { button } from "../elements/buttons.js";
import { card, el } from "../elements/dom.js";
import { makeForm, textField } from "../elements/forms.js";
import { showDialog, showSecret, tell } from "../elements/notices.js";
import { link } from "../elements/router.js";
import { part } from "../http/addresses.js";
import { get, post, put } from "../http/api.js";
import { makeName, updateOwner } from "./owner.js";

/** @type {Ui.Show} */
export async function showWorkspace(_, signal) {
  /** @type {[Promise<Api.Workspace>, Promise<Api.User>]} */
  const reading = [get("api/v1/workspace/current", { signal }), get("api/v1/user/current", { signal })];
  const [workspace, me] = await Promise.all(reading);
  /** @type {[string, Ui.Child][]} */
  const facts = [
    ["Name", makeName(workspace)],
    ["Id", String(workspace.id)],
    ["You", me.email],
    ["Your role", me.main_role.name],
  ];
  return [
    el(
      "div",
      { class: "head" },
      el("h1", {}, "Workspace"),
      el(
        "div",
        { class: "actions" },
        button("Rename", renameWorkspace, { kind: "quiet admins" }),
        button("New workspace", createWorkspace, { kind: "quiet admins" }),
      ),
    ),
    card(
      "",
      el(
        "dl",
        { class: "facts" },
        facts.map(([name, value]) =>
          el("div", {}, el("dt", {}, name), el("dd", { class: "address" }, value)),
        ),
      ),
      el(
        "p",
        { class: "hint" },
        "Reports, databases, webhooks and users belong to one workspace. A token is bound to one: sign in with a token of another workspace to see that. The members are under ",
        link("settings/users", "Users"),
        ".",
      ),
    ),
  ];
}

async function renameWorkspace() {
  /** @type {Api.Workspace} */
  const workspace = await get("api/v1/workspace/current"); // it may have been renamed since
  /** @type {string | null} */
  const name = await showDialog("Rename the workspace", (close) =>
    makeForm({
      fields: [textField("name", "Name", { required: true, maxlength: 255, value: workspace.name })],
      submit: "Save",
      cancel: () => close(null),
      async send(values) {
        /** @type {{ result: Api.Workspace }} */
        const { result } = await put(`api/v1/workspace/${part(workspace.uid)}`, values);
        close(result.name);
      },
    }),
  );
  if (name === null) return;
  tell("The workspace is renamed");
  await updateOwner();
}

async function createWorkspace() {
  /** @type {{ token: string } | null} */
  const answer = await showDialog("New workspace", (close) =>
    makeForm({
      fields: [
        textField("name", "Name", {
          required: true,
          maxlength: 255,
          hint: "You become its Admin, and get a token for it.",
        }),
      ],
      submit: "Create the workspace",
      cancel: () => close(null),
      send: async (values) => close(await post("api/v1/workspace/", values)),
    }),
  );
  if (!answer) return;
  const advice =
    "It is the first token of the new workspace: sign in with it. It is shown only once: keep it like a password.";
  await showSecret("The first token", advice, answer.token);
}
