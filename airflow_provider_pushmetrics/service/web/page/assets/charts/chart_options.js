// What can be chosen in the form of a chart: the words of Vega-Lite, and what people call them.

/** @type {readonly Ui.Option[]} */
export const MARKS = [
  ["bar", "Bar"],
  ["line", "Line"],
  ["area", "Area"],
  ["point", "Points"],
  ["arc", "Pie"],
];
/** @type {readonly Ui.Option[]} */
export const TYPES = [
  ["nominal", "Categories"],
  ["ordinal", "Ordered values"],
  ["quantitative", "Numbers"],
  ["temporal", "Time"],
];
/** @type {readonly Ui.Option[]} */
export const TIME_UNITS = [
  ["", "Each value"],
  ["yearmonthdate", "Day"],
  ["yearweek", "Week"],
  ["yearmonth", "Month"],
  ["yearquarter", "Quarter"],
  ["year", "Year"],
];
/** @type {readonly Ui.Option[]} */
export const AGGREGATES = [
  ["", "Each row"],
  ["sum", "Sum"],
  ["mean", "Mean"],
  ["median", "Median"],
  ["min", "Minimum"],
  ["max", "Maximum"],
  ["count", "Number of rows"],
];
/** @type {readonly Ui.Option[]} */
export const SORTS = [
  ["rows", "As in the result"],
  ["ascending", "Ascending"],
  ["descending", "Descending"],
  ["value", "Smallest first"],
  ["-value", "Largest first"],
];
/** @type {readonly Ui.Option[]} */
export const STACKS = [
  ["zero", "On top of each other"],
  ["normalize", "As parts of 100 %"],
  ["beside", "Beside each other"],
  ["none", "In front of each other"],
];
