// For whom the page is: the user and the workspace, as the bar and the page of the workspace name them.

import { el, fill, find } from "../elements/dom.js";
import { findSession } from "../http/session.js";

/** @type {Ui.Owner | null} */
let owner = null;

/**
 * Make a place with the name of the workspace, which stays up to date.
 *
 * @param {{ name: string }} workspace
 * @param {{ id?: string, class?: string }} [attributes]
 */
export const makeName = ({ name }, attributes) => el("span", { ...attributes, "data-workspace": true }, name);

/**
 * Show who works here, and where.
 *
 * @param {Ui.Owner} now
 */
export function showOwner(now) {
  owner = now;
  const { user, workspace } = now;
  // What a role may not do is not offered; the service refuses it in any case.
  document.body.dataset.role = user.main_role.name;
  find("workspace").title = `${workspace.name}, ${user.email}, ${user.main_role.name}`;
  for (const place of document.querySelectorAll("[data-workspace]")) fill(place, workspace.name);
}

/** Read again who works here, and where: another tab or another user may have changed names and roles. */
export async function updateOwner() {
  const { user, workspace } = await findSession();
  // Somebody else who has signed in meanwhile gets a page of their own: calls of this one are refused.
  if (user && workspace && user.id === owner?.user.id && workspace.id === owner.workspace.id)
    showOwner({ user, workspace });
}
