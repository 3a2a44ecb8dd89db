// Addresses of the pages and of calls.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  APP,
  compilePattern,
  isPage,
  locate,
  matchPath,
  part,
  ROOT,
  readPath,
} from "../../../../airflow_provider_pushmetrics/service/web/page/assets/http/addresses.js";

test("addresses are relative to the folder of the modules", () => {
  assert.match(new URL("assets/", APP).pathname, /\/service\/web\/page\/assets\/$/);
  assert.equal(new URL("../", APP).href, ROOT.href);
});

test("an address leaves out parameters without a value and keeps zero and false", () => {
  const url = locate("api/v1/report/", {
    q: "a b&c",
    page: 0,
    flag: false,
    none: null,
    empty: "",
    missing: undefined,
  });
  assert.equal(url.search, "?q=a+b%26c&page=0&flag=false");
});

test("a name with slashes is one part of a path", () => {
  assert.equal(
    locate(`api/v1/database/${part("a/b?c")}`).pathname,
    `${ROOT.pathname}api/v1/database/a%2Fb%3Fc`,
  );
});

test("a pattern matches whole paths and names their parts", () => {
  const pattern = compilePattern("reports/:report/runs/:run");
  assert.deepEqual(matchPath(pattern, "reports/abc/runs/7"), { report: "abc", run: "7" });
  assert.deepEqual(matchPath(pattern, "reports/abc/runs/7/"), { report: "abc", run: "7" });
  for (const path of [
    "reports/abc/runs",
    "reports//runs/7",
    "x/reports/abc/runs/7",
    "reports/abc/runs/7/blocks",
  ]) {
    assert.equal(matchPath(pattern, path), null, path);
  }
});

test("the empty pattern matches the first page only", () => {
  assert.deepEqual(matchPath(compilePattern(""), ""), {});
  assert.equal(matchPath(compilePattern(""), "reports"), null);
});

test("the path of a page is what follows the folder of the interface", () => {
  assert.equal(readPath(new URL("reports/caf%C3%A9", APP)), "reports/café");
});

test("a path with a broken escape is read as it is", () => {
  assert.equal(readPath(new URL("reports/%E0%A4%A", APP)), "reports/%E0%A4%A");
});

test("files, results, the session and other sites are no pages", () => {
  for (const path of ["", "reports", "reports/a/runs/1", "sessions-of-somebody"]) {
    assert.ok(isPage(new URL(path, APP)), path);
  }
  const others = [
    "assets/app.js",
    "results/run/1/b/rows",
    "session",
    "../api/v1/report/",
    "https://other.example/app/",
  ];
  for (const path of others) assert.ok(!isPage(new URL(path, APP)), path);
});
