// Which fields and texts contain a credential, and are not stored in the browser.

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

const PASSWORD = "passw(?:or)?d|passphrase|pwd|secret|authorization|(?<=[?&][\\w-]{0,30})sig(?:nature)?";
const KEY = "token|(?:access|account|api|auth|private|secret|shared)[_-]?(?:access[_-]?)?key";
const ASSIGNED = new RegExp(
  `(?:(?<password>${PASSWORD})|${KEY})["'\`]?\\s*(?:=>|:=|=(?![=>])|(?<colon>:(?![:=])))\\s*`,
  "gi",
);
const IN_CLAUSE = /\b(?<password>password|secret|token|identified\s+by)\s+(?=')/gi;

/** What stands before an assigned name: that of a table, or the beginning of a parameter of a URL. */
const TABLE = /\.["`]?\w*$/;
const OF_URL = /[?&][\w-]*$/;
const LONGEST_NAME = 64;

const END = "(?=[\\s\"'`,;)\\]}&<]|::|\\.(?:\\s|$)|$)";
const TEMPLATE = "(?:(?:bearer|basic|token)\\s+)?(?:\\{\\{[^{}]*\\}\\}|\\{%[^%]*%\\})+";
const COLUMN = `\\w{0,30}(?:${PASSWORD}|${KEY}|key|id)`;
const [VALUE, PARAMETER, CONSTANT, OBJECT, EXPRESSION, NUMBER, PLACEHOLDER, OTHER_COLUMN] = [
  "[\"'`]?[^\\s\"'`=]",
  `${TEMPLATE}${END}|(["'\`])${TEMPLATE}\\1`,
  `(?:null|true|false|default)${END}`,
  "\\{\\s*[\"'}]",
  `\\(\\s*select\\b|(?:[a-z_]\\w{0,20}\\(\\s*)?(?:${[
    TEMPLATE,
    "\\$\\d+|\\?|%s|%\\(\\w+\\)s",
    `[:@]${COLUMN}`,
    `(?:(?:\\w{1,30}|"\\w{1,30}")\\.){1,3}(?:${COLUMN}|"${COLUMN}")`,
  ].join("|")})${END}`,
  `\\d{1,9}(?:\\.\\d+)?${END}`,
  `[:@][a-z_]\\w{0,20}${END}`,
  `[a-z_]\\w{0,30}\\.[a-z_]\\w{0,19}${END}`,
].map((source) => new RegExp(source, "iy"));

/** @param {string} name */
export const isSecretName = (name) => SECRET_NAME.test(name);

/**
 * Tell whether a text contains a credential, or assigns one. SQL compares columns of such names with columns,
 * placeholders and parameters, which are no credentials.
 *
 * @param {string} text
 */
export function hasSecret(text) {
  if (CREDENTIAL.test(text)) return true;
  return [ASSIGNED, IN_CLAUSE].some((pattern) =>
    [...text.matchAll(pattern)].some((found) => isSecretAssigned(text, found)),
  );
}

/**
 * @param {string} text
 * @param {RegExpExecArray} found The name, and what is before the value.
 */
function isSecretAssigned(text, found) {
  const from = found.index + found[0].length;
  const is = (/** @type {RegExp} */ pattern) => {
    pattern.lastIndex = from;
    return pattern.test(text);
  };
  if (!is(VALUE) || is(PARAMETER)) return false;
  const before = text.slice(Math.max(0, found.index - LONGEST_NAME), found.index);
  if (OF_URL.test(before)) return true;
  const isPassword = Boolean(found.groups?.password);
  if (is(CONSTANT) || (!isPassword && is(NUMBER))) return false;
  if (found.groups?.colon) return !is(OBJECT);
  if (is(EXPRESSION)) return false;
  return isPassword || !(is(PLACEHOLDER) || (TABLE.test(before) && is(OTHER_COLUMN)));
}
