// The picture of the references between the blocks of a report: each block is a link to it.

import { el, fill } from "../elements/dom.js";
import { icon } from "../elements/icons.js";
import { chooseNext, countPerRow, layOut, NODE } from "./graph_layout.js";
import { ICONS } from "./outline.js";

const SVG = "http://www.w3.org/2000/svg";
const LABEL = "Block graph, in which the arrow keys lead from block to block";
/** As many letters of its name as a node has room for. */
const MOST_LETTERS = 9;

export class BlockGraph {
  #show;
  #look = "";
  #references = /** @type {Api.References} */ ({ blocks: [], circle: [] });
  /** @type {Map<string, Api.BlockType>} */
  #types = new Map();
  /** The block on which the Tab key stops: the one that had the focus last. */
  #stop = "";
  /** The block whose references are shown. @type {string | null} */
  #picked = null;
  #place = el("div", { class: "graph" });
  node = el("nav", { "aria-label": "Graph" }, this.#place);

  /** @param {(uid: string) => void} show Shows a block. */
  constructor(show) {
    this.#show = show;
    new ResizeObserver(() => this.#draw()).observe(this.#place);
    for (const name of ["focusin", "pointerover"])
      this.#place.addEventListener(name, ({ target }) => this.#pick(target));
    this.#place.addEventListener("focusout", () => this.#pick(null));
    this.#place.addEventListener("pointerleave", () => this.#pick(this.#findFocused()));
    this.#place.addEventListener("focusin", ({ target }) => this.#stopAt(findName(target) ?? ""));
    this.#place.addEventListener("keydown", (event) => this.#move(event));
  }

  /**
   * @param {readonly Pick<Api.Block, "uid" | "type">[]} blocks
   * @param {Api.References} references
   * @returns {boolean} Whether there is anything to see: blocks that refer to something.
   */
  update(blocks, references) {
    this.#types = new Map(blocks.map(({ uid, type }) => [uid, type]));
    this.#references = references;
    this.#draw();
    return references.blocks.some(({ uses, unknown }) => uses.length > 0 || unknown.length > 0);
  }

  #draw() {
    const width = this.#place.clientWidth;
    if (!width) return; // it is folded
    const perRow = countPerRow(width);
    const look = JSON.stringify([this.#references, [...this.#types], perRow]);
    if (look === this.#look) return;
    this.#look = look;
    const focused = findName(this.#findFocused());
    const { top, left } = { top: this.#place.scrollTop, left: this.#place.scrollLeft };
    fill(this.#place, this.#makePicture(layOut(this.#references, perRow)));
    this.#place.scrollTo(left, top);
    this.#stopAt(this.#stop);
    this.#mark();
    if (focused) this.#find(focused)?.focus({ preventScroll: true });
  }

  /** @param {Ui.GraphLayout} layout */
  #makePicture({ width, height, nodes, edges }) {
    return make(
      "svg",
      { viewBox: `0 0 ${width} ${height}`, width, height, role: "group", "aria-label": LABEL },
      edges.map(({ from, to, path, isCircular, isUnknown }) =>
        make("path", {
          d: path,
          class: ["edge", (isCircular || isUnknown) && "faulty"].filter(Boolean).join(" "),
          "data-from": from,
          "data-to": to,
        }),
      ),
      nodes.map((node) => this.#makeNode(node)),
    );
  }

  /** @param {Ui.GraphNode} node */
  #makeNode({ name, uid, x, y, isCircular, isUnknown }) {
    const isFaulty = isCircular || isUnknown;
    const type = uid === null ? undefined : this.#types.get(uid);
    const picture = icon(isFaulty ? "warning" : (type && ICONS[type]) || "edit");
    for (const [key, value] of Object.entries({ x: 5, y: 5, width: 12, height: 12 }))
      picture.setAttribute(key, String(value));
    const letters = [...name];
    const shown = letters.length > MOST_LETTERS ? `${letters.slice(0, MOST_LETTERS - 1).join("")}…` : name;
    const parts = [
      make("title", {}, this.#describe(name, isCircular, isUnknown)), // the name of the link, too
      make("rect", { width: NODE.width, height: NODE.height, rx: 5 }),
      picture,
      // It cuts off what wide letters need.
      make("svg", { x: 21, width: NODE.width - 25, height: NODE.height }, make("text", { y: 15 }, shown)),
    ];
    const settings = {
      class: isFaulty ? "node faulty" : "node",
      transform: `translate(${x} ${y})`,
      "data-name": name,
    };
    if (uid === null) return make("g", { ...settings, role: "img" }, parts);
    const link = make("a", { ...settings, href: `#${uid}` }, parts);
    link.addEventListener("click", (event) => {
      event.preventDefault();
      this.#show(uid);
    });
    return link;
  }

  /**
   * @param {string} name
   * @param {boolean} isCircular
   * @param {boolean} isUnknown
   */
  #describe(name, isCircular, isUnknown) {
    if (isUnknown) return `${name}, unknown`;
    const uses = this.#references.blocks.find((one) => one.name === name)?.uses ?? [];
    return [name, uses.length > 0 && `uses ${uses.join(", ")}`, isCircular && "in a circular reference"]
      .filter(Boolean)
      .join(", ");
  }

  /**
   * Show what a node uses and what uses it.
   *
   * @param {EventTarget | null} target
   */
  #pick(target) {
    this.#picked = findName(target);
    this.#mark();
  }

  #mark() {
    const name = this.#picked !== null && this.#find(this.#picked) ? this.#picked : null;
    this.#place.classList.toggle("picking", Boolean(name));
    const near = new Set([name]);
    for (const edge of this.#place.querySelectorAll(".edge")) {
      const ends = [edge.getAttribute("data-from"), edge.getAttribute("data-to")];
      edge.classList.toggle("near", Boolean(name) && ends.includes(name));
      if (ends.includes(name)) for (const end of ends) near.add(end);
    }
    for (const node of this.#place.querySelectorAll(".node"))
      node.classList.toggle("near", Boolean(name) && near.has(node.getAttribute("data-name")));
  }

  #findFocused() {
    const active = document.activeElement;
    return this.#place.contains(active) ? active : null;
  }

  #listLinks() {
    return [.../** @type {NodeListOf<SVGElement>} */ (this.#place.querySelectorAll("a.node"))];
  }

  /**
   * Let the Tab key stop at one block only: at the first, where the graph has none of this name.
   *
   * @param {string} name
   */
  #stopAt(name) {
    this.#stop = name;
    const links = this.#listLinks();
    const stop = links.find((link) => findName(link) === name) ?? links[0];
    for (const link of links) link.setAttribute("tabindex", link === stop ? "0" : "-1");
  }

  /** @param {KeyboardEvent} event */
  #move(event) {
    const links = this.#listLinks();
    const focused = this.#findFocused();
    const here = links.findIndex((link) => link.isSameNode(focused));
    const next = here < 0 ? null : chooseNext(event.key, here, links.length);
    if (next === null || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    links[next].focus();
  }

  /**
   * @param {string} name
   * @returns {SVGElement | undefined}
   */
  #find(name) {
    const nodes = /** @type {NodeListOf<SVGElement>} */ (this.#place.querySelectorAll(".node"));
    return [...nodes].find((node) => findName(node) === name);
  }
}

/**
 * Find the name of the block of a part of the picture.
 *
 * @param {EventTarget | null} target
 */
const findName = (target) =>
  (target instanceof Element && target.closest(".node")?.getAttribute("data-name")) || null;

/**
 * @param {string} tag
 * @param {Record<string, string | number>} settings
 * @param {...(string | Element | readonly Element[])} children
 * @returns {SVGElement}
 */
function make(tag, settings, ...children) {
  const element = /** @type {SVGElement} */ (document.createElementNS(SVG, tag));
  for (const [name, value] of Object.entries(settings)) element.setAttribute(name, String(value));
  element.append(...children.flat());
  return element;
}
