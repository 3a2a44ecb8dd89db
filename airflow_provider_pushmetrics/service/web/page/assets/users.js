// The people of the workspace, and their roles.

import { el, empty } from "./dom.js";
import { moment } from "./format.js";
import { makeList } from "./tables.js";

export async function showUsers(_, signal) {
  const list = makeList({
    path: "api/v1/user/",
    caption: "Users",
    noun: "user",
    signal,
    columns: [
      ["Name", (user) => [user.first_name, user.last_name].filter(Boolean).join(" ") || "–"],
      ["Address", (user) => user.email],
      ["Role", (user) => user.main_role.name],
      ["Last here", (user) => moment(user.last_login), "tight"],
    ],
    whenEmpty: () => empty("There is nobody", "Users are added by the API."),
  });
  await list.show(0);
  return [el("h1", {}, "Users"), list.node];
}
