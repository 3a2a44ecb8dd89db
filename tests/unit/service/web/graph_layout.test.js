// Where the blocks stand in the picture of their references.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  chooseNext,
  countPerRow,
  layOut,
  NODE,
} from "../../../../airflow_provider_pushmetrics/service/web/page/assets/notebook/graph_layout.js";

/**
 * @param {string} name
 * @param {string[]} uses
 * @param {string[]} unknown
 */
const block = (name, uses = [], unknown = []) => ({
  uid: `uid-${name}`,
  name,
  uses,
  unknown,
  upstream: uses,
});

/**
 * @param {ReturnType<typeof block>[]} blocks
 * @param {{ perRow?: number, circle?: string[] }} [settings]
 */
function place(blocks, { perRow = 10, circle = [] } = {}) {
  const layout = layOut({ blocks, circle }, perRow);
  return { ...layout, nodes: new Map(layout.nodes.map((node) => [node.name, node])) };
}

/** @param {ReturnType<typeof place>} layout */
function hasOverlap({ nodes, width, height }) {
  const all = [...nodes.values()];
  const isInside = all.every(
    ({ x, y }) => x >= 0 && y >= 0 && x + NODE.width <= width && y + NODE.height <= height,
  );
  return (
    !isInside ||
    all.some((one) =>
      all.some(
        (other) =>
          one !== other && Math.abs(one.x - other.x) < NODE.width && Math.abs(one.y - other.y) < NODE.height,
      ),
    )
  );
}

/** List points of an edge, which is one curve. @param {string} path */
function listPoints(path) {
  const [x0, y0, x1, y1, x2, y2, x3, y3] = (path.match(/-?[\d.]+/g) ?? []).map(Number);
  return Array.from({ length: 21 }, (_, index) => {
    const [t, u] = [index / 20, 1 - index / 20];
    const mix = (/** @type {number[]} */ ...[a, b, c, d]) =>
      u ** 3 * a + 3 * u * u * t * b + 3 * u * t * t * c + t ** 3 * d;
    return { x: mix(x0, x1, x2, x3), y: mix(y0, y1, y2, y3) };
  });
}

test("edges back and to the block itself are within the picture, and beside those forward", () => {
  for (const [blocks, circle] of /** @type {const} */ ([
    [[block("self", ["self"])], ["self", "self"]],
    [
      [block("a", ["b"]), block("b", ["a"])],
      ["a", "b", "a"],
    ],
    [
      [block("a", ["c"]), block("b", ["a"]), block("c", ["b", "d"]), block("d", ["c"])],
      ["c", "d", "c"],
    ],
  ])) {
    const { edges, width, height } = place([...blocks], { circle: [...circle] });
    for (const { path } of edges)
      for (const { x, y } of listPoints(path))
        assert.ok(x >= 0 && x <= width && y >= 0 && y <= height, `${path} ${width} ${height}`);
    const middles = edges.map(({ path }) => JSON.stringify(listPoints(path)[10]));
    assert.equal(new Set(middles).size, edges.length);
  }
});

test("a block of a type that another cannot use is joined to it by one faulty edge", () => {
  const { edges, nodes } = place([block("t"), block("c", ["t"], ["t"])]);
  assert.deepEqual(
    edges.map(({ from, to, isUnknown }) => [from, to, isUnknown]),
    [["t", "c", true]],
  );
  assert.equal(nodes.get("t")?.isUnknown, false);
});

test("what is used stands above what uses it", () => {
  const layout = place([
    block("words", ["top", "region"]),
    block("top", ["base"]),
    block("base", ["region"]),
    block("region"),
  ]);
  const tops = ["region", "base", "top", "words"].map((name) => layout.nodes.get(name)?.y ?? 0);
  assert.deepEqual(
    tops,
    [...tops].sort((a, b) => a - b),
  );
  assert.equal(new Set(tops).size, 4);
  assert.deepEqual(layout.edges.map(({ from, to }) => `${from}-${to}`).sort(), [
    "base-top",
    "region-base",
    "region-words",
    "top-words",
  ]);
  assert.equal(hasOverlap(layout), false);
});

