// The list of reports and notebooks.

import { button } from "../elements/buttons.js";
import { el, empty, fill } from "../elements/dom.js";
import { moment, state } from "../elements/format.js";
import { icon, iconButton } from "../elements/icons.js";
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
import { createFromYaml, makeNewButton, TYPES } from "../reports/report_form.js";
import { makeFolderLink, makeFolderTree } from "./folder_tree.js";
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
  /** @param {string} folder */
  const choose = (folder) => list.chooseFolder(folder).catch(tellFault);
  const [tree] = await Promise.all([makeFolderTree(choose, signal), list.view.show(readPage(address.page))]);
  list.whenFolderChanges((folder) => tree.show(folder));
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  search.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => list.search().catch(tellFault), WAIT_MILLISECONDS);
  });
  signal.addEventListener("abort", () => clearTimeout(timer));
  kind.addEventListener("change", () => list.choose().catch(tellFault));
  return [
    el(
      "div",
      { class: "head" },
      el("h1", {}, "Reports"),
      el("div", { class: "actions" }, button("From YAML", createFromYaml), makeNewButton()),
    ),
    el(
      "div",
      { class: "with-folders" },
      tree.node,
      el("div", { class: "dense" }, el("div", { class: "filters" }, search, kind, list.chip), list.view.node),
    ),
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
  let { folder } = address;
  let tellFolder = (/** @type {string} */ _) => {};
  const chip = el("span", { class: "chip" });
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
      folder && ["folder", "under", folder],
    ],
    complete: (reports, { isUnasked }) => addActivity(reports, { signal, isUnasked }),
    onChange: () => keep(),
    columns: makeColumns((path) => chooseFolder(path).catch(tellFault)),
    whenEmpty: () => makeEmpty(Boolean(search.value || kind.value || folder)),
  });
  const keep = ({ replace = false } = {}) => {
    const shown = {
      search: search.value.trim(),
      type: kind.value,
      folder,
      order: writeOrder(view.order ?? ["updated_on", "desc"]),
      page: writePage(view.page),
    };
    changeAddress(`reports${writeAddress(shown, DEFAULTS)}`, { replace });
  };
  const showFolder = () => {
    chip.hidden = !folder;
    fill(
      chip,
      `Folder ${folder} `,
      iconButton("close", "All folders", () => chooseFolder(""), { kind: "reads" }),
    );
    tellFolder(folder);
  };
  /** @param {string} path */
  const chooseFolder = async (path) => {
    folder = path;
    showFolder();
    await view.show(0);
    if (!signal.aborted) keep();
  };
  showFolder();
  return {
    view,
    chip,
    chooseFolder,
    /** @param {(folder: string) => void} listener */
    whenFolderChanges(listener) {
      tellFolder = listener;
      listener(folder);
    },
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

/** @param {boolean} isFiltered */
const makeEmpty = (isFiltered) =>
  isFiltered
    ? empty(
        "No matching report",
        "Search for a part of a name, a folder or the SQL, or choose all types and all folders.",
      )
    : empty(
        "There are no reports yet",
        "A report queries a database and shows, mails or posts the results. Create the first one.",
        makeNewButton(),
      );

/**
 * @param {(folder: string) => unknown} choose
 * @returns {Ui.Column<Api.Report>[]}
 */
const makeColumns = (choose) => [
  [
    "Name",
    (report) => [
      el(
        "span",
        { class: "kind-icon", title: report.type },
        icon(report.type),
        el("span", { class: "unseen" }, report.type),
      ),
      link(`reports/${part(report.uid)}`, report.name),
      report.description && el("span", { class: "hint", title: report.description }, report.description),
    ],
    "name",
    "name",
  ],
  ["Last run", (report) => makeLastRun(report), "tight"],
  ["Next run", (report) => moment(report.activity?.next_run_on), "tight"],
  [
    "Folder",
    (report) => (report.folder ? makeFolderLink(report.folder, choose, report.folder) : "–"),
    "folder-name",
    "folder",
  ],
  ["Updated", (report) => moment(report.updated_on ?? report.created_on), "tight", "updated_on"],
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
 * @param {Ui.CallSettings} settings
 */
async function addActivity(reports, settings) {
  const query = new URLSearchParams(reports.map(({ id }) => ["report", String(id)]));
  /** @type {Api.ReportActivity[]} */
  const found = await getRow(`app/activity/reports?${query}`, settings);
  const activities = new Map(found.map((activity) => [activity.report_id, activity]));
  return reports.map((report) => ({ ...report, activity: activities.get(report.id) }));
}

/** @param {unknown} error */
function tellFault(error) {
  if (!isAbort(error)) tell(describeError(error), "bad");
}
