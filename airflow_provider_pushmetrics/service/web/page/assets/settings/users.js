// The people of the workspace: letting them in with a role and a token, and out again.

import { button } from "../elements/buttons.js";
import { el, empty } from "../elements/dom.js";
import { isolate, moment } from "../elements/format.js";
import { checkField, choiceField, inRow, makeForm, textField } from "../elements/forms.js";
import { confirmFirst, showDialog, tell } from "../elements/notices.js";
import { reload } from "../elements/router.js";
import { makeList, named } from "../elements/tables.js";
import { part } from "../http/addresses.js";
import { get, getAll, post, put, remove } from "../http/api.js";
import { createToken, makeTokenTable } from "./tokens.js";

const ROLES = "An Admin manages users and databases, a User creates and runs reports, a Guest only reads.";

/** @type {Ui.Show} */
export async function showUsers(_, signal) {
  const [roles, me] = await Promise.all([
    getAll("api/v1/role/", { signal }),
    /** @type {Promise<Api.User>} */ (get("api/v1/user/current", { signal })),
  ]);
  const isAdmin = me.main_role.name === "Admin";
  /** @type {Ui.Optional<Ui.Column<Api.User>>[]} */
  const columns = [
    named(
      "Name",
      (user) =>
        el(
          "div",
          { class: "lines" },
          [user.first_name, user.last_name].filter(Boolean).join(" ") || "–",
          user.id === me.id && el("span", { class: "hint" }, " (you)"),
        ),
      "name",
    ),
    named("Address", (user) => el("span", { class: "address" }, user.email)),
    named("Role", (user) => user.main_role.name),
    named("Last here", (user) => moment(user.last_login), "tight"),
    isAdmin && ["", (user) => makeActions(user, roles), "actions-cell"],
  ];
  const list = makeList({
    path: "api/v1/user/",
    caption: "Users",
    noun: "user",
    signal,
    columns,
    whenEmpty: () => empty("There are no users", "Add the users who create and read reports."),
  });
  await list.show(0);
  return [
    el(
      "div",
      { class: "head" },
      el("div", {}, el("h1", {}, "Users"), el("p", { class: "hint" }, ROLES)),
      el(
        "div",
        { class: "actions" },
        isAdmin && button("Add a user", () => addUser(roles), { kind: "primary" }),
      ),
    ),
    el("div", { class: "as-cards" }, list.node),
  ];
}

/** @param {Api.Role[]} roles */
async function addUser(roles) {
  /** @type {{ action: string } | null} */
  const answer = await showDialog("Add a user", (close) =>
    makeForm({
      fields: [
        textField("email", "Mail address", { type: "email", required: true }),
        ...inRow(textField("first_name", "First name"), textField("last_name", "Last name")),
        makeRoleField(roles, "User"),
        checkField("welcome", "Tell them by mail", { checked: true }),
      ],
      submit: "Add",
      cancel: () => close(null),
      async send({ role, welcome, ...person }) {
        close(
          await post(
            "api/v1/user/",
            { ...person, roles: [Number(role)] },
            { query: { skip_welcome_email: !welcome } },
          ),
        );
      },
    }),
  );
  if (!answer) return;
  await reload();
  tell(
    answer.action === "no_op"
      ? "The user already belongs to the workspace"
      : "The user was added: now create a token for the user",
  );
}

/**
 * @param {Api.Role[]} roles
 * @param {string} name
 */
const makeRoleField = (roles, name) =>
  choiceField(
    "role",
    "Role",
    roles.map((role) => [role.id, role.name]),
    { value: roles.find((role) => role.name === name)?.id },
  );

/**
 * @param {Api.User} user
 * @param {Api.Role[]} roles
 */
function makeActions(user, roles) {
  const path = `api/v1/user/${part(user.uid)}`;
  return el(
    "div",
    { class: "actions end" },
    button("Tokens", () => showTokensOf(user, `${path}/access_token/`)),
    button("Change role", () => changeRole(user, roles, path)),
    button("Remove", () => removeUser(user, path), { kind: "danger" }),
  );
}

/**
 * @param {Api.User} user
 * @param {string} path
 */
async function showTokensOf(user, path) {
  /** @type {Api.List<Api.Token>} */
  const { result } = await get(path);
  const makesOne = await showDialog(`Tokens of ${user.email}`, (close) => [
    result.length
      ? makeTokenTable(result, path, () => close(false))
      : empty("This user has no tokens", "Create one and give it to the user, who signs in with it."),
    el(
      "div",
      { class: "actions end" },
      el("button", { type: "button", class: "quiet", onclick: () => close(false) }, "Close"),
      el("button", { type: "button", class: "primary", onclick: () => close(true) }, "New token"),
    ),
  ]);
  if (makesOne) await createToken(path);
}

/**
 * @param {Api.User} user
 * @param {Api.Role[]} roles
 * @param {string} path
 */
async function changeRole(user, roles, path) {
  const done = await showDialog(`The role of ${user.email}`, (close) =>
    makeForm({
      fields: [makeRoleField(roles, user.main_role.name)],
      submit: "Save",
      cancel: () => close(null),
      send: async ({ role }) => close(await put(path, { main_role: Number(role) })),
    }),
  );
  if (done) await reload();
}

/**
 * @param {Api.User} user
 * @param {string} path
 */
async function removeUser(user, path) {
  const text = `${isolate(user.email)} loses access to this workspace at once, and their tokens with it. What they made stays.`;
  if (!(await confirmFirst("Remove from the workspace?", text, "Remove"))) return;
  await remove(`${path}/remove_from_workspace/`);
  await reload();
  tell("The user was removed from the workspace");
}
