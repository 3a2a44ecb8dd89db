// The list of reports and notebooks, and making a new one.

import { part, ROOT } from "./addresses.js";
import { call, post } from "./api.js";
import { button } from "./buttons.js";
import { el, empty } from "./dom.js";
import { moment } from "./format.js";
import { areaField, choiceField, makeForm, textField } from "./forms.js";
import { showDialog } from "./notices.js";
import { go, link } from "./router.js";
import { makeList } from "./tables.js";

/** @type {Ui.Option[]} */
const TYPES = [
  ["report", "Report"],
  ["notebook", "Notebook"],
];
const WAIT_MILLISECONDS = 250;

/** @type {Ui.Show} */
export async function showReports(_, signal) {
  const search = el("input", {
    type: "search",
    placeholder: "Search by name",
    "aria-label": "Search by name",
  });
  const kind = el(
    "select",
    { "aria-label": "Type" },
    [["", "All types"], ...TYPES].map(([value, label]) => el("option", { value }, label)),
  );
  const list = makeList({
    path: "api/v1/report/",
    caption: "Reports",
    noun: "report",
    signal,
    order: ["updated_on", "desc"],
    getFilters: () => [
      search.value.trim() && ["name", "ct", search.value.trim()],
      kind.value && ["type", "eq", kind.value],
    ],
    columns: [
      [
        "Name",
        (report) => [
          link(`reports/${report.uid}`, report.name),
          report.description && el("div", { class: "hint clip" }, report.description),
        ],
      ],
      ["Type", (report) => report.type],
      ["Folder", (report) => report.folder ?? "–"],
      ["Changed", (report) => moment(report.updated_on ?? report.created_on), "tight"],
    ],
    whenEmpty: () =>
      search.value || kind.value
        ? empty("No matching report", "Search for a part of the name, or choose all types.")
        : empty(
            "There are no reports yet",
            "A report queries a database and shows, mails or posts the results. Create the first one.",
            makeNewButton(),
          ),
  });
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const searchSoon = () => {
    clearTimeout(timer);
    timer = setTimeout(() => list.show(0), WAIT_MILLISECONDS);
  };
  search.addEventListener("input", searchSoon);
  kind.addEventListener("change", searchSoon);
  await list.show(0);
  return [
    el(
      "div",
      { class: "head" },
      el("h1", {}, "Reports"),
      el("div", { class: "actions" }, button("From YAML", createFromYaml), makeNewButton()),
    ),
    el("div", { class: "filters" }, search, kind),
    list.node,
  ];
}

/**
 * Change what a report says of itself.
 *
 * @param {Partial<Api.Report>} report
 */
export function makeReportFields(report = {}) {
  return [
    textField("name", "Name", { required: true, maxlength: 255, value: report.name ?? "", autofocus: true }),
    areaField("description", "Description", { value: report.description ?? "", rows: 2 }),
    choiceField("type", "Type", TYPES, { value: report.type ?? "report" }),
    textField("folder", "Folder", { value: report.folder ?? "", maxlength: 255 }),
    textField("time_zone", "Time zone", {
      required: true,
      maxlength: 64,
      value: report.time_zone ?? "UTC",
      hint: "Its queries run in this zone, such as Europe/Berlin, and new schedules begin with it.",
    }),
  ];
}

/** @returns {HTMLButtonElement} */
const makeNewButton = () => button("New report", createReport, { kind: "primary" });

function createReport() {
  return showDialog("New report", (close) =>
    makeForm({
      fields: makeReportFields(),
      submit: "Create",
      cancel: () => close(null),
      async send(values) {
        /** @type {Api.One<Api.WholeReport>} */
        const answer = await post("api/v1/report/", { ...values, folder: values.folder || null });
        close(answer);
        await go(`reports/${part(answer.result.uid)}`);
      },
    }),
  );
}

function createFromYaml() {
  return showDialog("New report from YAML", (close) =>
    makeForm({
      fields: [
        areaField("document", "YAML", {
          rows: 16,
          isCode: true,
          required: true,
          hint: `As a report’s YAML tab shows it, or as “pm report yaml” writes it from ${ROOT.host}.`,
        }),
      ],
      submit: "Create",
      cancel: () => close(null),
      async send({ document }) {
        /** @type {{ result: Api.WholeReport }} */
        const answer = await call("POST", "api/v1/report/config", { text: document });
        close(answer);
        await go(`reports/${part(answer.result.uid)}`);
      },
    }),
  );
}
