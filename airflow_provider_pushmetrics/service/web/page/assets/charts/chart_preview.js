// The preview of a chart that is written: the newest result of its query, drawn while one types.

import { button } from "../elements/buttons.js";
import { el, fill } from "../elements/dom.js";
import { describeError } from "../http/errors.js";
import { findChartFault } from "./chart_checks.js";
import { drawVega } from "./drawing.js";
import { followTheme } from "./theme.js";

const PAUSE_MS = 300;

export class ChartPreview {
  #name;
  #place = el("div", { class: "chart" });
  #note = el("p", { class: "hint", role: "status" });
  #turn = 0;
  /** @type {Ui.ChartRows | null} */
  #rows = null;
  /** @type {Promise<unknown[]> | null} */
  #reading = null;
  #text = "";
  /** Ends what is drawn. */
  #end = () => {};
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {() => string} getName Names the chart. */
  constructor(getName) {
    this.#name = getName;
    this.node = el("div", { class: "chart-preview" }, this.#note, this.#place);
    followTheme(this.#place, () => this.#draw());
  }

  /**
   * Draw of other rows from now on.
   *
   * @param {Ui.ChartRows | null} rows
   */
  setRows(rows) {
    this.#rows = rows;
    this.#reading = null;
    this.#plan();
  }

  /**
   * Draw another specification, as soon as nothing more is typed.
   *
   * @param {string} text
   * @param {boolean} isOwn Whether the reader has written it. What others wrote may take long to draw, so it is drawn
   *   when the reader asks for it.
   */
  setText(text, isOwn) {
    this.#text = text;
    if (isOwn) this.#plan();
    else
      this.#say(
        "The preview of a specification as text is drawn on demand.",
        button("Draw it", () => this.#draw()),
      );
  }

  #plan() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#draw(), PAUSE_MS);
  }

  async #draw() {
    this.#turn += 1;
    const turn = this.#turn;
    try {
      await this.#drawNow(() => turn !== this.#turn);
    } catch (error) {
      if (turn === this.#turn) this.#refuse(describeError(error));
    }
  }

  /** @param {() => boolean} isOver Whether something else is to be drawn by now. */
  async #drawNow(isOver) {
    if (!this.#rows) return this.#clear();
    const spec = parse(this.#text);
    if (!spec) return this.#refuse("The specification is not a JSON object.");
    if (isUnfinished(spec)) return this.#say("Choose the columns: the chart is drawn here.");
    const fault = findChartFault(
      spec,
      this.#rows.columns.map(({ name }) => name),
    );
    if (fault) return this.#refuse(fault);
    this.#reading ??= this.#rows.read();
    const values = await this.#reading;
    if (isOver()) return undefined;
    const image = el("div", { role: "img", "aria-label": `Preview of ${this.#name()}` });
    const before = this.#end;
    fill(this.#place, image);
    const end = await drawVega(image, { ...spec, data: { values } });
    before();
    this.#end = end;
    const hasTemplates = this.#text.includes("{{") || this.#text.includes("{%");
    this.#note.className = "hint";
    fill(
      this.#note,
      `Drawn of the ${values.length} rows of the newest result.`,
      hasTemplates && " Placeholders get their values when the block runs.",
    );
    return undefined;
  }

  #clear() {
    fill(this.#place);
    fill(this.#note);
  }

  /** @param {...Ui.Child} words */
  #say(...words) {
    this.#note.className = "hint";
    fill(this.#place);
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
