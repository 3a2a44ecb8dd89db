// The frame around all pages, and which page shows which address.

import { describeCutTexts } from "./cut_texts.js";
import { countDrafts, openDrafts } from "./drafts/unsaved.js";
import { button } from "./elements/buttons.js";
import { el, fill, find } from "./elements/dom.js";
import { count } from "./elements/format.js";
import { iconButton } from "./elements/icons.js";
import { confirmFirst } from "./elements/notices.js";
import { getPath, link, preload, redirect, route, startRouting } from "./elements/router.js";
import { describeError } from "./http/errors.js";
import { rememberVersion } from "./http/live.js";
import { askForSignIn, findSession, rememberOwner, signOut } from "./http/session.js";
import { makeName, showOwner, updateOwner } from "./settings/owner.js";
import { updateTheme } from "./settings/theme.js";

// A browser may load the icon when the address has changed already, and the icon's is relative to that.
for (const icon of document.querySelectorAll("link")) {
  if (icon.rel === "icon") icon.setAttribute("href", icon.href);
}

/** What one works with, what others are told by, and how it is set up. */
const PLACES = [
  [
    ["reports", "Reports"],
    ["runs", "Runs"],
    ["schedules", "Schedules"],
  ],
  [["webhooks", "Webhooks"]],
  [["settings", "Settings"]],
];

let isDemo = false;

// Each page is loaded when it is first shown.
redirect("", () => (isDemo ? "start" : "reports"));
route("start", async () => (await import("./report_list/start.js")).showStart);
route("reports", async () => (await import("./report_list/reports.js")).showReports);
route("reports/:report", async () => (await import("./reports/report.js")).showReport);
route("reports/:report/runs/:run", async () => (await import("./runs/run.js")).showRun);
route("reports/:report/:tab", async () => (await import("./reports/report.js")).showReport);
route("runs", async () => (await import("./runs/runs.js")).showRuns);
route("schedules", async () => (await import("./reports/schedules.js")).showSchedules);
route("webhooks", async () => (await import("./webhooks/webhooks.js")).showWebhooks);
route("webhooks/deliveries", async () => (await import("./webhooks/deliveries.js")).showDeliveries);
route("webhooks/deliveries/:delivery", async () => (await import("./webhooks/delivery.js")).showDelivery);
route("webhooks/:webhook", async () => (await import("./webhooks/webhook.js")).showWebhook);
route("settings/:page", async () => (await import("./settings/settings.js")).showSettings);
redirect("settings", () => "settings/databases");
for (const page of ["databases", "messages", "tokens", "users", "appearance"])
  redirect(page, () => `settings/${page}`);
redirect("subscriptions", () => "webhooks");
redirect("deliveries", () => `webhooks/deliveries${location.search.replace("subscription=", "webhook=")}`);
redirect("deliveries/:delivery", ({ delivery }) => `webhooks/deliveries/${delivery}`);

/** @param {Ui.Owner} owner */
function showBar({ user, workspace }) {
  openDrafts({ user: user.uid, workspace: workspace.uid });
  const bar = find("bar");
  fill(
    bar,
    el("p", { class: "brand" }, link("", "PushMetrics")),
    el(
      "nav",
      { "aria-label": "Main" },
      PLACES.map((group) =>
        el(
          "div",
          { class: "places" },
          group.map(([path, label]) => link(path, label)),
        ),
      ),
    ),
    el(
      "div",
      { class: "who" },
      makeName(workspace, { id: "workspace", class: "hint clip" }),
      iconButton("sign-out", "Sign out", leave),
    ),
  );
  showOwner({ user, workspace });
  bar.hidden = false;
}

async function leave() {
  const drafts = countDrafts();
  const text = `${count(drafts, "draft")} with unsaved changes will be discarded.`;
  if (drafts && !(await confirmFirst("Sign out?", text, "Sign out"))) return;
  await signOut();
}

async function start() {
  preload(getPath());
  const { user, workspace, is_demo, runs_version } = await findOwner();
  isDemo = is_demo ?? false;
  if (!user || !workspace) return location.reload(); // the session has ended at once
  rememberOwner({ user, workspace });
  rememberVersion(runs_version ?? "");
  showBar({ user, workspace });
  document.addEventListener("visibilitychange", showChanges);
  await startRouting();
}

/** Show what was changed in another tab while this one was hidden. */
function showChanges() {
  if (document.hidden) return;
  updateTheme();
  updateOwner().catch(() => {}); // nobody asked for it; whoever acts next is told that the service is away
}

async function findOwner() {
  const session = await findSession();
  if (session.is_signed_in) return session;
  await askForSignIn();
  return findSession();
}

/** @param {unknown} error */
function showFault(error) {
  fill(
    find("page"),
    el("h1", {}, "The page cannot be shown"),
    el("p", { class: "fault", role: "alert" }, describeError(error)),
    button("Reload", () => location.reload(), { kind: "primary" }),
  );
}

describeCutTexts();
// Not awaited: pages import this file, and would wait for it while it waits for them.
start().catch(showFault);
