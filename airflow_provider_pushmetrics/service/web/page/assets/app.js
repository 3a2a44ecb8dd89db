// The frame around all pages, and which page shows which address.

import { get } from "./api.js";
import { button } from "./buttons.js";
import { showDatabases } from "./databases.js";
import { showDeliveries, showDelivery } from "./deliveries.js";
import { el, fill, find } from "./dom.js";
import { count } from "./format.js";
import { showMessages } from "./messages.js";
import { confirmFirst } from "./notices.js";
import { showReport } from "./report.js";
import { showReports } from "./reports.js";
import { go, link, route, startRouting } from "./router.js";
import { showRun } from "./run.js";
import { showRuns } from "./runs.js";
import { showSchedules } from "./schedules.js";
import { askForSignIn, findSession, rememberOwner, signOut } from "./session.js";
import { showSubscriptions } from "./subscriptions.js";
import { showTokens } from "./tokens.js";
import { countDrafts, openDrafts } from "./unsaved.js";
import { showUsers } from "./users.js";

// A browser may load the icon when the address has changed already, and the icon's is relative to that.
for (const icon of document.querySelectorAll("link")) {
  if (icon.rel === "icon") icon.setAttribute("href", icon.href);
}

const PLACES = [
  ["reports", "Reports"],
  ["runs", "Runs"],
  ["schedules", "Schedules"],
  ["subscriptions", "Subscriptions"],
  ["deliveries", "Deliveries"],
  ["messages", "Messages"],
  ["databases", "Databases"],
  ["tokens", "API tokens"],
  ["users", "Users"],
];

route("", async () => {
  await go("reports", { replace: true });
  return null;
});
route("reports", showReports);
route("reports/:report", showReport);
route("reports/:report/runs/:run", showRun);
route("reports/:report/:tab", showReport);
route("runs", showRuns);
route("schedules", showSchedules);
route("subscriptions", showSubscriptions);
route("deliveries", showDeliveries);
route("deliveries/:delivery", showDelivery);
route("messages", showMessages);
route("databases", showDatabases);
route("tokens", showTokens);
route("users", showUsers);

async function showBar() {
  /** @type {[Promise<Api.User>, Promise<Api.Workspace>]} */
  const reading = [get("api/v1/user/current"), get("api/v1/workspace/current")];
  const [user, workspace] = await Promise.all(reading);
  openDrafts({ user: user.uid, workspace: workspace.uid });
  const bar = find("bar");
  fill(
    bar,
    el("p", { class: "brand" }, link("reports", "PushMetrics")),
    el(
      "nav",
      { "aria-label": "Main" },
      PLACES.map(([path, label]) => link(path, label)),
    ),
    el(
      "div",
      { class: "who" },
      el("span", { class: "hint clip", title: `${user.email}, ${user.main_role.name}` }, workspace.name),
      button("Sign out", leave),
    ),
  );
  // What a role may not do is not offered; the service refuses it in any case.
  document.body.dataset.role = user.main_role.name;
  bar.hidden = false;
}

async function leave() {
  const drafts = countDrafts();
  const text = `${count(drafts, "draft")} with unsaved changes will be discarded.`;
  if (drafts && !(await confirmFirst("Sign out?", text, "Sign out"))) return;
  await signOut();
}

if (!(await findSession())) await askForSignIn();
await Promise.all([showBar(), rememberOwner()]);
await startRouting();
