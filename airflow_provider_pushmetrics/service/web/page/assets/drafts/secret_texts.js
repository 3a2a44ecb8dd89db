// Which fields and texts contain a credential, and are not stored in the browser.

import { isHarmless } from "./harmless_values.js";
import { findSetNames, hasNamedLiteral } from "./jinja_literals.js";
import { KEY, PASSWORD } from "./secret_names.js";

/** Names of fields that never reach the storage. */
const SECRET_NAME =
  /token|secret|passw|pwd|credential|authorization|api_?key|private_?key|access_?key|headers|uri\b|dsn/i;

/** Credentials of PushMetrics, Slack, GitHub and AWS, of HTTP, and in URLs. */
const CREDENTIAL = new RegExp(
  [
    /pmpat_[\w-]{8}|whsec_[\w+/=-]{8}/,
    /(xox[a-z]|xapp)-[\w-]{8}|hooks\.slack(-gov)?\.com\/\w+\//,
    /gh[oprsu]_\w{20}|github_pat_\w{20}/,
    /\b(AKIA|ASIA)[A-Z0-9]{12}/,
    // Of a JSON web token its second part is searched, and the first from there: the time is linear.
    /\bbearer\s+[\w.~+/=-]{16}|\.eyJ(?<=\beyJ[\w-]{8,}\.eyJ)/,
    /\/\/[^\s/:@]*:[^\s/@]+@/,
    /-----BEGIN/,
  ]
    .map((one) => one.source)
    .join("|"),
  "i",
);

const NAME = `(?:(?<password>${PASSWORD})|${KEY})`;
const ASSIGNED = new RegExp(
  `${NAME}\\\\{0,3}["'\`]?\\s*(?:=>|:=|==(?=\\s*["'\`])|=(?![=>])|(?<colon>:(?![:=])))\\s*`,
  "gi",
);
/** In SQL a text may follow a name directly, or behind tags of Jinja. */
const TAGS = "(?:(?:\\{\\{[^{}]*\\}\\}|\\{%[^%]*%\\})\\s*)*";
const IN_CLAUSE = new RegExp(`${NAME}\\s+(?=${TAGS}(?:[a-z]?&?'|\\$\\w{0,20}\\$))`, "gi");
const IDENTIFIED = new RegExp(
  `\\bidentified\\s+(?:(?:with|via)\\s+["'\`]?\\w+["'\`]?\\s+)?(?<password>by|as)\\s+` +
    `(?=${TAGS}["']|(?<=\\buser\\s{1,9}\\S{1,64}\\s{1,9}identified\\s{1,9}by\\s{1,9}))`,
  "gi",
);
const BLOCK_SET = new RegExp(`\\{%[-+]?\\s*set\\s+\\w{0,64}?${NAME}\\s*[-+]?%\\}\\s*`, "gi");
const VALUE = /["'`]?[^\s"'`=]/y;

/** What stands before an assigned name: that of a table, or the beginning of a parameter of a URL. */
const TABLE = /\.["`]?\w*$/;
const OF_URL = /[?&][\w-]*$/;
const LONGEST_NAME = 64;

/** @param {string} name */
export const isSecretName = (name) => SECRET_NAME.test(name);

/**
 * Tell whether a text contains a credential, or assigns one. SQL compares columns of such names with columns,
 * placeholders and parameters, which are no credentials.
 *
 * @param {string} text
 */
export function hasSecret(text) {
  if (CREDENTIAL.test(text) || hasNamedLiteral(text)) return true;
  const setNames = findSetNames(text);
  return [ASSIGNED, IN_CLAUSE, IDENTIFIED, BLOCK_SET].some((pattern) =>
    [...text.matchAll(pattern)].some((found) => isSecretAssigned(text, found, setNames)),
  );
}

/**
 * @param {string} text
 * @param {RegExpExecArray} found The name, and what is before the value.
 * @param {Set<string>} setNames
 */
function isSecretAssigned(text, found, setNames) {
  const from = found.index + found[0].length;
  VALUE.lastIndex = from;
  if (!VALUE.test(text)) return false;
  const before = text.slice(Math.max(0, found.index - LONGEST_NAME), found.index);
  const assigned = {
    isPassword: found.groups?.password !== undefined,
    isOfUrl: OF_URL.test(before),
    isOfObject: found.groups?.colon !== undefined,
    isOfTable: TABLE.test(before),
  };
  return !isHarmless(text, from, assigned, setNames);
}
