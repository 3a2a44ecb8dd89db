// The picture of the references between the blocks of a report: each block is a link to it.

import { el, fill } from "../elements/dom.js";
import { icon } from "../elements/icons.js";
import { countPerRow, layOut, NODE } from "./graph_layout.js";
import { ICONS } from "./outline.js";

const SVG = "http://www.w3.org/2000/svg";
/** As many letters of its name as a node has room for. */
const MOST_LETTERS = 9;

export class BlockGraph {
  #show;
  #look = "";
  #references = /** @type {Api.References} */ ({ blocks: [], circle: [] });
  /** @type {Map<string, Api.BlockType>} */
  #types = new Map();
  #place = el("div", { class: "graph" });
  node = el("nav", { "aria-label": "Graph" }, this.#place);

  /** @param {(uid: string) => void} show Shows a block. */
  constructor(show) {
    this.#show = show;
    new ResizeObserver(() => this.#draw()).observe(this.#place);
    for (const name of ["focusin", "pointerover"])
      this.#place.addEventListener(name, ({ target }) => this.#pick(target));
    for (const name of ["focusout", "pointerleave"])
      this.#place.addEventListener(name, () => this.#pick(null));
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
    const active = document.activeElement;
    const focused = this.#place.contains(active) ? active?.getAttribute("data-name") : null;
    const { top, left } = { top: this.#place.scrollTop, left: this.#place.scrollLeft };
    fill(this.#place, this.#makePicture(layOut(this.#references, perRow)));
    this.#place.scrollTo(left, top);
    if (focused) this.#find(focused)?.focus({ preventScroll: true });
  }

  /** @param {Ui.GraphLayout} layout */
  #makePicture({ width, height, nodes, edges }) {
    return make(
      "svg",
      { viewBox: `0 0 ${width} ${height}`, width, height, role: "group", "aria-label": "Block graph" },
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
    const name = target instanceof Element ? target.closest(".node")?.getAttribute("data-name") : null;
    this.#place.classList.toggle("picking", Boolean(name));
    const near = new Set([name]);
    for (const edge of this.#place.querySelectorAll(".edge")) {
      const ends = [edge.getAttribute("data-from"), edge.getAttribute("data-to")];
      edge.classList.toggle("near", Boolean(name) && ends.includes(name ?? null));
      if (ends.includes(name ?? null)) for (const end of ends) near.add(end);
    }
    for (const node of this.#place.querySelectorAll(".node"))
      node.classList.toggle("near", Boolean(name) && near.has(node.getAttribute("data-name")));
  }

  /**
   * @param {string} name
   * @returns {SVGElement | undefined}
   */
  #find(name) {
    const nodes = /** @type {NodeListOf<SVGElement>} */ (this.#place.querySelectorAll(".node"));
    return [...nodes].find((node) => node.getAttribute("data-name") === name);
  }
}

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
