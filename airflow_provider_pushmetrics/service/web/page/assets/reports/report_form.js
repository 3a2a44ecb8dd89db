// Making a new report or notebook, and the fields of what it says of itself.

import { button } from "../elements/buttons.js";
import { areaField, choiceField, makeForm, textField } from "../elements/forms.js";
import { showDialog } from "../elements/notices.js";
import { go } from "../elements/router.js";
import { part, ROOT } from "../http/addresses.js";
import { call, post } from "../http/api.js";

/** @type {Ui.Option[]} */
export const TYPES = [
  ["report", "Report"],
  ["notebook", "Notebook"],
];

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
export const makeNewButton = () => button("New report", createReport, { kind: "primary" });

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

/** Make a report of a YAML document. */
export function createFromYaml() {
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
