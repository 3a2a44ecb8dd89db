// The types of codemirror.js. Read by tsc alone; it is not shipped.

export * from "../../../../../../scripts/vendored/codemirror.js";
