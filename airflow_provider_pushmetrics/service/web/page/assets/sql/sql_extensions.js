// What the SQL editor can do: its keys, its colors, and the dialect of the database.

import {
  autocompletion,
  bracketMatching,
  closeBrackets,
  closeBracketsKeymap,
  completionKeymap,
  Decoration,
  defaultKeymap,
  EditorState,
  EditorView,
  highlightActiveLine,
  highlightActiveLineGutter,
  highlightSpecialChars,
  history,
  historyKeymap,
  indentOnInput,
  indentWithTab,
  keymap,
  lineNumbers,
  MariaSQL,
  MatchDecorator,
  MSSQL,
  MySQL,
  PLSQL,
  PostgreSQL,
  Prec,
  SQLite,
  StandardSQL,
  sql,
  ViewPlugin,
} from "../vendored/codemirror.js";
import { makeSource } from "./sql_completion.js";
import { makeErrorMarks } from "./sql_marks.js";
import { makeStyle } from "./sql_style.js";

/** Dialects by the name of the database's kind; DuckDB's is nearest to PostgreSQL's. */
const DIALECTS = {
  duckdb: PostgreSQL,
  mariadb: MariaSQL,
  mssql: MSSQL,
  mysql: MySQL,
  oracle: PLSQL,
  postgresql: PostgreSQL,
  sqlite: SQLite,
};

/** @param {string} backend */
const findDialect = (backend) =>
  backend in DIALECTS ? DIALECTS[/** @type {keyof typeof DIALECTS} */ (backend)] : StandardSQL;

const markTemplates = new MatchDecorator({
  regexp: /\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}/g,
  decoration: Decoration.mark({ class: "cm-template" }),
});

const templates = ViewPlugin.define(
  (view) => ({
    decorations: markTemplates.createDeco(view),
    update(update) {
      this.decorations = markTemplates.updateDeco(update, this.decorations);
    },
  }),
  { decorations: (plugin) => plugin.decorations },
);

/**
 * Replace selected text ourselves: the browser would give the new text the style of the old one, as an attribute, which
 * the policy refuses with an error on the console.
 */
const replacing = EditorView.domEventHandlers({
  beforeinput(event, view) {
    const { data } = event;
    const { from, to, empty } = view.state.selection.main;
    if (event.inputType !== "insertText" || !data || empty || !event.cancelable || event.isComposing)
      return false;
    const insert = () => view.state.update(view.state.replaceSelection(data), { userEvent: "input.type" });
    const handlers = view.state.facet(EditorView.inputHandler);
    if (!handlers.some((handle) => handle(view, from, to, data, insert))) view.dispatch(insert());
    event.preventDefault();
    return true;
  },
});

/**
 * The colors and proposals for the database that is chosen.
 *
 * @param {Ui.SqlSettings} settings
 */
export function makeLanguage(settings) {
  const dialect = findDialect(settings.getBackend());
  return [
    sql({ dialect }),
    autocompletion({ override: [makeSource(settings, dialect)], maxRenderedOptions: 60 }),
    EditorView.domEventHandlers({ focus: () => readAhead(settings) }),
  ];
}

/**
 * Read the names of the tables before they are asked for: a database may take seconds to answer first.
 *
 * @param {Ui.SqlSettings} settings
 */
function readAhead({ getCatalog }) {
  getCatalog()
    ?.searchTables("", { isUnasked: true })
    .catch(() => {}); // whoever opens the contents is told
}

/** @param {Ui.SqlSettings} settings */
export function makeExtensions({ label }) {
  return [
    // The form tries the block; a new line here would be one too many.
    Prec.highest(
      keymap.of([
        { key: "Mod-Enter", run: () => true },
        { key: "Ctrl-Enter", run: () => true },
      ]),
    ),
    lineNumbers(),
    highlightActiveLineGutter(),
    highlightActiveLine(),
    // With the marks of direction that it would leave invisible.
    highlightSpecialChars({ addSpecialChars: /[\u202a-\u202c\u2068]/ }),
    history(),
    indentOnInput(),
    bracketMatching(),
    closeBrackets(),
    replacing,
    Prec.low(templates),
    makeStyle(),
    makeErrorMarks(),
    EditorView.lineWrapping,
    EditorView.contentAttributes.of({ "aria-label": `${label} editor`, "aria-describedby": "help" }),
    EditorState.tabSize.of(4),
    keymap.of([
      ...closeBracketsKeymap,
      ...defaultKeymap,
      ...historyKeymap,
      ...completionKeymap,
      indentWithTab,
    ]),
  ];
}
