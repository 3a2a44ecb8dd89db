// Where each block stands in the picture of the references: in layers, what is used above what uses it.

import { findDepths } from "./block_order.js";

export const NODE = { width: 84, height: 22 };
const GAP = { x: 8, y: 8, layer: 26, back: 18 };
const MARGIN = 3;
const SWEEPS = 4;
/** Ways of an edge. */
const [DOWN, BACK, BESIDE] = [0, 1, 2];

/**
 * Count the nodes that fit beside each other.
 *
 * @param {number} width
 */
export const countPerRow = (width) =>
  Math.max(1, Math.floor((width - 2 * MARGIN + GAP.x) / (NODE.width + GAP.x)));

/**
 * Lay out the references between blocks. A layer that is too wide takes several rows.
 *
 * @param {Api.References} references
 * @param {number} perRow How many nodes may stand beside each other.
 * @returns {Ui.GraphLayout}
 */
export function layOut({ blocks, circle }, perRow) {
  const all = addUnknown(blocks);
  const layers = orderLayers(all);
  const circular = new Set(circle);
  /** @type {Map<string, Ui.GraphNode>} */
  const nodes = new Map();
  const columns = Math.min(perRow, Math.max(1, ...layers.map((names) => names.length)));
  const width = columns * (NODE.width + GAP.x) - GAP.x + 2 * MARGIN;
  let y = MARGIN;
  for (const names of layers) {
    for (let start = 0; start < names.length; start += perRow) {
      const row = names.slice(start, start + perRow);
      const left = (width - row.length * (NODE.width + GAP.x) + GAP.x) / 2;
      row.forEach((name, index) => {
        const { uid, isUnknown } = /** @type {Named} */ (all.get(name));
        const x = left + index * (NODE.width + GAP.x);
        nodes.set(name, { name, uid, x, y, isUnknown, isCircular: circular.has(name) });
      });
      y += NODE.height + GAP.y;
    }
    y += GAP.layer - GAP.y;
  }
  const edges = [...all.values()].flatMap((user) =>
    user.uses.map((used) => drawEdge(nodes, used, user, circle)),
  );
  const [hasBack, hasBeside] = [BACK, BESIDE].map((way) =>
    edges.some(({ from, to }) => findWay(nodes.get(from), nodes.get(to)) === way),
  );
  return {
    width: width + (hasBack ? GAP.back : 0),
    height: Math.max(0, y - GAP.layer + MARGIN) + (hasBeside ? GAP.layer : 0),
    nodes: [...nodes.values()],
    edges,
  };
}

/**
 * Choose the node to which a key leads from another one; null if it leads nowhere. The last is before the first.
 *
 * @param {string} key
 * @param {number} here The place of the node in the picture, from the top left.
 * @param {number} count How many nodes there are.
 */
export function chooseNext(key, here, count) {
  /** @type {Record<string, number>} */
  const places = {
    ArrowRight: here + 1,
    ArrowDown: here + 1,
    ArrowLeft: here - 1,
    ArrowUp: here - 1,
    Home: 0,
    End: count - 1,
  };
  const place = places[key];
  return place === undefined ? null : (place + count) % count;
}

/** @typedef {{ name: string, uid: string | null, uses: string[], unknown: string[], isUnknown: boolean }} Named */

/**
 * Add the names that no block has to the blocks.
 *
 * @param {readonly Api.BlockReferences[]} blocks
 * @returns {Map<string, Named>}
 */
function addUnknown(blocks) {
  /** @type {Map<string, Named>} */
  const all = new Map();
  for (const { unknown } of blocks)
    for (const name of unknown) all.set(name, { name, uid: null, uses: [], unknown: [], isUnknown: true });
  for (const { name, uid, uses, unknown } of blocks)
    all.set(name, { name, uid, uses: [...new Set([...uses, ...unknown])], unknown, isUnknown: false });
  return all;
}

/**
 * Put the blocks into layers, those beside each other in an order with few crossings.
 *
 * @param {Map<string, Named>} all
 * @returns {string[][]}
 */
function orderLayers(all) {
  const depths = findDepths([...all.values()]);
  for (const { name, isUnknown } of all.values()) {
    if (!isUnknown) continue;
    const users = [...all.values()].filter(({ uses }) => uses.includes(name));
    // Right above the first that uses it.
    depths.set(name, Math.min(...users.map((one) => depths.get(one.name) ?? 1)) - 1);
  }
  /** @type {string[][]} */
  const layers = [];
  for (const name of all.keys()) {
    const depth = depths.get(name) ?? 0;
    layers[depth] ??= [];
    layers[depth].push(name);
  }
  const full = [...layers].map((names) => names ?? []).filter((names) => names.length);
  return reduceCrossings(full, listNeighbors(all));
}

