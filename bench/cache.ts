import { randomBytes } from "node:crypto";
import { brotliCompressSync, constants } from "node:zlib";
import type { CanonicalPath, HostName } from "../src/base/brands.ts";
import { parseIp } from "../src/base/ip.ts";
import { Content } from "../src/cache/content.ts";
import { represent } from "../src/cache/represent.ts";
import { judge, keyOf } from "../src/cache/rules.ts";
import type { Entry } from "../src/cache/store.ts";
import { Store } from "../src/cache/store.ts";
import { Turns } from "../src/cache/turns.ts";
import type { RequestFacts } from "../src/message/facts.ts";
import { encodeWhole, fileEncoder, mayEncode } from "../src/reply/encode.ts";

/**
 * What the cache and the compressors cost, function by function: `node build/bench/cache.js`. Prints processor time of this
 * process for each call, the median of five rounds; on a busy machine only the relations between the lines mean something.
 */

const path = "/web/assets/0c5bb5f/web.assets_web.min.js" as CanonicalPath;
const client = parseIp("203.0.113.9");
if (client === null) throw new Error("no address");
const fields = [
  ["Host", "erp.example.com"],
  ["User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/131.0.0.0 Safari/537.36"],
  ["Accept", "*/*"],
  ["Accept-Encoding", "gzip, deflate, br, zstd"],
  ["Accept-Language", "en-GB,en;q=0.9"],
  ["Referer", "https://erp.example.com/odoo"],
  ["Cookie", `session_id=${"x".repeat(84)}; frontend_lang=en_US`],
  ["Sec-Fetch-Site", "same-origin"],
].flat();
const facts: RequestFacts = {
  protocol: "HTTP/2",
  untrustedForwarding: null,
  method: "GET",
  target: path,
  path,
  paths: [path],
  pathsLower: [path],
  query: "",
  host: "erp.example.com" as HostName,
  authority: "erp.example.com",
  peer: client,
  client,
  secure: true,
  contentType: "",
  sessionId: "x".repeat(84),
  upgrade: null,
  fields,
};
const known: RequestFacts = { ...facts, fields: [...fields, "If-None-Match", 'W/"abc-br"'] };
const odooFields = [
  ["Content-Type", "application/javascript; charset=utf-8"],
  ["Content-Disposition", "inline"],
  ["Last-Modified", "Fri, 20 Nov 2026 08:00:00 GMT"],
  ["ETag", '"abc"'],
  ["Cache-Control", "public, max-age=31536000, immutable"],
  ["Expires", "Sun, 21 Nov 2027 08:00:00 GMT"],
].flat();

/** Text that shrinks about as calls of the web client do. */
function text(bytes: number): Buffer {
  let made = "";
  while (made.length < bytes)
    made += `{"id": ${made.length}, "display_name": "${randomBytes(6).toString("hex")}", "active": true}, `;
  return Buffer.from(made.slice(0, bytes));
}

const body = text(1_000_000);
const content = new Content(body.length, true, fileEncoder, new Turns(1));
content.identity.push(body);
content.identity.end();
content.replace("br", brotliCompressSync(body, { params: { [constants.BROTLI_PARAM_QUALITY]: 5 } }));
const entry: Entry = {
  key: "k",
  fields: odooFields,
  content,
  hash: "h",
  etag: { opaque: "abc", weak: false },
  lastModified: "Fri, 20 Nov 2026 08:00:00 GMT",
  bornMs: 0,
  freshUntilMs: Number.POSITIVE_INFINITY,
  askAgainMs: 0,
};
const store = new Store(2 ** 28);
for (let i = 0; i < 1_000; i += 1) store.put({ ...entry, key: `k${i}` });
const key = keyOf(facts, false) ?? "";
store.put({ ...entry, key });
const head = {
  status: 200,
  fields: odooFields,
  framing: { kind: "length", bytes: body.length } as const,
  reusable: false,
};
const answer = { status: 200, fields: ["Content-Type", "application/json"], bytes: 2_000 };

const small = text(4_096);
const large = text(16_384);
const calls: readonly (readonly [string, () => unknown, number])[] = [
  ["keyOf", () => keyOf(facts, false), 0],
  ["store.use, 1 001 entries", () => store.use(key), 0],
  ["represent, 200 in brotli", () => represent(entry, facts, 1_000, true), 0],
  ["represent, 304", () => represent(entry, known, 1_000, true), 0],
  ["judge", () => judge(facts, head, 60_000), 0],
  ["mayEncode", () => mayEncode(facts, answer, false), 0],
  ["zstd, 4 KiB", () => encodeWhole("zstd", small), 4],
  ["zstd, 16 KiB", () => encodeWhole("zstd", large), 16],
  ["brotli, 4 KiB", () => encodeWhole("br", small), 4],
  ["brotli, 16 KiB", () => encodeWhole("br", large), 16],
  ["gzip, 4 KiB", () => encodeWhole("gzip", small), 4],
  ["gzip, 16 KiB", () => encodeWhole("gzip", large), 16],
];

function microseconds(call: () => unknown): number {
  const rounds = Array.from({ length: 5 }, () => {
    let count = 0;
    const before = process.cpuUsage();
    const endMs = performance.now() + 100;
    do {
      for (let i = 0; i < 20; i += 1) call();
      count += 20;
    } while (performance.now() < endMs);
    const { user, system } = process.cpuUsage(before);
    return (user + system) / count;
  }).sort((a, b) => a - b);
  return rounds[2] ?? 0;
}

for (const [name, call, kibibytes] of calls) {
  const us = microseconds(call);
  const each = kibibytes === 0 ? "" : `  ${(us / kibibytes).toFixed(1)} µs a KiB`;
  process.stdout.write(`${name.padEnd(28)} ${us.toFixed(2).padStart(9)} µs${each}\n`);
}
