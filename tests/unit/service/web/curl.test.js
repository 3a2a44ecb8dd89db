// Examples of calls of a trigger, which a shell must read as they are meant.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import {
  writeGet,
  writePost,
} from "../../../../airflow_provider_pushmetrics/service/web/page/assets/notebook/curl.js";

const URL_WITH_TOKEN = "https://pm.example/api/v1/report/1/webhook?token=t-_1";

/**
 * Let a shell split a command, and give its words.
 *
 * @param {string} command
 */
function split(command) {
  const script = `curl() { for word in "$@"; do printf '%s\\0' "$word"; done; }\n${command}`;
  return execFileSync("sh", ["-c", script], { encoding: "utf8" }).split("\0").slice(0, -1);
}

const VALUES = [
  { name: "region", value: "EMEA & APAC", text: "EMEA & APAC" },
  { name: "who", value: 'O\'Brien; $(id) `id` "x"', text: 'O\'Brien; $(id) `id` "x"' },
  { name: "months", value: [1, 2], text: "1, 2" },
];

test("a call by GET has the values in its query string", () => {
  const [address, ...rest] = split(writeGet(URL_WITH_TOKEN, VALUES));
  assert.deepEqual(rest, []);
  const read = new URL(address).searchParams;
  assert.deepEqual(
    [...read],
    [
      ["token", "t-_1"],
      ["region", "EMEA & APAC"],
      ["who", 'O\'Brien; $(id) `id` "x"'],
      ["months", "1, 2"],
    ],
  );
});

test("a call by POST has the values as JSON, with their types", () => {
  const words = split(writePost(URL_WITH_TOKEN, VALUES));
  assert.deepEqual(words.slice(0, 5), ["-X", "POST", URL_WITH_TOKEN, "-H", "Content-Type: application/json"]);
  assert.deepEqual(JSON.parse(words[6]), {
    region: "EMEA & APAC",
    who: 'O\'Brien; $(id) `id` "x"',
    months: [1, 2],
  });
});

test("a call without values is the URL alone", () => {
  assert.deepEqual(split(writeGet(URL_WITH_TOKEN, [])), [URL_WITH_TOKEN]);
  assert.deepEqual(JSON.parse(split(writePost(URL_WITH_TOKEN, []))[6]), {});
});
