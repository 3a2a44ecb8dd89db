// The list of reports and notebooks.

import { button } from "../elements/buttons.js";
import { el, empty } from "../elements/dom.js";
import { moment, state } from "../elements/format.js";
import {
  readAddress,
  readOrder,
  readPage,
  writeAddress,
  writeOrder,
  writePage,
} from "../elements/list_address.js";
import { tell } from "../elements/notices.js";
import { changeAddress, link } from "../elements/router.js";
import { makeList } from "../elements/tables.js";
import { part } from "../http/addresses.js";
import { getRow } from "../http/api.js";
import { describeError, isAbort } from "../http/errors.js";
import { createFromYaml, makeNewButton, TYPES } from "./report_form.js";
import { makeSparkline } from "./sparkline.js";

const WAIT_MILLISECONDS = 250;
const ORDERS = ["updated_on", "name", "type", "folder", "created_on"];
const DEFAULTS = { search: "", type: "", folder: "", order: "-updated_on", page: "1" };

/** @type {Ui.Show} */
export async function showReports(_, signal) {
  const address = readAddress(location.search, DEFAULTS);
  const search = el("input", {
    type: "search",
    placeholder: "Search names, folders and SQL",
    "aria-label": "Search names, folders and SQL",
    value: address.search,
  });
  const kind = el(
    "select",
    { "aria-label": "Type" },
    [["", "All types"], ...TYPES].map(([value, label]) =>
      el("option", { value, selected: value === address.type }, label),
    ),
  );
  const list = makeReportList(search, kind, address, signal);
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  search.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => list.search().catch(tellFault), WAIT_MILLISECONDS);
  });
  signal.addEventListener("abort", () => clearTimeout(timer));
  kind.addEventListener("change", () => list.choose().catch(tellFault));
  await list.view.show(readPage(address.page));
  return [
    el(
      "div",
      { class: "head" },
      el("h1", {}, "Reports"),
      el("div", { class: "actions" }, button("From YAML", createFromYaml), makeNewButton()),
    ),
    el(
      "div",
      { class: "filters" },
      search,
      kind,
      address.folder &&
        el(
          "span",
          { class: "chip" },
          `Folder ${address.folder} `,
          link(`reports${writeAddress({ ...address, folder: "", page: "1" }, DEFAULTS)}`, "All folders"),
        ),
    ),
    list.view.node,
  ];
}

/**
 * Make the list, whose state is in the address.
 *
 * @param {HTMLInputElement} search
 * @param {HTMLSelectElement} kind
 * @param {typeof DEFAULTS} address
 * @param {AbortSignal} signal
 */
function makeReportList(search, kind, address, signal) {
  const view = makeList({
    path: "api/v1/report/",
    caption: "Reports",
    noun: "report",
    signal,
    isLive: true,
    order: readOrder(address.order, ORDERS),
    getFilters: () => [
      search.value.trim() && ["text", "ct", search.value.trim()],
      kind.value && ["type", "eq", kind.value],
      address.folder && ["folder", "eq", address.folder],
    ],
    complete: (reports) => addActivity(reports, signal),
    onChange: () => keep(),
    columns: makeColumns(address),
    whenEmpty: () =>
      search.value || kind.value || address.folder
        ? empty(
            "No matching report",
            "Search for a part of a name, a folder or the SQL, or choose all types.",
          )
        : empty(
            "There are no reports yet",
            "A report queries a database and shows, mails or posts the results. Create the first one.",
            makeNewButton(),
          ),
  });
  const keep = ({ replace = false } = {}) => {
    const shown = {
      ...address,
      search: search.value.trim(),
      type: kind.value,
      order: writeOrder(view.order ?? ["updated_on", "desc"]),
      page: writePage(view.page),
    };
    changeAddress(`reports${writeAddress(shown, DEFAULTS)}`, { replace });
  };
  return {
    view,
    async search() {
      await view.show(0);
      if (!signal.aborted) keep({ replace: true });
    },
    async choose() {
      await view.show(0);
      if (!signal.aborted) keep();
    },
  };
}

/**
 * @param {typeof DEFAULTS} address
 * @returns {Ui.Column<Api.Report>[]}
 */
const makeColumns = (address) => [
  [
    "Name",
    (report) => [
      link(`reports/${report.uid}`, report.name),
      report.description && el("div", { class: "hint clip" }, report.description),
    ],
    "name",
    "name",
  ],
  ["Last run", (report) => makeLastRun(report), "tight"],
  ["Next run", (report) => moment(report.activity?.next_run_on), "tight"],
  [
    "Folder",
    (report) =>
      report.folder
        ? link(
            `reports${writeAddress({ ...address, folder: report.folder, page: "1" }, DEFAULTS)}`,
            report.folder,
          )
        : "–",
    null,
    "folder",
  ],
  ["Type", (report) => report.type, null, "type"],
  ["Changed", (report) => moment(report.updated_on ?? report.created_on), "tight", "updated_on"],
];

/**
 * @param {Api.Report} report
 * @returns {Ui.Child}
 */
function makeLastRun({ uid, activity }) {
  const [last] = activity?.runs ?? [];
  if (!activity || !last) return "–";
  const path = `reports/${part(uid)}/runs/${last.id}`;
  return el("span", { class: "last-run" }, link(path, state(last.status)), makeSparkline(activity.runs));
}

/**
 * Add the last runs and the next run to the reports of a page, by one call.
 *
 * @param {Api.Report[]} reports
 * @param {AbortSignal} signal
 */
async function addActivity(reports, signal) {
  const query = new URLSearchParams(reports.map(({ id }) => ["report", String(id)]));
  /** @type {Api.ReportActivity[]} */
  const found = await getRow(`app/activity/reports?${query}`, { signal });
  const activities = new Map(found.map((activity) => [activity.report_id, activity]));
  return reports.map((report) => ({ ...report, activity: activities.get(report.id) }));
}

/** @param {unknown} error */
function tellFault(error) {
  if (!isAbort(error)) tell(describeError(error), "bad");
}
