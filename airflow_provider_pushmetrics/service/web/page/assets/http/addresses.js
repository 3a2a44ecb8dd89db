// Addresses of the service and of its pages. All are relative to the folder of the modules, so that they work behind any
// path.

export const APP = new URL(import.meta.url.slice(0, import.meta.url.lastIndexOf("/assets/") + 1));
export const ROOT = new URL("../", APP);

/**
 * Write the address of a call; parameters without a value are left out.
 *
 * @param {string} path
 * @param {Api.Query} query
 */
export function locate(path, query = {}) {
  const url = new URL(path, ROOT);
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== "") url.searchParams.set(name, String(value));
  }
  return url;
}

/**
 * Write a name as a part of a path.
 *
 * @param {string | number} name
 */
export const part = (name) => encodeURIComponent(name);

/**
 * Compile the pattern of a page's path: `:name` stands for any part of it.
 *
 * @param {string} pattern
 * @returns {Ui.Pattern}
 */
export function compilePattern(pattern) {
  /** @type {string[]} */
  const names = [];
  const source = pattern.replace(/:(\w+)/g, (_, name) => {
    names.push(name);
    return "([^/]+)";
  });
  return { expression: new RegExp(`^${source}/?$`), names };
}

/**
 * Match a path with a pattern: the parts that it names, or null.
 *
 * @param {Ui.Pattern} pattern
 * @param {string} path
 * @returns {Record<string, string> | null}
 */
export function matchPath({ expression, names }, path) {
  const match = expression.exec(path);
  return match && Object.fromEntries(names.map((name, index) => [name, match[index + 1]]));
}

/**
 * Read the path of a page from its URL; a path with a broken escape is left as it is.
 *
 * @param {URL} url
 */
export function readPath(url) {
  const path = url.pathname.slice(APP.pathname.length);
  try {
    return decodeURI(path);
  } catch {
    return path;
  }
}

/**
 * Tell whether a URL is one of our pages: files, results and the session are below them and are none.
 *
 * @param {URL} url
 */
export function isPage(url) {
  const { pathname } = url;
  return (
    url.origin === APP.origin &&
    pathname.startsWith(APP.pathname) &&
    !/^(assets|activity|changes|notebook|results|session)\b/.test(pathname.slice(APP.pathname.length))
  );
}