test("blocks of a layer stand in an order without crossings, if there is one", () => {
  const layout = place([
    block("a"),
    block("b"),
    block("c"),
    block("of c", ["c"]),
    block("of b", ["b"]),
    block("of a", ["a"]),
  ]);
  const upper = ["a", "b", "c"].map((name) => layout.nodes.get(name)?.x ?? 0);
  const lower = ["of a", "of b", "of c"].map((name) => layout.nodes.get(name)?.x ?? 0);
  const order = (/** @type {number[]} */ xs) => xs.map((x) => [...xs].sort((a, b) => a - b).indexOf(x));
  assert.deepEqual(order(upper), order(lower));
});

test("blocks without references keep the order of the page", () => {
  const { nodes } = place([block("a"), block("b"), block("c")]);
  assert.deepEqual(
    [...nodes.values()].sort((one, other) => one.x - other.x).map(({ name }) => name),
    ["a", "b", "c"],
  );
});

test("a layer that is too wide takes several rows", () => {
  const leaves = ["a", "b", "c", "d", "e"].map((name) => block(name, ["top"]));
  const layout = place([block("top"), ...leaves], { perRow: 2 });
  assert.equal(hasOverlap(layout), false);
  assert.equal(new Set(["a", "b", "c", "d", "e"].map((name) => layout.nodes.get(name)?.y)).size, 3);
  assert.ok(countPerRow(layout.width) === 2);
  assert.equal(countPerRow(10), 1);
});

test("a circle and its references are marked, and others are not", () => {
  const layout = place(
    [block("a", ["b", "other"]), block("b", ["a"]), block("other"), block("after", ["a"])],
    {
      circle: ["a", "b", "a"],
    },
  );
  assert.equal(hasOverlap(layout), false);
  assert.deepEqual(
    [...layout.nodes.values()]
      .filter((node) => node.isCircular)
      .map(({ name }) => name)
      .sort(),
    ["a", "b"],
  );
  assert.deepEqual(
    layout.edges
      .filter((edge) => edge.isCircular)
      .map(({ from, to }) => `${from}-${to}`)
      .sort(),
    ["a-b", "b-a"],
  );
  const own = place([block("self", ["self"])], { circle: ["self", "self"] });
  assert.deepEqual(
    own.edges.map(({ isCircular }) => isCircular),
    [true],
  );
  assert.ok(own.edges.every(({ path }) => !path.includes("NaN")));
});

test("a name that no block has stands right above the first block that uses it", () => {
  const layout = place([
    block("a"),
    block("b", ["a"]),
    block("c", ["b"], ["nowhere"]),
    block("d", ["c"], ["nowhere"]),
  ]);
  const unknown = layout.nodes.get("nowhere");
  assert.deepEqual([unknown?.isUnknown, unknown?.uid], [true, null]);
  assert.equal(unknown?.y, layout.nodes.get("b")?.y);
  assert.equal(layout.edges.filter((edge) => edge.isUnknown).length, 2);
  assert.equal(hasOverlap(layout), false);
});

test("sixty blocks, and a chain of five hundred, are laid out", () => {
  const many = Array.from({ length: 60 }, (_, index) =>
    block(
      `b${index}`,
      [index - 1, index - 7, Math.floor(index / 2)]
        .filter((one) => one >= 0 && one < index)
        .map((one) => `b${one}`),
    ),
  );
  const layout = place(many, { perRow: 2 });
  assert.equal(layout.nodes.size, 60);
  assert.equal(hasOverlap(layout), false);
  const chain = Array.from({ length: 500 }, (_, index) => block(`c${index}`, index ? [`c${index - 1}`] : []));
  assert.equal(new Set([...place(chain).nodes.values()].map(({ y }) => y)).size, 500);
});

test("the arrow keys lead from node to node and around, and other keys lead nowhere", () => {
  assert.deepEqual(
    ["ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp", "Home", "End", "Tab", "Enter", "a"].map((key) =>
      chooseNext(key, 1, 4),
    ),
    [2, 2, 0, 0, 0, 3, null, null, null],
  );
  assert.deepEqual([chooseNext("ArrowDown", 3, 4), chooseNext("ArrowUp", 0, 4)], [0, 3]);
  assert.equal(chooseNext("ArrowUp", 0, 1), 0);
});

test("nothing is laid out as nothing", () => {
  const layout = place([]);
  assert.deepEqual([layout.nodes.size, layout.edges.length], [0, 0]);
});
