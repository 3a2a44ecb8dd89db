// What charts use of Vega and Vega-Lite. scripts/vendor_javascript makes one file of it. vega-embed is not used: it takes
// options, and files to load, from the specification itself (usermeta.embedOptions).

export { parse, View } from "vega";
export { expressionInterpreter } from "vega-interpreter";
export { compile } from "vega-lite";
