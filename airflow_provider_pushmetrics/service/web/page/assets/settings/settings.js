// The settings: one page each, with the others beside it.

import { el } from "../elements/dom.js";
import { link } from "../elements/router.js";

/** Where each page of the settings is, what it is called, and what shows it. */
/** @type {[name: string, label: string, load: () => Promise<Ui.Show>][]} */
const PAGES = [
  ["databases", "Databases", async () => (await import("./databases.js")).showDatabases],
  ["notifications", "Notifications", async () => (await import("./notifications.js")).showNotifications],
  ["messages", "Messages", async () => (await import("../runs/messages.js")).showMessages],
  ["tokens", "API tokens", async () => (await import("./tokens.js")).showTokens],
  ["users", "Users", async () => (await import("./users.js")).showUsers],
  ["workspace", "Workspace", async () => (await import("./workspace.js")).showWorkspace],
  ["appearance", "Appearance", async () => (await import("./appearance.js")).showAppearance],
];

/** @type {Ui.Show} */
export async function showSettings({ page, ...parameters }, signal) {
  const [name, , load] = PAGES.find(([one]) => one === page) ?? PAGES[0];
  const show = await load();
  const content = await show(parameters, signal);
  const links = PAGES.map(([path, label]) => {
    const one = link(`settings/${path}`, label);
    if (path === name) one.setAttribute("aria-current", "page");
    return one;
  });
  return el(
    "div",
    { class: "settings" },
    el("nav", { class: "sections", "aria-label": "Settings" }, links),
    el("div", { class: "section" }, content),
  );
}
