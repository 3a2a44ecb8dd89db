// The folders of reports as a tree: a folder's name is a path, such as `Finance/Weekly`.

/** @typedef {{ path: string, name: string, count: number, below: Folder[] }} Folder */

/**
 * Build the tree. A folder counts its own reports and those of all folders below it, also if it has none itself.
 *
 * @param {readonly { folder: string, count: number }[]} rows
 * @returns {Folder[]}
 */
export function buildTree(rows) {
  /** @type {Folder[]} */
  const tree = [];
  for (const { folder, count } of rows) {
    let siblings = tree;
    let path = "";
    for (const name of splitPath(folder)) {
      path = path ? `${path}/${name}` : name;
      let found = siblings.find((one) => one.name === name);
      if (!found) {
        found = { path, name, count: 0, below: [] };
        siblings.push(found);
      }
      found.count += count;
      siblings = found.below;
    }
  }
  return tree;
}

/**
 * Split a path into names. One with an empty name, such as `/a`, is a single name: no other path leads to it.
 *
 * @param {string} path
 */
export function splitPath(path) {
  const names = path.split("/");
  return names.every((name) => name.trim()) ? names : [path];
}

/**
 * Tell whether a folder is another one or below it.
 *
 * @param {string} path
 * @param {string} folder
 */
export const isWithin = (path, folder) => path === folder || path.startsWith(`${folder}/`);
