// Lists of runs: of one report, or of all.

import { elapsed } from "../elements/clock.js";
import { el, empty } from "../elements/dom.js";
import { moment, state, writeParameters } from "../elements/format.js";
import { readAddress, readPage, writeAddress, writePage } from "../elements/list_address.js";
import { tell } from "../elements/notices.js";
import { changeAddress, link } from "../elements/router.js";
import { makeList } from "../elements/tables.js";
import { part } from "../http/addresses.js";
import { describeError, isAbort } from "../http/errors.js";

const DEFAULTS = { status: "", page: "1" };
const STATES = ["pending", "running", "success", "failed", "cancelled"];

/** @type {Ui.Show} */
export async function showRuns(_, signal) {
  const address = readAddress(location.search, DEFAULTS);
  const chosen = el(
    "select",
    { "aria-label": "State" },
    el("option", { value: "" }, "All states"),
    STATES.map((name) => el("option", { value: name, selected: name === address.status }, name)),
  );
  const keep = () => {
    const shown = { status: chosen.value, page: writePage(list.page) };
    changeAddress(`runs${writeAddress(shown, DEFAULTS)}`);
  };
  const list = makeRunList({
    signal,
    onChange: keep,
    getFilters: () => [chosen.value && ["status", "eq", chosen.value]],
  });
  chosen.addEventListener("change", async () => {
    try {
      await list.show(0);
      keep();
    } catch (error) {
      if (!isAbort(error)) tell(describeError(error), "bad");
    }
  });
  await list.show(readPage(address.page));
  return [el("h1", {}, "Runs"), el("div", { class: "filters" }, chosen), list.node];
}

/**
 * Make the list of runs, of one report if there is one.
 *
 * @param {{ report?: Api.Report | null, getFilters?: () => Ui.Optional<Api.Filter>[], onChange?: () => void, signal: AbortSignal }} settings
 * @returns {Ui.ListView}
 */
export function makeRunList({ report = null, getFilters = () => [], onChange, signal }) {
  return makeList({
    path: "api/v1/noteflow_run/",
    query: report ? { report_uid: report.uid } : {},
    caption: "Runs",
    noun: "run",
    getFilters,
    isLive: true,
    onChange,
    signal,
    columns: [
      ["Run", (run) => link(getRunPath(run), `Run ${run.id}`), "tight"],
      !report && [
        "Report",
        (run) => el("div", { class: "lines" }, link(`reports/${part(run.report_uid)}`, run.name)),
        "name",
      ],
      ["State", (run) => state(run.status)],
      ["Started by", (run) => run.started_by ?? run.origin],
      ["Parameters", (run) => el("span", { class: "clip code" }, writeParameters(run.parameters))],
      ["Started", (run) => moment(run.start_time ?? run.created_on), "tight"],
      ["Duration", (run) => elapsed(run.start_time, run.end_time), "tight"],
    ],
    whenEmpty: () =>
      empty(
        "There are no runs here",
        "Run a report with its button, give it a schedule, or call its trigger.",
      ),
  });
}

/** @param {Pick<Api.Run, "id" | "report_uid">} run */
export const getRunPath = (run) => `reports/${part(run.report_uid)}/runs/${run.id}`;
