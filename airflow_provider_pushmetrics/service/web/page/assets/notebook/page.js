// The page of a report or notebook, for writing and reading: its outline, its blocks with their results, its sidebar.

import { getBlocks } from "../blocks/block_list.js";
import { BlockList } from "../blocks/blocks.js";
import { el } from "../elements/dom.js";
import { tell } from "../elements/notices.js";
import { getAll } from "../http/api.js";
import { describeError, isAbort } from "../http/errors.js";
import { watchRuns } from "../http/live.js";
import { ReportSchedules } from "../reports/report_schedules.js";
import { TriggerSection } from "../reports/triggers.js";
import { BlockGraph } from "./graph.js";
import { Outline } from "./outline.js";
import { RecentRuns } from "./recent_runs.js";
import { makeSection, rememberFold, showSection } from "./sections.js";
import { NotebookState } from "./state.js";
import { ParameterValues } from "./values.js";

const TYPING_MILLISECONDS = 400;

/**
 * Make the page below its heading.
 *
 * @param {Api.Report} report
 * @param {AbortSignal} signal
 * @returns {Promise<{ node: HTMLElement, values: ParameterValues, state: NotebookState, showStart: () => void }>}
 */
export async function makeNotebook(report, signal) {
  const state = new NotebookState(report, signal);
  // Before it is read first: what changes while other parts are read would be missed.
  watchRuns(() => state.read({ isUnasked: true }), signal);
  const values = new ParameterValues(report, signal, () => {
    state.announce();
    triggers.updateExamples();
  });
  const runs = new RecentRuns(report, signal);
  const isNotebook = report.type === "notebook";
  const schedules = new ReportSchedules(report, { signal, isShort: isNotebook });
  const triggers = new TriggerSection(report, {
    signal,
    calls: runs.calls,
    listExamples: () => values.listExamples(),
  });
  const [blocks, databases] = await Promise.all([
    getBlocks(report, signal),
    getAll("api/v1/database/", { signal }),
    state.read(),
    triggers.read(),
    schedules.read(),
    runs.start(),
  ]);
  await values.read(blocks);
  // Nothing waits from here: what is typed meanwhile on the page before this one would not be in these forms.
  values.draw();
  schedules.draw();
  triggers.draw();
  const context = { report, blocks, databases, signal, state, values };
  const whenDrawn = async (/** @type {Api.Block[]} */ now) => {
    await Promise.all([values.update(now), state.read(), state.readTyped(list.listTyped())]);
    state.announce(); // the values may have come last
    triggers.updateExamples();
  };
  const readTyped = makeTypedReader(() => list.listTyped(), state);
  const whenClosed = () => {
    state.announce();
    readTyped();
  };
  const list = new BlockList(context, whenDrawn, whenClosed);
  const outline = new Outline((uid) => list.show(uid));
  const graph = new BlockGraph((uid) => list.show(uid));
  const pictured = rememberFold(makeSection("Graph", graph.node), "graph");
  state.follow(() => {
    list.showState();
    const typed = list.listTyped();
    pictured.hidden = !graph.update([...context.blocks, ...typed], state.references);
    outline.update(context.blocks, state.references, (uid) => describe(uid, state, list));
  });
  state.announce();

  const started = isNotebook
    ? makeSection("Triggers", triggers.node)
    : el(
        "section",
        { class: "card schedule", "aria-label": "Schedule" },
        el("h2", {}, "Schedule"),
        schedules.node,
        el("h3", {}, "Webhook trigger"),
        triggers.node,
      );
  const parameters = makeSection("Parameters", values.node);
  const recent = makeSection("Runs", runs.runs);
  const side = isNotebook
    ? [parameters, started, makeSection("Schedule", schedules.node), recent]
    : [parameters, recent];
  const middle = el("div", { class: "middle" }, list.parts, !isNotebook && started);
  followTyping(middle, readTyped);
  const parts = [
    ["Parameters", parameters],
    [isNotebook ? "Triggers" : "Schedule", started],
  ];
  const node = el(
    "div",
    { class: "notebook" },
    el("div", { class: "left" }, pictured, makeSection("Outline", outline.node, makeJumps(parts))),
    middle,
    el("aside", { class: "right", "aria-label": "Sidebar" }, side),
  );
  return { node, values, state, showStart: () => showSection(started) };
}

/**
 * Say in a word how a block is, for the outline.
 *
 * @param {string} uid
 * @param {NotebookState} state
 * @param {BlockList} list
 */
function describe(uid, state, list) {
  const running = state.getRunning(uid);
  if (running) return running.status;
  const result = state.getResult(uid);
  if (result?.type === "parameter") return "";
  if (result?.status === "failed") return "failed";
  return list.describeAge(uid) ? "stale" : "";
}

/**
 * Make what finds out what is wrong with references as they are typed.
 *
 * @param {() => Api.TypedBlock[]} listTyped
 * @param {NotebookState} state
 * @returns {() => Promise<void>}
 */
function makeTypedReader(listTyped, state) {
  let told = "";
  return async () => {
    try {
      await state.readTyped(listTyped());
      told = "";
    } catch (error) {
      const text = describeError(error);
      if (isAbort(error) || text === told) return; // nobody has asked for it: once is enough
      told = text;
      tell(text, "bad");
    }
  };
}

/**
 * Do something when somebody pauses to type.
 *
 * @param {HTMLElement} place
 * @param {() => unknown} work
 */
function followTyping(place, work) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  place.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(work, TYPING_MILLISECONDS);
  });
}

/** @param {(string | HTMLElement)[][]} parts */
function makeJumps(parts) {
  return el(
    "p",
    { class: "jumps" },
    parts.map(([label, section]) =>
      el(
        "a",
        {
          href: `#${label}`,
          onclick: (/** @type {MouseEvent} */ event) => {
            event.preventDefault();
            showSection(/** @type {HTMLElement} */ (section));
          },
        },
        String(label),
      ),
    ),
  );
}
