// Bringing a deleted block back.

import { part } from "../http/addresses.js";
import { post, put } from "../http/api.js";
import { getBlocks } from "./block_list.js";

/**
 * Add a deleted block again, behind those that were before it. Gives its new uid, before it is in its place.
 *
 * @param {Api.Report} report
 * @param {Api.Block} block
 * @param {string[]} before
 * @param {(uid: string) => void} whenAdded
 */
export async function restoreBlock(report, { type, name, verbose_name, content_json }, before, whenAdded) {
  // The content as text: JavaScript would round some of its numbers.
  const wanted = { report_id: report.id, type, name, verbose_name, content_json };
  /** @type {{ result: Api.BlockRow }} */
  const { result } = await post("api/v1/block/", wanted);
  whenAdded(result.uid);
  const uids = (await getBlocks(report)).map((one) => one.uid).filter((uid) => uid !== result.uid);
  const position = Math.max(-1, ...before.map((uid) => uids.indexOf(uid))) + 1;
  await put(`api/v1/block/${part(result.uid)}`, { position });
  return result.uid;
}
