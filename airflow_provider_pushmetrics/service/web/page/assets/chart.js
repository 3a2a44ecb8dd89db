// A chart, as an image that the service has drawn.

import { get, locate } from "./api.js";
import { el, fill } from "./dom.js";

const DARK = window.matchMedia("(prefers-color-scheme: dark)");

/** Make the view of a chart; why it cannot be drawn is said in its place. */
export function makeChart(base, name) {
  const query = { is_dark: DARK.matches };
  const place = el("div", { class: "chart" });
  const image = el("img", { src: locate(`${base}/chart.svg`, query).href, alt: `Chart ${name}` });
  image.addEventListener("error", async () => {
    const error = await get(`${base}/chart.svg`, { query }).then(() => null, (fault) => fault);
    fill(place, el("p", { class: "fault" }, error?.message ?? "The chart cannot be shown"));
  });
  return fill(place, image);
}
