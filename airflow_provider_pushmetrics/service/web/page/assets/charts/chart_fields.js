// The fields of a chart block: its query, and its specification as a form or as text. The text is what is kept: the
// form reads it and writes it, so that nothing is lost between them.

import { runAlone } from "../blocks/block_trial.js";
import { button } from "../elements/buttons.js";
import { add, el, fill, keepFocus } from "../elements/dom.js";
import { isolate } from "../elements/format.js";
import { areaField } from "../elements/forms.js";
import { describeError, isAbort } from "../http/errors.js";
import { writeJson } from "../http/exact_json.js";
import { ChartControls } from "./chart_controls.js";
import { ChartPreview } from "./chart_preview.js";
import { findChartRows } from "./chart_rows.js";
import { EMPTY_FORM, readSpec, writeSpec } from "./chart_spec.js";

/**
 * Make the fields of a chart.
 *
 * @param {Api.Content} content
 * @param {Ui.BlockContext} context
 * @param {Ui.Field<string, HTMLSelectElement>} query
 * @returns {Ui.FormPart[]}
 */
export function makeChartFields(content, context, query) {
  const isNew = content.spec === undefined;
  const text = areaField("spec", "Vega-Lite specification", {
    value: writeJson(content.spec ?? writeSpec(EMPTY_FORM), 2),
    rows: 14,
    isCode: true,
    hint: "Without data: the rows of the query are inserted. Texts may have placeholders, as {{ name }}.",
  });
  const editor = new ChartEditor(text, context, query);
  editor.start(isNew);
  return [query, { ...text, node: editor.node }];
}

class ChartEditor {
  #text;
  #context;
  #query;
  #isForm = true;
  #isWriting = false;
  #note = el("p", { class: "hint", role: "status" });
  #source = el("div", { class: "chart-source" });
  #controls = new ChartControls(() => this.#writeText());
  #preview = new ChartPreview(() => `the chart of ${this.#query.input.value}`);
  #formButton = this.#makeSwitch("Form", () => this.#showForm());
  #textButton = this.#makeSwitch("Vega-Lite text", () => this.#showText());

  /**
   * @param {Ui.Field<string, HTMLTextAreaElement>} text
   * @param {Ui.BlockContext} context
   * @param {Ui.Field<string, HTMLSelectElement>} query
   */
  constructor(text, context, query) {
    this.#text = text;
    this.#context = context;
    this.#query = query;
    const switches = el(
      "div",
      { class: "segments", role: "group", "aria-label": "Edit the chart as" },
      this.#formButton,
      this.#textButton,
    );
    const left = el("div", {}, switches, this.#note, this.#controls.node, text.node);
    this.node = el("div", { class: "chart-editor" }, left, el("div", {}, this.#source, this.#preview.node));
    text.input.addEventListener("input", () => this.#readText());
    query.input.addEventListener("change", () => this.#readRows());
  }

  /** @param {boolean} isNew */
  start(isNew) {
    const form = this.#readForm();
    if (form) this.#controls.write(isNew ? EMPTY_FORM : form);
    this.#show(form !== null);
    if (!form) fill(this.#note, EXPLANATION);
    this.#preview.setText(this.#text.input.value, isNew || form !== null);
    this.#readRows();
  }

  /**
   * @param {string} name
   * @param {() => unknown} onclick
   */
  #makeSwitch(name, onclick) {
    return el("button", { type: "button", onclick }, name);
  }

  /** Read the form of the text; null if the form cannot express it. */
  #readForm() {
    try {
      return readSpec(JSON.parse(this.#text.input.value));
    } catch {
      return null;
    }
  }

  #writeText() {
    this.#isWriting = true;
    this.#text.input.value = JSON.stringify(writeSpec(this.#controls.read()), null, 2);
    this.#text.input.dispatchEvent(new Event("input", { bubbles: true }));
    this.#isWriting = false;
  }

  /** Follow the text, which is typed, restored from a draft, or written by the form. */
  #readText() {
    this.#preview.setText(this.#text.input.value, true);
    if (this.#isWriting || !this.#isForm) return;
    const form = this.#readForm();
    if (form) this.#controls.write(form);
    else this.#showText(EXPLANATION);
  }

  #showForm() {
    const form = this.#readForm();
    if (!form) {
      fill(
        this.#note,
        isJson(this.#text.input.value) ? EXPLANATION : "The text is not JSON, so it stays text.",
      );
      return;
    }
    // What waits for another type of chart stays, unless the text was changed.
    if (JSON.stringify(writeSpec(this.#controls.read())) !== JSON.stringify(writeSpec(form)))
      this.#controls.write(form);
    this.#show(true);
  }

  /** @param {string} why */
  #showText(why = "") {
    this.#show(false);
    fill(this.#note, why);
  }

  /** @param {boolean} isForm */
  #show(isForm) {
    this.#isForm = isForm;
    this.#controls.show(isForm);
    this.#text.node.hidden = isForm;
    fill(this.#note);
    this.#formButton.setAttribute("aria-pressed", String(isForm));
    this.#textButton.setAttribute("aria-pressed", String(!isForm));
  }

  async #readRows() {
    const name = this.#query.input.value;
    const block = this.#context.blocks.find((one) => one.type === "sql" && one.name === name);
    fill(this.#source);
    this.#preview.setRows(null);
    if (!block) {
      this.#controls.setColumns([]);
      return;
    }
    try {
      const rows = await findChartRows(block, this.#context.signal);
      if (this.#query.input.value !== name) return;
      this.#controls.setColumns(rows?.columns ?? []);
      this.#preview.setRows(rows);
      if (!rows) this.#offerRun(block);
    } catch (error) {
      if (!isAbort(error) && this.#query.input.value === name)
        fill(this.#source, el("p", { class: "fault" }, describeError(error)));
    }
  }

  /** @param {Api.Block} block */
  #offerRun(block) {
    const run = async () => {
      await runAlone(block, this.#context, null);
      await this.#readRows();
      keepFocus(this.#query.input); // the button has done its work, and is gone
    };
    add(fill(this.#source), [
      el(
        "p",
        { class: "hint" },
        `${isolate(block.name)} has no result yet: its columns and the preview come from its newest one.`,
      ),
      button(`Run ${block.name}`, run),
    ]);
  }
}

const EXPLANATION = "The form cannot show this specification, so it stays text.";

/** @param {string} text */
function isJson(text) {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
