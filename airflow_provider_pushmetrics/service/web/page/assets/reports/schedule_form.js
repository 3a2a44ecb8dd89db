// The form of a schedule.

import { add, el, fill } from "../elements/dom.js";
import { choiceField, listField, makeForm, nameOptions, showWhile, textField } from "../elements/forms.js";
import { showDialog, tell } from "../elements/notices.js";
import { part } from "../http/addresses.js";
import { getRow, post, put } from "../http/api.js";
import { describeError } from "../http/errors.js";

const RECURRENCES = nameOptions(["hourly", "daily", "weekly", "monthly", "quarterly", "annually", "cron"]);
/** @type {Ui.Option[]} */
const ENDS = [
  ["never", "never"],
  ["date", "on a date"],
  ["count", "after so many runs"],
];
const HERE = Intl.DateTimeFormat().resolvedOptions().timeZone;

/**
 * Make a schedule, or change one.
 *
 * @param {{ schedule?: Api.Schedule | null, reports: Api.Report[], whenDone: () => unknown }} settings
 */
export async function editSchedule({ schedule = null, reports, whenDone }) {
  const fields = makeFields(schedule ?? {}, reports, Boolean(schedule));
  const done = await showDialog(schedule ? "Edit the schedule" : "New schedule", (close) =>
    makeForm({
      fields: [...fields, { node: makeZones() }],
      submit: "Save",
      cancel: () => close(null),
      async send(values) {
        /** @type {Record<string, unknown>} */
        const body = readBody(values, schedule);
        if (schedule) await put(`api/v1/schedule/${part(schedule.uid)}`, body);
        else
          await post("api/v1/schedule/", {
            ...body,
            report_id: values.report_id,
            query_id: values.query_id ? Number(values.query_id) : null,
          });
        close(true);
      },
    }),
  );
  if (!done) return;
  tell("The schedule is saved");
  await whenDone();
}

/**
 * @param {Partial<Api.Schedule>} schedule
 * @param {Api.Report[]} reports
 * @param {boolean} isOld
 * @returns {Ui.FormPart[]}
 */
function makeFields(schedule, reports, isOld) {
  const recurrence = choiceField("recurrence", "Repeats", RECURRENCES, {
    value: schedule.recurrence ?? "daily",
  });
  const ends = choiceField("ends", "Ends", ENDS, {
    value: schedule.ends_on ? "date" : schedule.max_runs ? "count" : "never",
  });
  return [
    textField("name", "Name", { required: true, value: schedule.name ?? "", maxlength: 255 }),
    ...(isOld ? [] : makeTargetFields(reports)),
    textField("first_start", "First time", {
      type: "datetime-local",
      required: !isOld,
      hint: isOld
        ? "Empty: it stays as it is, also in another time zone."
        : "In the time zone below; it must be in the future.",
    }),
    textField("time_zone", "Time zone", {
      required: true,
      value: schedule.time_zone ?? (reports?.length === 1 ? reports[0].time_zone : HERE) ?? "UTC",
      list: "zones",
    }),
    recurrence,
    showWhile(
      textField("cron", "Cron", {
        value: schedule.cron ?? "",
        placeholder: "30 6 * * MON-FRI",
        class: "code",
        hint: "Minute, hour, day of the month, month, day of the week.",
      }),
      recurrence.input,
      (value) => value === "cron",
    ),
    ends,
    showWhile(
      textField("ends_on", "Ends on", { type: "date", value: schedule.ends_on ?? "" }),
      ends.input,
      (value) => value === "date",
    ),
    showWhile(
      textField("max_runs", "Runs", { type: "number", min: 1, value: schedule.max_runs ?? "" }),
      ends.input,
      (value) => value === "count",
    ),
    listField("success_recipients", "Mail on success to", { value: schedule.success_recipients ?? [] }),
    listField("failure_recipients", "Mail on failure to", { value: schedule.failure_recipients ?? [] }),
  ];
}

/** @param {Api.Report[]} reports */
function makeTargetFields(reports) {
  const report = choiceField(
    "report_id",
    "Report",
    reports.map((one) => [one.uid, one.name]),
    {},
  );
  const query = choiceField("query_id", "Runs", [["", "the whole report"]], {});
  const whole = el("option", { value: "" }, "the whole report");
  const offerQueries = async () => {
    const uid = report.input.value;
    fill(query.input, whole); // until they are read, and not those of the report before
    if (!uid) return;
    try {
      /** @type {Api.WholeReport} */
      const { blocks } = await getRow(`api/v1/report/${part(uid)}`);
      if (uid !== report.input.value) return;
      const queries = blocks.filter((block) => block.query_id !== null);
      add(
        query.input,
        queries.map((block) => el("option", { value: block.query_id }, `only the query ${block.name}`)),
      );
    } catch (error) {
      if (uid === report.input.value) tell(describeError(error), "bad");
    }
  };
  report.input.addEventListener("change", offerQueries);
  offerQueries();
  return [report, query];
}

function makeZones() {
  return el(
    "datalist",
    { id: "zones" },
    Intl.supportedValuesOf("timeZone").map((zone) => el("option", { value: zone })),
  );
}

/**
 * @param {Ui.Values} values
 * @param {Api.Schedule | null} schedule
 */
function readBody(values, schedule) {
  /** @type {Record<string, unknown>} */
  const body = {
    name: values.name,
    time_zone: values.time_zone,
    recurrence: values.recurrence,
    cron: values.recurrence === "cron" ? values.cron : null,
    ends_on: values.ends === "date" ? values.ends_on || null : null,
    max_runs: values.ends === "count" ? Number(values.max_runs) || null : null,
    success_recipients: values.success_recipients,
    failure_recipients: values.failure_recipients,
  };
  if (values.first_start || !schedule) body.first_start = values.first_start;
  return body;
}
