// The types of vega.js. Read by tsc alone; it is not shipped.

export * from "../../../../../../scripts/vendored/vega.js";
