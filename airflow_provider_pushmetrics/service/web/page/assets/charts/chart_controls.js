// The form of a chart: its controls, and which of them its chart has.

import { el } from "../elements/dom.js";
import { AGGREGATES, MARKS, SORTS, STACKS, TIME_UNITS, TYPES } from "./chart_options.js";
import { chooseType } from "./chart_rows.js";
import { EMPTY_FORM, listParts, MIN_SIZE, trimForm } from "./chart_spec.js";
import { ColumnControl, makeBox, makeChoice, makeInput, makeRow } from "./controls.js";

const SIZE = { type: "number", min: MIN_SIZE, step: "any" };

export class ChartControls {
  #x = new ColumnControl("X", "Choose a column");
  #y = new ColumnControl("Y", "Choose a column");
  #color = new ColumnControl("Color", "One color");
  #choices = {
    mark: makeChoice("Type", MARKS),
    xType: makeChoice("X has", TYPES),
    timeUnit: makeChoice("By", TIME_UNITS),
    sort: makeChoice("Sort", SORTS),
    aggregate: makeChoice("Aggregate", AGGREGATES),
    stack: makeChoice("Colors stand", STACKS),
  };
  #horizontal = makeBox("Horizontal bars");
  #title = makeInput("Title in the chart", { type: "text", maxlength: 500 });
  #width = makeInput("Width", SIZE);
  #height = makeInput("Height", SIZE);
  /** What has no control: the form keeps it. */
  #kept = { colorType: EMPTY_FORM.colorType, schema: EMPTY_FORM.schema };
  /** @type {Api.Column[]} */
  #columns = [];

  /** @param {() => unknown} onChange */
  constructor(onChange) {
    const { mark, xType, timeUnit, sort, aggregate, stack } = this.#choices;
    this.node = el(
      "div",
      { class: "chart-controls" },
      makeRow(mark, this.#horizontal),
      makeRow(this.#x, xType, timeUnit, sort),
      makeRow(aggregate, this.#y),
      makeRow(this.#color, stack),
      makeRow(this.#title, this.#width, this.#height),
    );
    this.node.addEventListener("input", (event) => {
      // What is typed here is the specification, of which the form hears by its own field.
      event.stopPropagation();
      this.#follow(event.target);
      this.show(true);
      onChange();
    });
    this.write(EMPTY_FORM);
  }

  /** @param {EventTarget | null} changed */
  #follow(changed) {
    if (!(changed instanceof Node)) return;
    const getType = (/** @type {string} */ column) => this.#columns.find(({ name }) => name === column)?.type;
    const [xType, colorType] = [getType(this.#x.value), getType(this.#color.value)];
    if (xType && this.#x.node.contains(changed)) this.#choices.xType.input.value = chooseType(xType);
    if (this.#color.node.contains(changed)) this.#kept.colorType = chooseType(colorType ?? "");
  }

  /** @param {Api.Column[]} columns Those of the query; none if they are not known. */
  setColumns(columns) {
    this.#columns = columns;
    for (const control of [this.#x, this.#y, this.#color])
      control.setColumns(columns.map(({ name }) => name));
  }

  /** @returns {Ui.ChartForm} */
  read() {
    const { mark, xType, timeUnit, sort, aggregate, stack } = this.#choices;
    return {
      ...this.#kept,
      mark: mark.input.value,
      x: this.#x.value,
      xType: xType.input.value,
      timeUnit: timeUnit.input.value,
      sort: sort.input.value,
      y: this.#y.value,
      aggregate: aggregate.input.value,
      color: this.#color.value,
      stack: stack.input.value,
      isHorizontal: this.#horizontal.input.checked,
      title: this.#title.input.value,
      width: readSize(this.#width.input),
      height: readSize(this.#height.input),
    };
  }

  /** @param {Ui.ChartForm} form */
  write(form) {
    for (const [name, { input }] of Object.entries(this.#choices))
      input.value = String(form[/** @type {keyof Ui.ChartForm} */ (name)]);
    this.#x.value = form.x;
    this.#y.value = form.y;
    this.#color.value = form.color;
    this.#horizontal.input.checked = form.isHorizontal;
    this.#title.input.value = form.title;
    this.#width.input.value = String(form.width ?? "");
    this.#height.input.value = String(form.height ?? "");
    this.#kept = { colorType: form.colorType, schema: form.schema };
    this.show(true);
  }

  /**
   * Show what the chart has, in the words of its type.
   *
   * @param {boolean} isShown Whether the form is shown at all: a hidden control must not hold back its form.
   */
  show(isShown) {
    const form = this.read();
    const parts = listParts(form);
    const isPie = form.mark === "arc";
    const { xType, timeUnit, sort, stack } = this.#choices;
    this.#x.label.textContent = isPie ? "Slices" : "X";
    this.#y.label.textContent = isPie ? "Size" : "Y";
    xType.label.textContent = isPie ? "Slices are" : "X has";
    for (const [control, isPart] of /** @type {const} */ ([
      [timeUnit, parts.timeUnit],
      [sort, parts.sort],
      [stack, parts.stack],
      [this.#y, parts.y],
      [this.#color, parts.color],
      [this.#horizontal, parts.isHorizontal],
    ]))
      control.node.hidden = !isPart;
    // What another type of chart has is not shown as if this one had it.
    const { sort: sorted, stack: stacked } = trimForm(form);
    if (parts.sort) sort.input.value = sorted;
    if (parts.stack) stack.input.value = stacked;
    for (const option of sort.input.options)
      option.disabled = option.value.endsWith("value") && !parts.sortByValue;
    for (const option of stack.input.options) option.disabled = option.value === "beside" && !parts.beside;
    this.#x.required = isShown;
    this.#y.required = isShown && parts.y;
    for (const { input } of [this.#title, this.#width, this.#height]) input.disabled = !isShown;
    this.node.hidden = !isShown;
  }
}

/** @param {HTMLInputElement} input */
const readSize = ({ value }) => (Number(value) > 0 ? Number(value) : null);
