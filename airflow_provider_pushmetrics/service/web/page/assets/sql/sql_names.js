// Names in SQL: how they are written, which of them a text uses, and what stands before the cursor.

const SIMPLE = /^[a-z_][a-z0-9_]*$/i;
const WORD = /"(?:[^"]|"")*"|`[^`]*`|[\p{L}_][\p{L}\p{N}_$]*/u;
const PATH_BEFORE = new RegExp(`((?:(?:${WORD.source})\\.)*)([\\p{L}\\p{N}_$]*)$`, "u");
/** Texts and comments, in which no name is one; then names, dots and the rest. */
const TOKEN = new RegExp(
  `'(?:[^']|'')*'|--[^\\n]*|/\\*[\\s\\S]*?\\*/|\\{[{%#][\\s\\S]*?[}%#]\\}|(${WORD.source})|([^\\s])`,
  "gu",
);

/** A name before the cursor is looked for in this many characters. */
const MOST_CHARACTERS = 500;

/** Words that are no name without quotes in some database, and no alias. */
const RESERVED = new Set(
  `all analyse analyze and any array as asc between both by case cast check collate column constraint create cross
  current current_date current_time current_timestamp current_user default delete desc distinct do drop else end
  except exists false fetch for foreign from full grant group having ilike in index inner insert intersect interval
  into is join key lateral leading left like limit localtime minus natural not null offset on only or order outer
  over partition pivot primary qualify range rank references right row rows select set similar some start table
  tablesample then to trailing true type union unique unpivot update user using values view when where window
  with`.split(/\s+/),
);

/** The case of names without quotes, where a name in another case needs them. */
const FOLDS = { oracle: "upper", postgresql: "lower", snowflake: "upper" };

/** The schema whose tables need no schema before their name. */
const OWN_SCHEMAS = {
  duckdb: "main",
  mssql: "dbo",
  postgresql: "public",
  snowflake: "PUBLIC",
  sqlite: "main",
};

/**
 * Write a name as it stands in SQL, in quotes if it needs them.
 *
 * @param {string} name
 * @param {string} backend the kind of the database, such as `postgresql`
 */
export function quoteName(name, backend) {
  const fold = /** @type {Record<string, string>} */ (FOLDS)[backend];
  const folded = fold === "upper" ? name.toUpperCase() : fold === "lower" ? name.toLowerCase() : name;
  if (SIMPLE.test(name) && name === folded && !RESERVED.has(name.toLowerCase())) return name;
  if (["mysql", "mariadb", "bigquery"].includes(backend)) return `\`${name.replaceAll("`", "``")}\``;
  return `"${name.replaceAll('"', '""')}"`;
}

/**
 * Write the name of a table, with its schema unless that is where the database looks by itself.
 *
 * @param {{ schema: string, name: string }} table
 * @param {string} backend
 */
export function quoteTable({ schema, name }, backend) {
  const own = /** @type {Record<string, string>} */ (OWN_SCHEMAS)[backend];
  const written = quoteName(name, backend);
  return schema === own ? written : `${quoteName(schema, backend)}.${written}`;
}

/** @param {string} word */
export const readName = (word) =>
  word[0] === '"' ? word.slice(1, -1).replaceAll('""', '"') : word[0] === "`" ? word.slice(1, -1) : word;

/**
 * List the parts of SQL; a text, a comment and a `{{ … }}` are one part each, without a word.
 *
 * @param {string} text
 * @returns {{ whole: string, word: string | undefined, index: number }[]}
 */
export const listTokens = (text) =>
  [...text.matchAll(TOKEN)].map(({ 0: whole, 1: word, index }) => ({ whole, word, index }));

/**
 * Find the tables that a text names, with their aliases.
 *
 * @template {{ schema: string, name: string }} Table
 * @param {string} text
 * @param {readonly Table[]} tables
 * @returns {{ table: Table, alias: string | null }[]}
 */
export function findTables(text, tables) {
  const words = listTokens(text);
  return words.flatMap(({ word }, index) => {
    if (!word) return [];
    const name = readName(word).toLowerCase();
    const before = words[index - 1]?.whole === "." ? words[index - 2]?.word : undefined;
    const schema = before && readName(before).toLowerCase();
    const table =
      words[index + 1]?.whole !== "." &&
      tables.find(
        (one) => one.name.toLowerCase() === name && (!schema || one.schema.toLowerCase() === schema),
      );
    return table ? [{ table, alias: readAlias(words, index + 1) }] : [];
  });
}

/**
 * @param {{ whole: string, word: string | undefined }[]} words
 * @param {number} index
 */
function readAlias(words, index) {
  const found = words[index]?.word?.toLowerCase() === "as" ? words[index + 1]?.word : words[index]?.word;
  return found && !RESERVED.has(found.toLowerCase()) ? readName(found) : null;
}

/**
 * Read the name that ends at the cursor: what is before its last dot, and the word after it.
 *
 * @param {string} before the text before the cursor
 * @returns {{ path: string[], word: string }}
 */
export function readPath(before) {
  const [, path, word] = PATH_BEFORE.exec(before.slice(-MOST_CHARACTERS)) ?? ["", "", ""];
  const parts = path.match(new RegExp(WORD.source, "gu")) ?? [];
  return { path: parts.map(readName), word };
}

/**
 * Read what is written of a `{{ … }}` or `{% … %}` that the cursor is in; null if it is in none.
 *
 * @param {string} before the text before the cursor
 */
export function readTemplate(before) {
  const start = Math.max(before.lastIndexOf("{{"), before.lastIndexOf("{%"));
  if (start < 0) return null;
  const written = before.slice(start + 2);
  return /[}%]\}/.test(written) ? null : written;
}
