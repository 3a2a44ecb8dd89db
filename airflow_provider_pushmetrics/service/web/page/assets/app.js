// The frame around all pages, and which page shows which address.

import { countDrafts, openDrafts } from "./drafts/unsaved.js";
import { el, fill, find } from "./elements/dom.js";
import { count } from "./elements/format.js";
import { iconButton } from "./elements/icons.js";
import { confirmFirst } from "./elements/notices.js";
import { go, link, route, startRouting } from "./elements/router.js";
import { get } from "./http/api.js";
import { askForSignIn, findSession, rememberOwner, signOut } from "./http/session.js";
import { showReport } from "./reports/report.js";
import { showReports } from "./reports/reports.js";
import { showSchedules } from "./reports/schedules.js";
import { showMessages } from "./runs/messages.js";
import { showRun } from "./runs/run.js";
import { showRuns } from "./runs/runs.js";
import { showDatabases } from "./settings/databases.js";
import { showTokens } from "./settings/tokens.js";
import { showUsers } from "./settings/users.js";
import { showDeliveries, showDelivery } from "./webhooks/deliveries.js";
import { showSubscriptions } from "./webhooks/subscriptions.js";

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
  rememberOwner({ user, workspace });
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
      iconButton("sign-out", "Sign out", leave),
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
await showBar();
await startRouting();
