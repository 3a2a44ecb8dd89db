// The first page of the demo: what this is, and what to try.

import { el } from "../elements/dom.js";
import { icon } from "../elements/icons.js";
import { link } from "../elements/router.js";
import { part } from "../http/addresses.js";
import { getList } from "../http/api.js";
import { makeNewButton } from "../reports/report_form.js";

/** As `service/demo_report.py` names it. */
const DEMO_REPORT = "Departure delays";

/** @type {Ui.Show} */
export async function showStart(_, signal) {
  const { result } = await getList("api/v1/report/", {
    filters: [["name", "eq", DEMO_REPORT]],
    size: 1,
    signal,
  });
  const path = result.length ? `reports/${part(result[0].uid)}` : "reports";
  return [
    el("h1", {}, "Welcome to the demo"),
    el(
      "p",
      { class: "lead" },
      "Reports query databases and turn the rows into tables, charts, mails and webhooks. This one has the flights that left New York City in 2013. Everything here is on this machine, and can be changed or deleted.",
    ),
    el(
      "ol",
      { class: "steps" },
      makeStep(
        "run",
        "Run a report",
        `“${DEMO_REPORT}” shows how late flights were, by carrier and by day. Choose an airport, run it, and download the rows.`,
        link(path, "Open the report"),
      ),
      makeStep(
        "trigger",
        "Start it from another program",
        "The trigger of the report is a URL. Call it by curl or from a Dag of Airflow: the run appears in the list of runs by itself.",
        link("runs", "Open the runs"),
      ),
      makeStep(
        "edit",
        "Build your own",
        "Add a Parameter, an SQL block and a chart. The database “flights” is there; connect others under Databases.",
        makeNewButton(),
        link("databases", "Open the databases"),
      ),
    ),
  ];
}

/**
 * @param {import("../elements/icons.js").IconName} picture
 * @param {string} title
 * @param {string} text
 * @param {...Ui.Child} actions
 */
const makeStep = (picture, title, text, ...actions) =>
  el(
    "li",
    { class: "card step" },
    el("h2", {}, icon(picture), title),
    el("p", {}, text),
    el("p", { class: "actions" }, actions),
  );
