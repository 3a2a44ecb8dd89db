// Drafts: what is kept of typed text, for whom, and what is never stored.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  Drafts,
  findChanged,
  pickTyped,
  withoutSecrets,
} from "../../../../airflow_provider_pushmetrics/service/web/page/assets/drafts/drafts.js";

const DAY_MILLISECONDS = 24 * 3600 * 1000;
const OWNER = { place: "/", user: "ann", workspace: "sales" };

/** A storage as browsers have it. It may have an end. */
class MemoryStorage {
  #items = new Map();

  constructor({ size = Number.POSITIVE_INFINITY } = {}) {
    this.size = size;
  }

  get length() {
    return this.#items.size;
  }

  key(index) {
    return [...this.#items.keys()][index] ?? null;
  }

  getItem(key) {
    return this.#items.get(key) ?? null;
  }

  setItem(key, value) {
    if (value.length > this.size) throw new DOMException("full", "QuotaExceededError");
    this.#items.set(key, value);
  }

  removeItem(key) {
    this.#items.delete(key);
  }

  get text() {
    return JSON.stringify([...this.#items]);
  }
}

const makeDraft = (texts, { base = {}, secrets = [], keptOn = 0 } = {}) => ({
  texts,
  base,
  secrets,
  kept_on: keptOn,
});

test("a draft survives a reload", () => {
  const storage = new MemoryStorage();
  const draft = makeDraft({ sql: "SELECT 2" }, { base: { sql: "SELECT 1" } });
  new Drafts(storage, OWNER).keep("block/1", draft);
  assert.deepEqual(new Drafts(storage, OWNER).find("block/1"), draft);
  assert.equal(new Drafts(storage, OWNER).find("block/2"), null);
});

test("a draft belongs to one user in one workspace of one service", () => {
  const storage = new MemoryStorage();
  new Drafts(storage, OWNER).keep("block/1", makeDraft({ sql: "a" }));
  for (const other of [{ user: "bob" }, { workspace: "hr" }, { place: "/other/" }, { user: "ann/sales" }])
    assert.equal(new Drafts(storage, { ...OWNER, ...other }).find("block/1"), null, JSON.stringify(other));
});

test("what is typed back to what is saved is no draft", () => {
  const storage = new MemoryStorage();
  const drafts = new Drafts(storage, OWNER);
  drafts.keep("block/1", makeDraft({ sql: "b" }, { base: { sql: "a" } }));
  drafts.keep("block/1", makeDraft({ sql: "a" }, { base: { sql: "a" } }));
  assert.equal(drafts.find("block/1"), null);
  assert.equal(storage.length, 0);
});

test("a removed draft is gone from the page and from the storage", () => {
  const storage = new MemoryStorage();
  const drafts = new Drafts(storage, OWNER);
  drafts.keep("block/1", makeDraft({ sql: "a" }));
  drafts.remove("block/1");
  assert.equal(drafts.find("block/1"), null);
  assert.equal(storage.length, 0);
});

test("secrets are never stored, and are not lost without a question", () => {
  const secrets = {
    password: "abcdef",
    api_token: "abcdef",
    sqlalchemy_uri: "sqlite:///x.db",
    headers: "Authorization: Bearer abcdef",
    hidden: "abcdef",
    sql: "SELECT 'pmpat_0123456789abcdef'",
    text: "whsec_MDEyMzQ1Njc4OWFiY2RlZg==",
    url: "postgresql://reader:abcdef@db/sales",
    link: "https://reports.example/api/v1/report/1/webhook?token=abcdef",
    slack: "xoxb-1234567890-abcdef",
    curl: "curl -H 'Authorization: Bearer abcdefghijklmnopqrst' https://api.example",
    jwt: "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
  };
  for (const [name, text] of Object.entries(secrets)) {
    const storage = new MemoryStorage();
    const drafts = new Drafts(storage, OWNER);
    drafts.keep(
      "form",
      makeDraft({ [name]: text, title: "typed" }, { base: { title: "" }, secrets: ["hidden"] }),
    );
    assert.ok(!storage.text.includes(text), name);
    assert.ok(storage.text.includes("typed"), name);
    assert.deepEqual(drafts.findUnstored(), ["form"], name);
    assert.equal(drafts.find("form")?.texts[name], text, name);
  }
});

/** One text for each kind of credential that a vendor gives, and for each way in which one is written. */
const SECRET_TEXTS = [
  ...["xoxb", "xoxp", "xoxa", "xoxr", "xoxs", "xoxc", "xoxd", "xoxe"].map(
    (kind) => `${kind}-1234567890-abcdef`,
  ),
  "xoxe.xoxp-1-Mi0yLTEyMzQ1Njc4",
  "xapp-1-A0123456789-1234567890-abcdef",
  "https://hooks.slack.com/services/T00000000/B00000000/abcdefghijkl",
  "https://hooks.slack.com/workflows/T00000000/A00000000/123/abcdefghijkl",
  "https://hooks.slack.com/triggers/T00000000/123/abcdefghijkl",
  ...["ghp", "gho", "ghu", "ghs", "ghr"].map((kind) => `${kind}_abcdefghijklmnopqrstuvwxyz0123456789`),
  "github_pat_11ABCDEFG0abcdefghijkl_mnopqrstuvwxyz",
  "key AKIAIOSFODNN7EXAMPLE",
  "key ASIAIOSFODNN7EXAMPLE",
  "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG",
  "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG",
  "export AWS_SESSION_TOKEN='IQoJb3JpZ2luX2Vj'",
  '{"SecretAccessKey": "wJalrXUtnFEMI/K7MDENG"}',
  "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=abcdef==",
  "Endpoint=sb://a;SharedAccessKeyName=b;SharedAccessKey=abcdef",
  "https://a.blob.core.windows.net/b?sv=2024-01-01&sig=abcdef%3D",
  "host=db user=reader password=abcdef",
  "Driver={ODBC Driver 18};UID=reader;PWD={abcdef}",
  "passphrase: abcdef",
  '{"password": "abcdef"}',
  "{'client_secret': 'abcdef'}",
  "secret_key=abcdef",
  "SECRET_KEY = 'abcdef'",
  "private_key: abcdef",
  "api_token=abcdef",
  "access_token=abcdef",
  "token: abcdef",
  "token => abcdef",
  '"token": "abcdef"',
  "X-API-Key: abcdef",
  "https://x.example/?x-sig=abcdef",
  "https://x.example/?X-Amz-Signature=abcdef",
  "auth_key=abcdef",
  "Authorization: Token abcdef",
  "https://x.example/?api_token=abcdef",
  "https://x.example/?a=1&access_token=abcdef",
  "CREATE USER reader PASSWORD 'abcdef'",
  "CREATE USER reader IDENTIFIED BY 'abcdef'",
  "CREATE SECRET (TYPE s3, KEY_ID 'abc', SECRET 'abcdef')",
  "CREATE SECRET (TYPE huggingface, TOKEN 'hf_abcdef')",
  "-----BEGIN OPENSSH PRIVATE KEY-----",
  "password={{ p }}S3cret",
  "token = '{{ t }}abcdefgh'",
  "CREATE USER reader PASSWORD '{{ p }}S3cret'",
  "https://x.example/?page_token={{ t }}abcdef",
  "https://x.example/?api_token=1234567",
  "token := 'abcdef'",
  "password=abcdef.ghijkl",
  "db.password=abcdef.ghijkl",
  "pwd=12345678",
  "password=@bcdef",
  "vault.token=hvs.CAESIJabcdefghijklmnopqr",
  "token=abcdef.ghijkl",
  "token=1234567890123456",
  '{"token": {{ t }}abcdef}',
  '{"token": "abcdef", "other": {}}',
  "x-eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
  "password = {% if prod %}'abcdef'{% else %}'x'{% endif %}",
  "password = {% if prod %} 'abcdef' {% else %} {{ p }} {% endif %}",
  "password = {% if prod %}{{ p }}{% else %}'abcdef'{% endif %}",
  "password = {% if prod %}{{ p }} {% else %} 'abcdef'{% endif %}",
  "password={% if prod %} abcdef {% endif %}",
  "password={% if prod %}{{ p }} {% else %} abcdef{% endif %}",
  "password={{ p }}{% if prod %}abcdef{% endif %}",
  "password = {{ p }}{% if prod %} || 'abcdef'{% endif %}",
  "CREATE USER u PASSWORD {% if prod %}'abcdef'{% else %}'x'{% endif %}",
  "CREATE USER u PASSWORD {% if prod %}{{ p }}{% else %}'abcdef'{% endif %}",
  "SET s3_secret_access_key = {% if prod %}'wJalrXUtnFEMI/K7MDENG'{% else %}{{ k }}{% endif %}",
  '{"password": {"value": "abcdef"}}',
  '{"token": {"type": "string", "default": "abcdef"}}',
  '{"token": {"type": "string"} || "abcdef"}',
  String.raw`"{\"password\": \"abcdef\"}"`,
  "password = coalesce({{ p }}, 'abcdef')",
  "password = lower(coalesce({{ p }}, 'abcdef'))",
  "password = coalesce(n.password, 12345678)",
  "token = IF({{ prod }}, 'abcdef', 'x')",
  "token = md5(t.token || 'abcdef')",
  'token = concat("t"."token", \'abcdef\')',
  "password = CASE WHEN {{ prod }} THEN 'abcdef' ELSE NULL END",
  "token = (CASE WHEN {{ prod }} THEN 'abcdef' END)",
  "password = (SELECT 'abcdef')",
  "password = (SELECT coalesce(max(password), 'abcdef') FROM users)",
  "token = (SELECT $$abcdef$$ FROM dual)",
  "password = (SELECT salt FROM s) || 'abcdef'",
  "password = (SELECT salt FROM s)::text || 'abcdef'",
  "password = (SELECT salt FROM s WHERE (a = ')') AND b = lower('c')) -- the rest\n  || 'abcdef'",
  "password = (SELECT salt FROM s WHERE a = 'b' || 'abcdef'",
  `password = (SELECT salt FROM s WHERE a IN (${"5, ".repeat(2000)} 5)) || 'abcdef'`,
  "password = (SELECT salt FROM s WHERE a = $$) ,$$) || 'abcdef'",
  "password = (SELECT salt FROM s WHERE a = $b$) ,$b$) || 'abcdef'",
  "password = (SELECT salt FROM s WHERE a = 'x\\') ,') || 'abcdef'",
  "password = (SELECT salt FROM s WHERE a = 5 # ) ,\n) || 'abcdef'",
  "password = (SELECT salt FROM s /* /* */ ) , */ ) || 'abcdef'",
  "{% set p = 'abcdef' %}password = (SELECT {{ p }} FROM s)",
  "token = coalesce({{ p }}, $$abcdef$$)",
  "token = coalesce({{ p }}, $q$abcdef$q$)",
  "token = lower(coalesce({{ p }}, $$abcdef$$))",
  "password = {{ p | default('abcdef') }}",
  'password = {{ p or "abcdef" }}',
  "password = {{ p | default(12345678) }}",
  "password = {{ 'abcdef' if prod else p }}",
  "password = {{ {'prod': 'abcdef'}[env] }}",
  "password = {{ ['abcdef'][0] }}",
  "password = '{{ p | default(\"abcdef\") }}'",
  "token = {% if x %}{{ p | default('abcdef') }}{% endif %}",
  "WHERE x = {{ password | default('abcdef') }}",
  "WHERE x = {{ api_token or 'abcdef' }}",
  "WHERE x = {{ params['token'] | default('abcdef') }}",
  "WHERE x = {{ params.get('token', 'abcdef') }}",
  "WHERE x = {{ password | default('abcdef}') }}",
  "WHERE x = {{ password | default('abcdef",
  "{% if token == 'abcdef' %}SELECT 1{% endif %}",
  "{% set password = 'abcdef' %}",
  "{% set password %}abcdef{% endset %}",
  "{%- set db_password -%} abcdef {%- endset -%}",
  "{% set p = 'abcdef' %}CREATE USER u PASSWORD '{{ p }}'",
  "{% set p %}abcdef{% endset %}password = {{ p }}",
  "{% with a = 1, p = 'abcdef' %}password = lower({{ p }}){% endwith %}",
  "{% for t in ['abcdef'] %} token = {{ t }}{% endfor %}",
  "{%- for k, t in {'a': 'abcdef'}.items() -%} token = '{{ t }}' {%- endfor %}",
  "{% macro m(p='abcdef') %}password = {{ p }} {% endmacro %}{{ m() }}",
  "{% macro m(p) %}password = {{ p }} {% endmacro %}{{ m('abcdef') }}",
  "{% import 'shared.sql' as shared %}password = {{ shared.p }}",
  "{% from 'shared.sql' import p %}password = {{ p }}",
  "password = {{ p }} || 'abcdef'",
  "password = '{{ p }}' || 'abcdef'",
  "password = '{{ p }}' 'abcdef'",
  "password = '{{ p }}''abcdef'",
  "password = {{ p }}::text -- the rest\n  || 'abcdef'",
  "password = {{ p }} /* the rest */ + 'abcdef'",
  "password = n.password || 'abcdef'",
  "token = $1 || 'abcdef'",
  "token = params.token or 'abcdef'",
  "token = NULL || N'abcdef'",
  "token == 'abcdef'",
  "CREATE SECRET (TYPE s3, SESSION_TOKEN 'abcdef', SECRET_ACCESS_KEY 'abcdef')",
  "ALTER ROLE reader PASSWORD $$abcdef$$",
  "ALTER ROLE reader PASSWORD E'abcdef'",
  'CREATE USER reader IDENTIFIED BY "abcdef"',
  "CREATE USER reader IDENTIFIED BY abcdef",
  "CREATE USER reader IDENTIFIED WITH sha256_password BY 'abcdef'",
  "CREATE USER reader IDENTIFIED BY {% if prod %}'abcdef'{% endif %}",
];

for (const text of SECRET_TEXTS) {
  test(`a text with ${text} is not stored`, () => {
    const storage = new MemoryStorage();
    const drafts = new Drafts(storage, OWNER);
    drafts.keep("form", makeDraft({ sql: `-- a note\n${text}\nSELECT 1` }));
    assert.equal(storage.length, 0);
    assert.deepEqual(drafts.findUnstored(), ["form"], "the page asks before it is lost");
  });
}

test("a secret that is replaced is not stored as what was there before", () => {
  const draft = makeDraft({ sql: "SELECT 1" }, { base: { sql: "ATTACH 'postgresql://a:b@c/d'" } });
  assert.deepEqual(withoutSecrets(draft).base, {});
  assert.deepEqual(withoutSecrets(draft).texts, {});
});

test("a secret removes what was stored of its field before it was complete", () => {
  const storage = new MemoryStorage();
  const drafts = new Drafts(storage, OWNER);
  drafts.keep("form", makeDraft({ text: "pmpat_ab" }));
  drafts.keep("form", makeDraft({ text: "pmpat_abcdefghijkl" }));
  assert.equal(storage.length, 0);
});

/** Texts with names like those of credentials, and without one. */
const ORDINARY_TEXTS = [
  "SELECT email, 'a@b.c' AS token_count -- https://example.com/a:b",
  "SELECT count(*) AS tokens FROM secrets WHERE password_changed_on > {{ since }}",
  "SELECT * FROM calls WHERE token = {{ token }} AND api_key = {{ api_key }}",
  "SELECT key, value FROM settings WHERE private_key_id = 5",
  "{% if token == other %}SELECT 1{% endif %}",
  "FROM facts f JOIN dim_account a ON f.account_key = a.account_key",
  "FROM facts f JOIN dim_account a ON f.account_key=a.id AND f.token = a.value",
  'FROM s JOIN t ON s."token" = t."token" AND "s"."api_key" = "t"."api_key"',
  "UPDATE users u SET password = n.password, auth_key = a.auth_key FROM n",
  "SELECT token::text, account_key::int, v:token::text FROM calls",
  "WHERE token = $1 OR token = ? OR token = %s OR token = %(token)s OR token = :token OR token = @token",
  "WHERE api_key = :given AND password = :password AND lower(token) = lower($1)",
  "SET password = NULL, token = NULL, is_token = TRUE, secret = DEFAULT;",
  "SELECT CASE WHEN first_token=1 AND account_key = 1029384 THEN 1 END",
  "WHERE token = (SELECT max(token) FROM calls) AND api_key = coalesce(t.api_key, '')",
  "SELECT * FROM f(token => {{ token }}, other => 1)",
  "CREATE USER reader PASSWORD '{{ p }}'",
  "WHERE api_token = {% if x %}{{ a }}{% else %}{{ b }}{% endif %} AND b = '{{ b }}'",
  "WHERE token = {{ token }}::text",
  "https://x.example/?page_token={{ t }}&signature={{ s }}",
  "curl -H 'Authorization: Bearer {{ t }}' https://api.example",
  '{"token": {"type": "string"}, "api_key": "{{ k }}", "access_token": null}',
  "WHERE kind = 'token:' AND name = 'token=' || other AND key IN ('token', 'secret')",
  "WHERE token = {{ token }} {% if day %} AND day = 'Monday' {% endif %}",
  "WHERE token = {{ token }}{% if day %} AND day = 'Monday'{% endif %}",
  "WHERE token = {% if env == 'prod' %} {{ a }} {% elif x %} {{ b }} {% else %} {{ c }} {% endif %} AND x = 'y'",
  "SELECT token {% if x %}, 'x' AS kind{% endif %}, 5 FROM calls ORDER BY token {% if down %}DESC{% endif %}",
  "WHERE token = coalesce({{ token }}, token) AND a.token = lower(trim({{ t }})) AND kind = 'web'",
  "WHERE token = CAST({{ token }} AS VARCHAR(20)) AND b.api_key = substr(a.api_key, 1, 8)",
  'WHERE api_key = coalesce(t."api_key", "t"."account_key", \'\') AND kind = \'web\'',
  "WHERE token = (SELECT max(c.token) FROM calls c WHERE c.kind = 'web') AND kind = 'web'",
  "WHERE token = (SELECT max(token) FROM c WHERE (kind = 'a)') AND x IN (SELECT y FROM z -- :)\n)) AND kind = 'web'",
  "WHERE api_key = (SELECT {{ column }} FROM c)::text AND token = coalesce($1, $2, '') AND kind = 'web'",
  "WHERE {% for day in params.days %} day = {{ day }} OR {% endfor %} token = {{ params.token }}",
  "{% macro monday(day) %}{{ day }} = 'Monday'{% endmacro %}SELECT 1 WHERE token = {{ token }}",
  "SELECT CASE WHEN token = {{ token }} THEN 'yes' ELSE 'no' END, password = NULL AS \"is empty\"",
  "WHERE token = {{ token | default('') }} OR token = {{ params['token'] }} OR token = {{ row.get('token') }}",
  "{% if kind == 'token' or kind == 'web' %}SELECT 1{% endif %}",
  "SELECT {{ rows | map(attribute='api_token') | join(', ') }}, {{ token }}, '{{ password }}'",
  "{% if token %} AND token = {{ token }} {% endif %} AND kind = 'web'",
  "{% set day = 'Monday' %}SELECT 1 WHERE token = {{ token }} AND day = {{ day }}",
  "{% set token %}{{ t }}{% endset %}",
  "WHERE token = {{ t }} -- as it was given\n  AND kind = 'web'",
  "customers are identified by email 'or' identified with care",
  "Send `token = {{ t }}`. Then: \"password: {{ p }}\", 'api_key={{ k }}'.",
];

for (const sql of ORDINARY_TEXTS) {
  test(`a text with ${sql} is stored`, () => {
    const drafts = new Drafts(new MemoryStorage(), OWNER);
    drafts.keep("form", makeDraft({ sql }));
    assert.deepEqual(drafts.findUnstored(), []);
  });
}

test("a long text that is made of beginnings of credentials is judged", () => {
  const parts = [
    "eyJ-",
    "eyJaaaaaaaa.",
    "token=",
    "token ",
    "//a:",
    "?token",
    "token={{",
    "token={%a",
    "bearer ",
    "token = {{ t }} ",
    "token = {{ t }} -- ",
    "token = 1 --\n",
    "token = 1 /* ",
    "token=f(",
    "token=f($1) ",
    "token=f((a) ",
    "token=f({{ t }} ",
    "token=(select token ",
    "token=(select token from ",
    "token=(select token from a where (",
    "token=(select token from '",
    "token=(select token from /*",
    "token=(select token from --",
    "token=f($a",
    "{% for token ",
    "{% for t in token %}token={{ t }} ",
    "token={% if x %}",
    "token={% if x %}{{ t }}{% endif %}",
    "token {% if x %}",
    "token {{ t }}",
    "token = {{ t }}{% if x %}",
    "{% set token %}",
    "{% set t = token %}token={{ t }} ",
    "{{ token ",
    "{{ token '",
    "{{ t['token']['",
    "{{ '\\",
    "{%",
    "identified by ",
    "user u identified ",
    "a.token=a.token ",
    "token=a.a.a.a",
    'token={"type": ',
    "token\\",
    "token  ",
  ];
  for (const part of parts) {
    const sql = part.repeat(64_000 / part.length);
    const draft = withoutSecrets(makeDraft({ sql }, { base: { sql } }));
    assert.deepEqual(Object.keys(draft.texts), Object.keys(draft.base), part);
  }
});

test("a draft that no storage takes is in the page's memory, and would be lost", () => {
  for (const storage of [null, new MemoryStorage({ size: 10 })]) {
    const drafts = new Drafts(storage, OWNER);
    drafts.keep("form", makeDraft({ sql: "SELECT 1" }));
    assert.equal(drafts.find("form")?.texts.sql, "SELECT 1");
    assert.deepEqual(drafts.list(), ["form"]);
    assert.deepEqual(drafts.findUnstored(), ["form"]);
  }
});

test("a page keeps its own text when another tab types in the same thing", () => {
  const storage = new MemoryStorage();
  const [one, other] = [new Drafts(storage, OWNER), new Drafts(storage, OWNER)];
  one.keep("form", makeDraft({ sql: "one" }));
  other.keep("form", makeDraft({ sql: "other" }));
  assert.equal(one.find("form")?.texts.sql, "one");
  assert.deepEqual(one.findUnstored(), ["form"]);
  assert.deepEqual(other.findUnstored(), []);
});

test("a draft that another tab has removed is stored again before the page ends", () => {
  const storage = new MemoryStorage();
  const [one, other] = [new Drafts(storage, OWNER), new Drafts(storage, OWNER)];
  one.keep("form", makeDraft({ sql: "one" }));
  other.remove("form");
  assert.deepEqual(one.findUnstored(), []);
  assert.equal(other.find("form")?.texts.sql, "one");
});

test("signing out removes the drafts of the user in all workspaces, and no others", () => {
  const storage = new MemoryStorage();
  storage.setItem("something else", "1");
  const [sales, hr] = ["sales", "hr"].map((workspace) => new Drafts(storage, { ...OWNER, workspace }));
  const bob = new Drafts(storage, { ...OWNER, user: "bob" });
  for (const drafts of [sales, hr, bob]) drafts.keep("form", makeDraft({ sql: "a" }));
  assert.equal(sales.countAll(), 2); // with those of the other workspace, which are removed too
  sales.removeAll();
  assert.equal(sales.countAll(), 0);
  assert.deepEqual([sales.list(), new Drafts(storage, { ...OWNER, workspace: "hr" }).list()], [[], []]);
  assert.deepEqual(bob.list(), ["form"]);
  assert.equal(storage.length, 2);
});

test("a page whose user has signed out in another tab stores nothing more", () => {
  const storage = new MemoryStorage();
  const drafts = new Drafts(storage, OWNER);
  drafts.detach();
  drafts.keep("form", makeDraft({ sql: "a" }));
  assert.equal(storage.length, 0);
  assert.deepEqual(drafts.findUnstored(), ["form"]);
});

test("drafts that are old or damaged are removed", () => {
  const storage = new MemoryStorage();
  const drafts = new Drafts(storage, OWNER);
  const now = 100 * DAY_MILLISECONDS;
  drafts.keep("old", makeDraft({ sql: "a" }, { keptOn: now - 31 * DAY_MILLISECONDS }));
  drafts.keep("young", makeDraft({ sql: "a" }, { keptOn: now - 29 * DAY_MILLISECONDS }));
  const key = storage.key(1).replace("young", "damaged");
  for (const text of ["{", "null", "7", '{"texts": {"a": 1}, "base": {}, "secrets": [], "kept_on": 1}']) {
    storage.setItem(key, text);
    const next = new Drafts(storage, OWNER);
    assert.equal(next.find("damaged"), null, text);
    next.removeOld(now);
    assert.deepEqual(next.list(), ["young"], text);
  }
});

test("drafts are listed by the beginning of their things", () => {
  const drafts = new Drafts(new MemoryStorage(), OWNER);
  for (const thing of ["report/a/block/sql/1", "report/a/yaml", "report/ab/yaml"])
    drafts.keep(thing, makeDraft({ x: "y" }));
  assert.deepEqual(drafts.list("report/a/"), ["report/a/block/sql/1", "report/a/yaml"]);
});

test("a field that is missing differs from an empty one", () => {
  assert.deepEqual(findChanged({ a: "1", b: "" }, { a: "2" }), ["a", "b"]);
});

test("what was typed in a draft is told from what stood beside it, by fields", () => {
  const base = { top: "5", word: "x", "sizes=S": "true", "sizes=M": "false", "days=1": "true" };
  const texts = { ...base, top: "7", "sizes=M": "true" };
  assert.deepEqual(pickTyped(makeDraft(texts, { base })), {
    top: "7",
    "sizes=S": "true",
    "sizes=M": "true",
  });
  assert.deepEqual(pickTyped(makeDraft(base, { base })), {});
  assert.deepEqual(pickTyped(makeDraft({ new: "1" })), { new: "1" });
});