/**
 * @param {Map<string, Named>} all
 * @returns {Map<string, string[]>}
 */
function listNeighbors(all) {
  /** @type {Map<string, string[]>} */
  const found = new Map([...all.values()].map(({ name, uses }) => [name, [...uses]]));
  for (const { name, uses } of all.values()) for (const used of uses) found.get(used)?.push(name);
  return found;
}

/**
 * Order each layer by where its neighbors stand, from the top down and back.
 *
 * @param {string[][]} layers
 * @param {Map<string, string[]>} neighbors
 */
function reduceCrossings(layers, neighbors) {
  /** @type {Map<string, number>} From 0 to 1, from the left to the right. */
  const places = new Map();
  const place = (/** @type {string[]} */ names) => {
    names.forEach((name, index) => {
      places.set(name, (index + 0.5) / names.length);
    });
  };
  layers.forEach(place);
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const order = sweep % 2 ? [...layers].reverse() : layers;
    for (const names of order) {
      const wanted = new Map(names.map((name) => [name, findMean(name, neighbors, places)]));
      names.sort((one, other) => (wanted.get(one) ?? 0) - (wanted.get(other) ?? 0));
      place(names);
    }
  }
  return layers;
}

/**
 * @param {string} name
 * @param {Map<string, string[]>} neighbors
 * @param {Map<string, number>} places
 */
function findMean(name, neighbors, places) {
  const found = (neighbors.get(name) ?? []).map((one) => places.get(one) ?? 0);
  if (!found.length) return places.get(name) ?? 0;
  return found.reduce((sum, one) => sum + one, 0) / found.length;
}

/**
 * @param {Map<string, Ui.GraphNode>} nodes
 * @param {string} used
 * @param {Named} user
 * @param {readonly string[]} circle
 * @returns {Ui.GraphEdge}
 */
function drawEdge(nodes, used, { name: user, unknown }, circle) {
  const from = /** @type {Ui.GraphNode} */ (nodes.get(used));
  const to = /** @type {Ui.GraphNode} */ (nodes.get(user));
  // A circle leads from each block to one that it uses, or the other way round.
  const isCircular = circle.some(
    (one, index) => pairs(one, circle[index + 1], used, user) || pairs(circle[index + 1], one, used, user),
  );
  // A name may be unknown to a block because the block that has it is of another type than it needs.
  const isUnknown = from.isUnknown || unknown.includes(used);
  return { from: used, to: user, isCircular, isUnknown, path: drawPath(from, to) };
}

/** @type {(one: string, other: string, used: string, user: string) => boolean} */
const pairs = (one, other, used, user) => one === used && other === user;

/**
 * Find which way an edge leads: down, back up or to its own node, or to a node beside it.
 *
 * @param {Ui.GraphNode | undefined} from
 * @param {Ui.GraphNode | undefined} to
 */
function findWay(from, to) {
  if (!from || !to || to.y > from.y) return DOWN;
  return from === to || to.y < from.y ? BACK : BESIDE;
}

/**
 * @param {Ui.GraphNode} from
 * @param {Ui.GraphNode} to
 */
function drawPath(from, to) {
  const way = findWay(from, to);
  if (way === BACK) {
    const [right, other] = [from.x + NODE.width, to.x + NODE.width];
    const [y1, y2] = [from.y + NODE.height - 5, to.y + (from === to ? 5 : NODE.height - 5)];
    return `M${right} ${y1}C${right + GAP.back} ${y1} ${other + GAP.back} ${y2} ${other} ${y2}`;
  }
  const [x1, y1, x2] = [from.x + NODE.width / 2, from.y + NODE.height, to.x + NODE.width / 2];
  const y2 = way === BESIDE ? to.y + NODE.height : to.y;
  const [middle1, middle2] =
    way === BESIDE ? [y1 + GAP.layer, y2 + GAP.layer] : [(y1 + y2) / 2, (y1 + y2) / 2];
  return `M${x1} ${y1}C${x1} ${middle1} ${x2} ${middle2} ${x2} ${y2}`;
}
