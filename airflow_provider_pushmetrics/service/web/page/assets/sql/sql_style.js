// How the SQL editor looks: in the colors of the page, which know light and dark.

import { EditorView, HighlightStyle, syntaxHighlighting, tags } from "../vendored/codemirror.js";

const LOOK = EditorView.theme({
  "&": {
    backgroundColor: "var(--card)",
    border: "1px solid color-mix(in srgb, var(--quiet) 55%, var(--line))",
    borderRadius: "7px",
    color: "var(--text)",
    fontSize: ".87rem",
    overflow: "hidden",
  },
  "&.cm-focused": { outline: "2px solid var(--accent)", outlineOffset: "1px" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.5", maxHeight: "32rem" },
  ".cm-content": { caretColor: "var(--text)", minWidth: "0" },
  ".cm-content, .cm-gutter": { minHeight: "11rem" },
  ".cm-gutters": {
    backgroundColor: "var(--soft)",
    borderRight: "1px solid var(--line)",
    color: "var(--quiet)",
  },
  ".cm-activeLine": { backgroundColor: "color-mix(in srgb, var(--soft) 60%, transparent)" },
  ".cm-activeLineGutter": { backgroundColor: "var(--soft)", color: "var(--text)" },
  "&.cm-focused .cm-matchingBracket, .cm-matchingBracket": {
    backgroundColor: "color-mix(in srgb, var(--accent) 22%, transparent)",
  },
  "&.cm-focused .cm-nonmatchingBracket, .cm-nonmatchingBracket": {
    backgroundColor: "color-mix(in srgb, var(--bad) 22%, transparent)",
  },
  ".cm-specialChar": { color: "var(--bad)" },
  ".cm-error-line": { backgroundColor: "color-mix(in srgb, var(--bad) 12%, transparent)" },
  ".cm-gutterElement.cm-error-gutter": { backgroundColor: "var(--bad)", color: "var(--card)" },
  ".cm-error-text": { color: "var(--bad)", padding: ".1rem 6px .3rem", whiteSpace: "pre-wrap" },
  ".cm-template, .cm-template *": { color: "light-dark(#7a2a8f, #dfa6f2)" },
  ".cm-template": { backgroundColor: "var(--soft)", borderRadius: "3px" },
  ".cm-tooltip": {
    backgroundColor: "var(--card)",
    border: "1px solid var(--line)",
    borderRadius: "7px",
    color: "var(--text)",
    maxWidth: "calc(100vw - 2rem)",
    overflow: "hidden",
  },
  ".cm-tooltip.cm-tooltip-autocomplete > ul": { fontFamily: "var(--mono)", minWidth: "min(16rem, 80vw)" },
  ".cm-tooltip-autocomplete ul li[aria-selected]": {
    backgroundColor: "var(--accent)",
    color: "var(--on-accent)",
  },
  ".cm-tooltip-autocomplete .cm-completionDetail": { fontStyle: "normal", opacity: "1" },
});

const COLORS = HighlightStyle.define([
  { tag: [tags.keyword, tags.operatorKeyword, tags.modifier], color: "var(--accent)", fontWeight: "600" },
  { tag: [tags.typeName, tags.standard(tags.name)], color: "var(--accent)" },
  { tag: [tags.string, tags.special(tags.string)], color: "var(--good)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--warn)" },
  { tag: [tags.comment, tags.lineComment, tags.blockComment], color: "var(--quiet)", fontStyle: "italic" },
]);

export const makeStyle = () => [LOOK, syntaxHighlighting(COLORS)];
