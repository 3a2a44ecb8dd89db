// One report: its blocks, its runs, what starts it, and its YAML.

import { getBlocks } from "../blocks/block_list.js";
import { nameBlocks } from "../blocks/block_view.js";
import { confirmRunOfSaved } from "../drafts/draft_notes.js";
import { removeDraftsOf } from "../drafts/unsaved.js";
import { button } from "../elements/buttons.js";
import { el } from "../elements/dom.js";
import { isolate, quote } from "../elements/format.js";
import { makeForm } from "../elements/forms.js";
import { confirmFirst, showDialog, tell } from "../elements/notices.js";
import { getPath, go, link, reload } from "../elements/router.js";
import { part } from "../http/addresses.js";
import { getRow, put, remove } from "../http/api.js";
import { makeMenu } from "../notebook/menu.js";
import { makeNotebook } from "../notebook/page.js";
import { runHere } from "../notebook/run_here.js";
import { runReport } from "../runs/run_form.js";
import { makeRunList } from "../runs/runs.js";
import { makeReportFields } from "./report_form.js";
import { showYaml } from "./yaml.js";

/** @type {Ui.Show} */
export async function showReport({ report: reference, tab = "" }, signal) {
  /** @type {Api.Report} */
  const report = await getRow(`api/v1/report/${reference}`, { signal });
  if (tab === "runs") return makePage(report, tab, await makeRuns(report, signal));
  if (tab === "yaml") return makePage(report, tab, await showYaml(report, signal));
  const notebook = await makeNotebook(report, signal);
  // The address of its trigger and schedules leads to their place on the page.
  if (tab === "triggers") requestAnimationFrame(notebook.showStart);
  return makePage(report, "", notebook.node, () => runSaved(report, notebook));
}

/**
 * @param {Api.Report} report
 * @param {AbortSignal} signal
 */
async function makeRuns(report, signal) {
  const list = makeRunList({ report, signal });
  await list.show(0);
  return list.node;
}

/**
 * @param {Api.Report} report
 * @param {string} tab
 * @param {Ui.Child} content
 * @param {() => unknown} [run]
 */
function makePage(report, tab, content, run = () => runSaved(report)) {
  return [
    el("p", { class: "trail" }, link("reports", "Reports")),
    el(
      "div",
      { class: "head" },
      el(
        "div",
        {},
        el("h1", {}, report.name),
        el(
          "p",
          { class: "hint" },
          report.type,
          report.folder ? ` in ${isolate(report.folder)}` : "",
          report.owner && ` · owner ${report.owner}`,
          ` · id ${report.id} · time zone ${report.time_zone}`,
        ),
        report.description && el("p", {}, report.description),
      ),
      el(
        "div",
        { class: "actions" },
        button("Run", run, { kind: "primary" }),
        button("Edit", () => editReport(report)),
        makeMenu(`More actions for the ${report.type}`, () => [
          { label: `Delete the ${report.type}`, kind: "danger", work: () => deleteReport(report) },
        ]),
      ),
    ),
    el(
      "nav",
      { class: "tabs", "aria-label": `Parts of the ${report.type}` },
      [
        ["", report.type === "notebook" ? "Notebook" : "Report"],
        ["runs", "Runs"],
        ["yaml", "YAML"],
      ].map(([key, label]) => makeTab(report, key, label, tab)),
    ),
    content,
  ];
}

/**
 * @param {Api.Report} report
 * @param {string} key
 * @param {string} label
 * @param {string} tab
 */
function makeTab(report, key, label, tab) {
  const anchor = link(`reports/${part(report.uid)}${key && `/${key}`}`, label);
  if (key === tab) anchor.setAttribute("aria-current", "page");
  return anchor;
}

/**
 * Run a report as it is saved. A notebook runs with the values of its page, which stays; a report asks for them.
 *
 * @param {Api.Report} report
 * @param {Awaited<ReturnType<typeof makeNotebook>> | null} [notebook]
 */
async function runSaved(report, notebook = null) {
  if (!(await confirmRunOfSaved(nameBlocks(report)))) return;
  if (!notebook || report.type === "report") return runReport(report, notebook?.values.given);
  const parameters = notebook.values.check();
  await runHere(report, await getBlocks(report), parameters);
  await notebook.state.read();
}

/** @param {Api.Report} report */
function editReport(report) {
  return showDialog(`Edit the ${report.type}`, (close) =>
    makeForm({
      thing: `report/${report.uid}/description`,
      isOutdated: async () =>
        describe(await getRow(`api/v1/report/${part(report.uid)}`)) !== describe(report),
      fields: makeReportFields(report),
      submit: "Save",
      cancel: () => close(null),
      async send(values) {
        await put(`api/v1/report/${part(report.uid)}`, { ...values, folder: values.folder || null });
        close(true);
        await reload();
        tell(`The ${report.type} is saved`);
      },
    }),
  );
}

/**
 * Write what the form of a report shows of it.
 *
 * @param {Api.Report} report
 */
const describe = ({ name, description, type, folder, time_zone }) =>
  JSON.stringify([name, description, type, folder, time_zone]);

/** @param {Api.Report} report */
async function deleteReport(report) {
  const text = `${quote(report.name)} is deleted with its blocks, triggers, schedules, runs and results. Nobody can bring it back.`;
  if (!(await confirmFirst(`Delete the ${report.type}?`, text, "Delete"))) return;
  await remove(`api/v1/report/${part(report.uid)}`);
  removeDraftsOf(`report/${report.uid}/`);
  tell(`The ${report.type} is deleted`);
  if (getPath().startsWith("reports/")) await go("reports");
}
