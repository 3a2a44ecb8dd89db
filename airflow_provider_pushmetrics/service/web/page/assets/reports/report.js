// One report: its blocks, its runs, what starts it, and its YAML.

import { nameBlocks } from "../blocks/block_view.js";
import { showBlocks } from "../blocks/blocks.js";
import { confirmRunOfSaved } from "../drafts/draft_notes.js";
import { removeDraftsOf } from "../drafts/unsaved.js";
import { button } from "../elements/buttons.js";
import { el } from "../elements/dom.js";
import { makeForm } from "../elements/forms.js";
import { confirmFirst, showDialog, tell } from "../elements/notices.js";
import { getPath, go, link, reload } from "../elements/router.js";
import { part } from "../http/addresses.js";
import { getRow, put, remove } from "../http/api.js";
import { runReport } from "../runs/run_form.js";
import { makeRunList } from "../runs/runs.js";
import { makeReportFields } from "./report_form.js";
import { makeSchedules } from "./schedules.js";
import { showTrigger } from "./triggers.js";
import { showYaml } from "./yaml.js";

/** @type {Record<string, [label: string, build: (report: Api.WholeReport, signal: AbortSignal) => Promise<Ui.Child>]>} */
const TABS = {
  blocks: ["Blocks", showBlocks],
  runs: [
    "Runs",
    async (report, signal) => {
      const list = makeRunList({ report, signal });
      await list.show(0);
      return list.node;
    },
  ],
  triggers: [
    "Trigger and schedules",
    async (report, signal) => Promise.all([showTrigger(report, signal), makeSchedules({ report, signal })]),
  ],
  yaml: ["YAML", showYaml],
};

/** @type {Ui.Show} */
export async function showReport({ report: reference, tab = "blocks" }, signal) {
  const report = await getRow(`api/v1/report/${reference}`, { signal });
  const [, build] = TABS[tab] ?? TABS.blocks;
  const content = await build(report, signal);
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
          report.folder ? ` in ${report.folder}` : "",
          ` · id ${report.id} · time zone ${report.time_zone}`,
        ),
        report.description && el("p", {}, report.description),
      ),
      el(
        "div",
        { class: "actions" },
        button("Edit", () => editReport(report)),
        button("Delete", () => deleteReport(report), { kind: "danger" }),
        button("Run", () => runSaved(report), { kind: "primary" }),
      ),
    ),
    el(
      "nav",
      { class: "tabs", "aria-label": "Parts of the report" },
      Object.entries(TABS).map(([key, [label]]) => makeTab(report, key, label, tab)),
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
  const anchor = link(`reports/${part(report.uid)}${key === "blocks" ? "" : `/${key}`}`, label);
  if (key === tab) anchor.setAttribute("aria-current", "page");
  return anchor;
}

/** @param {Api.Report} report */
async function runSaved(report) {
  if (await confirmRunOfSaved(nameBlocks(report))) await runReport(report);
}

/** @param {Api.Report} report */
function editReport(report) {
  return showDialog("Edit the report", (close) =>
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
        tell("The report is saved");
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
  const text = `“${report.name}” is deleted with its blocks, triggers, schedules, runs and results. Nobody can bring it back.`;
  if (!(await confirmFirst("Delete the report?", text, "Delete"))) return;
  await remove(`api/v1/report/${part(report.uid)}`);
  removeDraftsOf(`report/${report.uid}/`);
  tell("The report is deleted");
  if (getPath().startsWith("reports/")) await go("reports");
}
