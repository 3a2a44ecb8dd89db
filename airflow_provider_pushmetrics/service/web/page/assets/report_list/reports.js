// The list of reports and notebooks.

import { button } from "../elements/buttons.js";
import { el, empty, fill } from "../elements/dom.js";
import { moment, state } from "../elements/format.js";
import { icon } from "../elements/icons.js";
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
import { makeChip, makeChoice, makeOwner } from "./choices.js";
import { makeFolderTree } from "./folder_tree.js";
import { nameOwners } from "./owners.js";
import { makeSparkline } from "./sparkline.js";

const WAIT_MILLISECONDS = 250;
const ORDERS = ["updated_on", "name", "type", "folder", "owner", "created_on"];
const DEFAULTS = { search: "", type: "", folder: "", owner: "", order: "-updated_on", page: "1" };

/** @type {Ui.Show} */
export async function showReports(_, signal) {
  const address = readAddress(location.search, DEFAULTS);
  const search = el("input", {
    type: "search",
    placeholder: "Search names, folders, owners and SQL",
    "aria-label": "Search names, folders, owners and SQL",
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
  const choose = (folder) => list.chooseOnly({ folder }).catch(tellFault);
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
      el(
        "div",
        { class: "dense" },
        el("div", { class: "filters" }, search, kind, list.chips),
        list.view.node,
      ),
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
  const chosen = { folder: address.folder, owner: address.owner };
  let tellFolder = (/** @type {string} */ _) => {};
  const chips = el("div", { class: "chips" });
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
      chosen.folder && ["folder", "under", chosen.folder],
      chosen.owner && ["owner", "eq", chosen.owner],
    ],
    complete: (reports, { isUnasked }) => addActivity(reports, { signal, isUnasked }),
    onChange: () => keep(),
    columns: makeColumns((wanted) => chooseOnly(wanted).catch(tellFault)),
    whenEmpty: () => makeEmpty(Boolean(search.value || kind.value || chosen.folder || chosen.owner)),
  });
  const keep = ({ replace = false } = {}) => {
    const shown = {
      search: search.value.trim(),
      type: kind.value,
      ...chosen,
      order: writeOrder(view.order ?? ["updated_on", "desc"]),
      page: writePage(view.page),
    };
    changeAddress(`reports${writeAddress(shown, DEFAULTS)}`, { replace });
  };
  const showChosen = () => {
    const { folder, owner } = chosen;
    chips.hidden = !folder && !owner;
    fill(
      chips,
      folder && makeChip(`Folder ${folder}`, "All folders", () => chooseOnly({ folder: "" })),
      owner && makeChip(`Owner ${owner}`, "All owners", () => chooseOnly({ owner: "" })),
    );
    tellFolder(folder);
  };
  /** @param {Partial<typeof chosen>} wanted */
  const chooseOnly = async (wanted) => {
    Object.assign(chosen, wanted);
    showChosen();
    await view.show(0);
    if (!signal.aborted) keep();
  };
  showChosen();
  return {
    view,
    chips,
    chooseOnly,
    /** @param {(folder: string) => void} listener */
    whenFolderChanges(listener) {
      tellFolder = listener;
      listener(chosen.folder);
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
        "Search for a part of a name, a folder or the SQL, or for how an owner’s address begins; or choose all types, folders and owners.",
      )
    : empty(
        "There are no reports yet",
        "A report queries a database and shows, mails or posts the results. Create the first one.",
        makeNewButton(),
      );

/**
 * @param {(wanted: { folder?: string, owner?: string }) => unknown} choose
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
    ({ folder }) => (folder ? makeChoice("folder", folder, () => choose({ folder }), folder) : "–"),
    "folder-name",
    "folder",
  ],
  ["Owner", (report) => makeOwner(report, (owner) => choose({ owner })), "folder-name", "owner"],
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
 * Add the last runs and the next run to the reports of a page, by one call; and the names of their owners.
 *
 * @param {Api.Report[]} reports
 * @param {Ui.CallSettings} settings
 */
async function addActivity(reports, settings) {
  const query = new URLSearchParams(reports.map(({ id }) => ["report", String(id)]));
  /** @type {Api.ReportActivity[]} */
  const found = await getRow(`app/activity/reports?${query}`, settings);
  const activities = new Map(found.map((activity) => [activity.report_id, activity]));
  const names = nameOwners(reports.map(({ owner }) => owner));
  return reports.map((report) => ({
    ...report,
    activity: activities.get(report.id),
    owner_name: names.get(report.owner ?? ""),
  }));
}

/** @param {unknown} error */
function tellFault(error) {
  if (!isAbort(error)) tell(describeError(error), "bad");
}
