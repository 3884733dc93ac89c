import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseIp } from "../../src/base/ip.ts";
import { emptyIpSet } from "../../src/base/ip-set.ts";
import { packageRoot } from "../../src/base/package-root.ts";
import { problemLine } from "../../src/base/problem.ts";
import type { RequestFacts } from "../../src/message/facts.ts";
import { type IncomingHead, screen } from "../../src/message/screen.ts";
import type { Site } from "../../src/message/site.ts";
import type { Policy } from "../../src/policy/compile.ts";
import { loadPolicy } from "../../src/policy/load.ts";
import { loadSettings } from "../../src/settings/load.ts";

/** Requests as Chrome sends them to Odoo 19: the page, a call of the web client, a bundle, an image, a program's call. */

const host = "erp.example.com";
const peer = parseIp("203.0.113.9");
if (peer === null) throw new Error("no address");

const browser = [
  ["Host", host],
  ["Connection", "keep-alive"],
  ["sec-ch-ua-platform", '"Linux"'],
  [
    "User-Agent",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
  ],
  ["sec-ch-ua", '"Chromium";v="140", "Not=A?Brand";v="24"'],
  ["sec-ch-ua-mobile", "?0"],
  ["Accept", "*/*"],
  ["Origin", `https://${host}`],
  ["Sec-Fetch-Site", "same-origin"],
  ["Sec-Fetch-Mode", "cors"],
  ["Sec-Fetch-Dest", "empty"],
  ["Referer", `https://${host}/odoo/contacts`],
  ["Accept-Encoding", "gzip, deflate, br, zstd"],
  ["Accept-Language", "en-US,en;q=0.9"],
  ["Cookie", `frontend_lang=en_US; cids=1; tz=Europe/Brussels; session_id=${"b".repeat(84)}`],
].flat();
const call = [...browser, "Content-Type", "application/json", "Content-Length", "200"];
const program = ["Host", host, "Content-Type", "text/xml", "Content-Length", "300", "User-Agent", "python"];

function head(method: string, target: string, fields: readonly string[]): IncomingHead {
  if (peer === null) throw new Error("no address");
  return {
    protocol: "HTTP/1.1",
    method,
    target,
    fields,
    authority: null,
    scheme: null,
    peer,
    secure: true,
    localPort: 443,
  };
}

export const heads: readonly IncomingHead[] = [
  head("GET", "/odoo/contacts/12?debug=0", browser),
  head("POST", "/web/dataset/call_kw/res.partner/web_search_read", call),
  head("GET", "/web/assets/1/a1b2c3d/web.assets_web.min.js", browser),
  head("GET", "/web/image/res.partner/7/avatar_128?unique=1726000000", browser),
  head("POST", "/xmlrpc/2/object", program),
];

const loaded = loadSettings({
  env: { DOMAIN: host, ODOO_URL: "http://127.0.0.1:8069" },
  cwd: "/nonexistent",
  readFile: () => ({ ok: false, error: { missing: true, detail: "there is no such file" } }),
});
if (!loaded.ok) throw new Error(loaded.error.map(problemLine).join("\n"));
export const { settings } = loaded.value;

export const site: Site = {
  methods: new Set(settings.methods),
  servedNames: new Map(settings.domains.map((one) => [one.host, one])),
  publicPort: 443,
  trustedProxies: emptyIpSet,
  sessionCookie: "session_id",
};

export const policy: Policy = shippedPolicy();

function shippedPolicy(): Policy {
  const read = loadPolicy({
    directory: join(packageRoot().directory, "policies"),
    readDirectory: (path) => readdirSync(path),
    readFile: (path) => readFileSync(path, "utf8"),
    settings,
  });
  if (!read.ok) throw new Error(read.error.map(problemLine).join("\n"));
  return read.value;
}

export const facts: readonly RequestFacts[] = heads.map((one) => {
  const read = screen(one, site);
  if (!read.ok) throw new Error(`${one.target} is refused: ${read.error.code}`);
  return read.value;
});

/** More targets than are remembered anywhere, so that each is a new one whenever its turn comes. */
export const strangeTargets: readonly string[] = Array.from({ length: 20_000 }, (_, i) =>
  i % 2 === 0 ? `/odoo/contacts/${i}?debug=0` : `/web/image/res.partner/${i}/avatar_128?unique=${i}`,
);

export const strangeFacts: readonly RequestFacts[] = strangeTargets.map((target) => {
  const read = screen(head("GET", target, browser), site);
  if (!read.ok) throw new Error(`${target} is refused: ${read.error.code}`);
  return read.value;
});
