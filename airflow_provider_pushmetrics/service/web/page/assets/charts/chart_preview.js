// The preview of a chart that is written: the newest result of its query, drawn while one types.

import { button } from "../elements/buttons.js";
import { el, fill } from "../elements/dom.js";
import { describeError } from "../http/errors.js";
import { findChartFault } from "./chart_checks.js";
import { putRows } from "./chart_dates.js";
import { drawVega } from "./drawing.js";
import { DrawingTurns } from "./drawing_turns.js";
import { followPlace } from "./places.js";

const PAUSE_MS = 300;

export class ChartPreview {
  #name;
  #place = el("div", { class: "chart" });
  #note = el("p", { class: "hint", role: "status" });
  #turns = new DrawingTurns();
  /** @type {Ui.ChartRows | null} */
  #rows = null;
  /** @type {Promise<unknown[]> | null} */
  #reading = null;
  #text = "";
  /** Whether the reader has written the text, or asked for its chart: what others wrote may take long to draw. */
  #isOwn = true;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {() => string} getName Names the chart. */
  constructor(getName) {
    this.#name = getName;
    this.node = el("div", { class: "chart-preview" }, this.#note, this.#place);
  }

  /**
   * Draw of other rows from now on.
   *
   * @param {Ui.ChartRows | null} rows
   */
  setRows(rows) {
    this.#rows = rows;
    this.#reading = null;
    this.#update();
  }

  /**
   * Draw another specification, as soon as nothing more is typed.
   *
   * @param {string} text
   * @param {boolean} isOwn Whether the reader has written it.
   */
  setText(text, isOwn) {
    this.#text = text;
    this.#isOwn = isOwn;
    this.#update();
  }

  #update() {
    clearTimeout(this.#timer);
    if (this.#isOwn) this.#timer = setTimeout(() => this.#draw(), PAUSE_MS);
    else this.#offer();
  }

  #offer() {
    this.#turns.begin(); // what is being drawn is not shown any more
    if (!this.#rows) return this.#say();
    const draw = () => {
      this.#isOwn = true;
      return this.#draw();
    };
    return this.#say("The preview of a specification as text is drawn on demand.", button("Draw it", draw));
  }

  async #draw() {
    const isOver = this.#turns.begin();
    try {
      await this.#drawNow(isOver);
    } catch (error) {
      if (!isOver()) this.#refuse(describeError(error));
    }
  }

  /** @param {() => boolean} isOver Whether something else is to be drawn by now. */
  async #drawNow(isOver) {
    if (!this.#rows) return this.#say();
    const spec = parse(this.#text);
    if (!spec) return this.#refuse("The specification is not a JSON object.");
    if (isUnfinished(spec)) return this.#say("Choose the columns: the chart is drawn here.");
    const { columns } = this.#rows;
    const fault = findChartFault(
      spec,
      columns.map(({ name }) => name),
    );
    if (fault) return this.#refuse(fault);
    this.#reading ??= this.#rows.read();
    const values = await this.#reading;
    const image = el("div", { role: "img", "aria-label": `Preview of ${this.#name()}` });
    const isShown = await this.#turns.show(isOver, () => {
      fill(this.#place, image);
      followPlace(this.#place, { redraw: () => this.#update(), end: () => this.#stop() });
      return drawVega(image, putRows(spec, columns, values));
    });
    if (!isShown) return undefined;
    const hasTemplates = this.#text.includes("{{") || this.#text.includes("{%");
    this.#note.className = "hint";
    fill(
      this.#note,
      `Drawn of the ${values.length} rows of the newest result.`,
      hasTemplates && " Placeholders get their values when the block runs.",
    );
    return undefined;
  }

  /** End it for good: the preview has left the page. */
  #stop() {
    this.#turns.stop();
    fill(this.#place);
  }

  #clear() {
    this.#turns.clear();
    fill(this.#place);
  }

  /** @param {...Ui.Child} words */
  #say(...words) {
    this.#note.className = "hint";
    this.#clear();
    fill(this.#note, ...words);
  }

  /** @param {string} fault */
  #refuse(fault) {
    this.#say(fault);
    this.#note.className = "fault";
  }
}

/**
 * @param {string} text
 * @returns {Ui.ChartSpec | null}
 */
function parse(text) {
  try {
    const spec = JSON.parse(text);
    return typeof spec === "object" && !Array.isArray(spec) ? spec : null;
  } catch {
    return null;
  }
}

/** @param {Ui.ChartSpec} spec */
const isUnfinished = ({ mark, encoding }) =>
  mark !== undefined && typeof encoding === "object" && Object.keys(encoding ?? {}).length === 0;
