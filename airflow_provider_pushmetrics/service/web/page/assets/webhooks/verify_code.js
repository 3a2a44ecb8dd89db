// Code that verifies the signature of a webhook, for receivers; a test runs each of these against real deliveries.

/** The headers of the signature, by the Standard Webhooks scheme. */
export const SIGNATURE_HEADERS = ["webhook-id", "webhook-timestamp", "webhook-signature"];

/**
 * Read a sample whose lines are marked: the modules are joined line by line, and a line of a sample such as an import or
 * a comment is none of its module.
 *
 * @param {string} text
 */
const readSample = (text) => text.replace(/^\|/gm, "");

const PYTHON =
  readSample(`# A receiver that accepts genuine events only: WEBHOOK_SECRET=whsec_… PORT=8000 python3 receiver.py
|import base64, hashlib, hmac, os, time
|from http.server import BaseHTTPRequestHandler, HTTPServer
|
|KEY = base64.b64decode(os.environ["WEBHOOK_SECRET"].removeprefix("whsec_"))
|
|def is_genuine(headers, body):
|    timestamp = headers.get("webhook-timestamp", "")
|    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 13):
|        return False
|    if abs(time.time() - int(timestamp)) > 300:  # seconds: an old request may be a replayed one
|        return False
|    signed = f"{headers.get('webhook-id', '')}.{timestamp}.".encode() + body
|    digest = hmac.new(KEY, signed, hashlib.sha256).digest()
|    expected = b"v1," + base64.b64encode(digest)
|    # For a day after a rotation there is one signature for each secret.
|    signatures = headers.get("webhook-signature", "").encode().split()
|    return any(hmac.compare_digest(expected, one) for one in signatures)
|
|class Receiver(BaseHTTPRequestHandler):
|    def do_POST(self):
|        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
|        # Events may come twice: their webhook-id is the same then.
|        self.send_response(204 if is_genuine(self.headers, body) else 401)
|        self.end_headers()
|
|HTTPServer(("127.0.0.1", int(os.environ.get("PORT", "8000"))), Receiver).serve_forever()
`);

const NODE =
  readSample(`// A receiver that accepts genuine events only: WEBHOOK_SECRET=whsec_… PORT=8000 node receiver.mjs
|import { createHmac, timingSafeEqual } from "node:crypto";
|import { createServer } from "node:http";
|
|const key = Buffer.from(process.env.WEBHOOK_SECRET.replace(/^whsec_/, ""), "base64");
|
|function isGenuine(headers, body) {
|  const timestamp = headers["webhook-timestamp"] ?? "";
|  if (!/^[0-9]{1,12}$/.test(timestamp)) return false;
|  if (Math.abs(Date.now() / 1000 - Number(timestamp)) > 300) return false; // seconds: it may be a replayed one
|  const digest = createHmac("sha256", key)
|    .update((headers["webhook-id"] ?? "") + "." + timestamp + ".")
|    .update(body)
|    .digest("base64");
|  const expected = Buffer.from("v1," + digest);
|  // For a day after a rotation there is one signature for each secret.
|  return (headers["webhook-signature"] ?? "")
|    .split(" ")
|    .map((one) => Buffer.from(one))
|    .some((one) => one.length === expected.length && timingSafeEqual(one, expected));
|}
|
|createServer(async (request, response) => {
|  const chunks = [];
|  for await (const chunk of request) chunks.push(chunk);
|  // Events may come twice: their webhook-id is the same then.
|  response.statusCode = isGenuine(request.headers, Buffer.concat(chunks)) ? 204 : 401;
|  response.end();
|}).listen(Number(process.env.PORT ?? 8000), "127.0.0.1");
`);

const OPENSSL = `#!/bin/sh
# Verify one event. Its body is in a file, byte by byte as it came: sh verify.sh body.json
# WEBHOOK_SECRET is the secret, and the others are the headers of the request.
id="$WEBHOOK_ID"               # webhook-id
timestamp="$WEBHOOK_TIMESTAMP" # webhook-timestamp
signatures="$WEBHOOK_SIGNATURE" # webhook-signature: after a rotation, one for each secret

case "$timestamp" in '' | *[!0-9]*) echo "no timestamp" >&2; exit 1 ;; esac
age=$(($(date +%s) - timestamp))
if [ "$age" -gt 300 ] || [ "$age" -lt -300 ]; then
  echo "too old: an old request may be a replayed one" >&2
  exit 1
fi
key=$(printf %s "\${WEBHOOK_SECRET#whsec_}" | openssl base64 -d -A | od -An -v -tx1 | tr -d ' \\n')
expected="v1,$({ printf '%s.%s.' "$id" "$timestamp"; cat "$1"; } |
  openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -binary | openssl base64 -A)"
case " $signatures " in
  *" $expected "*) echo "genuine" ;;
  *) echo "not genuine" >&2; exit 1 ;;
esac
`;

/** @param {string} text */
const quote = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/**
 * Write the command that signs an event and sends it to the endpoint, as the service does.
 *
 * @param {Pick<Api.Subscription, "url" | "headers">} subscription
 */
function writeCurl({ url, headers }) {
  const own = Object.keys(headers).map((name) => {
    const variable = name.toUpperCase().replace(/[^A-Z0-9]/g, "_");
    return ` \\\n  -H ${quote(`${name}: `)}"$${/^[0-9]/.test(variable) ? "_" : ""}${variable}"`;
  });
  return `#!/bin/sh
# Send a signed event to the endpoint, as this service does: WEBHOOK_SECRET=whsec_… sh send.sh
body='{"event":"webhook.test"}'
timestamp=$(date +%s)
id="msg_$timestamp"
key=$(printf %s "\${WEBHOOK_SECRET#whsec_}" | openssl base64 -d -A | od -An -v -tx1 | tr -d ' \\n')
signature="v1,$(printf '%s.%s.%s' "$id" "$timestamp" "$body" |
  openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -binary | openssl base64 -A)"
curl -sS -i ${quote(url)}${own.join("")} \\
  -H 'Content-Type: application/json' \\
  -H "webhook-id: $id" \\
  -H "webhook-timestamp: $timestamp" \\
  -H "webhook-signature: $signature" \\
  --data-binary "$body"
`;
}

/**
 * List the samples for an endpoint: their names and their code.
 *
 * @param {Pick<Api.Subscription, "url" | "headers">} subscription
 * @returns {[name: string, code: string][]}
 */
export const listSamples = (subscription) => [
  ["Python", PYTHON],
  ["Node.js", NODE],
  ["openssl", OPENSSL],
  ["curl", writeCurl(subscription)],
];
