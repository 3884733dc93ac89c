import t from "tap";
import { clientAddress } from "../../src/message/forwarded.ts";
import { redactTarget } from "../../src/message/redact.ts";
import { readTarget } from "../../src/message/target.ts";
import { factsOf, handshakeFields, head, head2, headWith, ip, site, verdict } from "../message/head.ts";

function refusedOrReads(target: string): string {
  const result = readTarget(target);
  return result.ok ? result.value.paths.join(" ") : `${result.error.status} ${result.error.code}`;
}

t.test("no spelling hides the database manager, log-in or RPC from the rule that guards it", async (t) => {
  const routes = [
    "/web/database/manager",
    "/web/login",
    "/web/session/authenticate",
    "/xmlrpc/2/common",
    "/xmlrpc/db",
    "/jsonrpc",
  ];
  /** Odoo runs the handler for all of these; each must be refused or give the guarded path. */
  const spellings: readonly ((path: string) => string)[] = [
    (path) => path,
    (path) => `${path}/`,
    (path) => `${path}//`,
    (path) => `${path}?`,
    (path) => `${path}?a=b`,
    (path) => `${path} `,
    (path) => `/${path}`,
    (path) => `//${path}`,
    (path) => path.slice(1),
    (path) => `/${path.slice(1).replaceAll("/", "//")}`,
    (path) => `/${path.slice(1).replaceAll("/", "%2f")}`,
    (path) => `/%2f${path.slice(1)}`,
    (path) => `/%${path.charCodeAt(1).toString(16)}${path.slice(2)}`,
    (path) => [...path].map((char) => `%${char.charCodeAt(0).toString(16)}`).join(""),
    (path) =>
      `/${[...path.slice(1)].map((char) => (char === "/" ? "/" : `%${char.charCodeAt(0).toString(16)}`)).join("")}`,
    (path) => `/fr${path}`,
    (path) => `/en${path}`,
    (path) => `/pt_BR${path}`,
    (path) => `/zh_CN${path}`,
    (path) => `/sr@latin${path}`,
    (path) => `/fr_FR${path}`,
    (path) => `//fr${path}`,
    (path) => `/fr/${path}`,
    (path) => `/%66r${path}`,
    (path) => `/FR${path}`,
    (path) => `http://any.host${path}`,
    (path) => `https://any.host${path}`,
    (path) => `HTTP://any.host${path}`,
    (path) => `http:${path}`,
    (path) => `x:${path}`,
    (path) => `${path}#frag`,
    (path) => `/.${path}`,
    (path) => `/web/.${path}`,
    (path) => `/x/..${path}`,
    (path) => `/x/%2e%2e${path}`,
    (path) => `/x/..%2f${path.slice(1)}`,
    (path) => `/x/..;${path}`,
    (path) => `/web/static/..${path}`,
    (path) => `/fr/.${path}`,
    (path) => `\\${path.slice(1)}`,
    (path) => `/\\${path}`,
    (path) => path.replaceAll("/", "\\"),
    (path) => `${path}\t`,
    (path) => `\n${path}`,
  ];
  for (const route of routes) {
    for (const spell of spellings) {
      const target = spell(route);
      const answer = refusedOrReads(target);
      t.ok(
        answer.startsWith("400 ") || answer.split(" ").includes(route),
        `${JSON.stringify(target)} → ${answer}`,
      );
    }
  }
});

t.test("a target with two readings is refused, and says which", async (t) => {
  const table: readonly (readonly [string, string])[] = [
    ["", "target-empty"],
    ["*", "target-form"],
    ["web/login", "target-form"],
    ["http://erp.example.com/", "target-form"],
    ["erp.example.com:443", "target-form"],
    ["//web/login", "target-double-slash"],
    ["///web/login", "target-double-slash"],
    ["/web/login#x", "target-fragment"],
    ["/web\\login", "target-backslash"],
    ["/web/login x", "target-character"],
    ["/web/login\u00e9", "target-character"],
    ["/web/\0", "target-character"],
    ["/web/%", "target-escape-broken"],
    ["/web/%2", "target-escape-broken"],
    ["/web/%zz", "target-escape-broken"],
    ["/web/%u0061", "target-escape-broken"],
    ["/%2fweb", "target-encoded-separator"],
    ["/web%2Flogin", "target-encoded-separator"],
    ["/web%5clogin", "target-encoded-separator"],
    ["/%2577eb", "target-escape-nested"],
    ["/%25%37%37eb", "target-escape-nested"],
    ["/%252e%252e/x", "target-escape-nested"],
    ["/%c0%af", "target-utf8"],
    ["/%c0%ae%c0%ae/x", "target-utf8"],
    ["/%ff", "target-utf8"],
    ["/%ed%a0%80", "target-utf8"],
    ["/web%00", "target-control"],
    ["/web%0a", "target-control"],
    ["/web%0d%0aX:y", "target-control"],
    ["/web%7f", "target-control"],
    ["/web/..", "target-dot-segment"],
    ["/./web", "target-dot-segment"],
    ["/web/%2e%2E/x", "target-dot-segment"],
    ["/web/.%2e", "target-dot-segment"],
    ["/web/..;a=b/x", "target-dot-segment"],
    ["/web/..%3b/x", "target-dot-segment"],
    ["/web/.;", "target-dot-segment"],
    ["/web/login%20", "target-space"],
    ["/web/%20login", "target-space"],
    ["/web%20/login", "target-space"],
    ["/base_import/static/c:/windows/win.ini", "target-drive"],
    ["/base_import/static/%63%3a/windows/win.ini", "target-drive"],
    ["/base_import/static/c:win.ini", "target-drive"],
    ["/fr/base_import/static/C:/windows/win.ini", "target-drive"],
    ["/c:/x", "target-drive"],
  ];
  for (const [target, code] of table) t.equal(refusedOrReads(target), `400 ${code}`, JSON.stringify(target));
});

t.test("a request with two lengths cannot smuggle a second one", async (t) => {
  const post = (...fields: string[]): string => verdict(headWith(fields, { method: "POST" }));
  t.equal(post("Content-Length", "5", "Transfer-Encoding", "chunked"), "400 length-and-coding");
  t.equal(post("Transfer-Encoding", "chunked", "content-length", "0"), "400 length-and-coding");
  t.equal(post("Content-Length", "5", "Content-Length", "5"), "400 length-repeated");
  t.equal(post("Content-Length", "5", "CONTENT-LENGTH", "6"), "400 length-repeated");
  for (const value of [
    "1, 1",
    "5,5",
    "",
    "+5",
    "-0",
    "0x5",
    "5e0",
    "5.0",
    "05",
    "0 5",
    "５",
    "9007199254740992",
    "1".repeat(40),
  ])
    t.ok(
      /^400 (length-malformed|field-value-malformed)$/.test(post("Content-Length", value)),
      `length ${value}`,
    );
  t.equal(post("Transfer-Encoding", "chunked", "Transfer-Encoding", "chunked"), "400 coding-malformed");
  t.equal(post("Transfer-Encoding", "chunked, chunked"), "400 coding-malformed");
  t.equal(post("Transfer-Encoding", "chunked, identity"), "400 coding-malformed");
  t.equal(post("Transfer-Encoding", "chunked,"), "400 coding-malformed");
  t.equal(post("Transfer-Encoding", ", chunked"), "400 coding-malformed");
  t.equal(post("Transfer-Encoding", ""), "400 coding-malformed");
  t.equal(post("Transfer-Encoding", "chun ked"), "400 coding-malformed");
  t.equal(post("Transfer-Encoding", '"chunked"'), "400 coding-malformed");
  t.equal(post("Transfer-Encoding", "\x0bchunked"), "400 field-value-malformed");
  t.equal(post("Transfer-Encoding", "xchunked"), "501 coding-unknown");
  t.equal(post("Transfer-Encoding", "gzip", "Transfer-Encoding", "chunked"), "501 coding-unknown");
  t.equal(
    verdict(headWith(["Transfer-Encoding", "chunked"], { protocol: "HTTP/1.0", method: "POST" })),
    "400 coding-version",
  );
  t.equal(verdict(head2({ fields: ["transfer-encoding", "chunked"], method: "POST" })), "400 coding-version");
});

t.test("an underscore twin cannot override a field Odoo believes", async (t) => {
  for (const name of [
    "Content_Length",
    "content_length",
    "Content_Type",
    "Transfer_Encoding",
    "X_Forwarded_For",
    "X-Forwarded_For",
    "x_forwarded_host",
    "X_Forwarded_Proto",
    "X_Real_IP",
    "X_Odoo_Database",
    "X_Odoo_dbfilter",
    "X_Openerp_Session_Id",
    "X_Original_URL",
    "X_Rewrite_URL",
    "HTTP2_Settings",
    "Sec_WebSocket_Key",
  ])
    t.equal(verdict(headWith([name, "1"])), "400 field-underscore-twin", name);
});

t.test("a line break in a field cannot write another field", async (t) => {
  for (const value of [
    "a\r\nX-Forwarded-For: 1.2.3.4",
    "a\rX-Forwarded-For: 1.2.3.4",
    "a\nb",
    "a\r\n b",
    "a\0b",
    "\u010aX: y",
  ])
    t.equal(verdict(headWith(["X-A", value])), "400 field-value-malformed", JSON.stringify(value));
  for (const name of ["X-A ", " X-A", "X-A:", "", "X A", "X-A\r\nY", "X\0", "Ж"])
    t.equal(verdict(headWith([name, "v"])), "400 field-name-malformed", JSON.stringify(name));
  t.equal(verdict(headWith(["X-A"])), "400 field-value-malformed", "a name without a value");
});

t.test("a Connection option cannot strip what Odoo relies on", async (t) => {
  for (const option of [
    "host",
    "Content-Length",
    "cookie",
    "Authorization",
    "X-Forwarded-For",
    "x-forwarded-host",
    "X-Forwarded-Proto",
    "X_Forwarded_For",
    "X-Real-IP",
    "X-Odoo-Database",
    "Transfer-Encoding",
    "Origin",
    "Sec-WebSocket-Key",
  ])
    t.equal(verdict(headWith(["Connection", `close, ${option}`])), "400 connection-nominates", option);
  t.equal(verdict(headWith(["Connection", "close", "connection", "cookie"])), "400 connection-nominates");
});

t.test("two values cannot mean one thing to us and another to Odoo", async (t) => {
  for (const [name, value] of [
    ["Content-Type", "application/json"],
    ["Authorization", "Bearer a"],
    ["Origin", "https://erp.example.com"],
    ["X-Odoo-Database", "prod"],
  ]) {
    const line = [name ?? "", value ?? ""];
    t.equal(verdict(headWith([...line, ...line])), "400 field-repeated", `two ${name}`);
  }
  for (const type of [
    "application/json, text/xml",
    "application/json text/xml",
    "application/json\u0085",
    "application/json\u00a0",
  ])
    t.equal(verdict(headWith(["Content-Type", type])), "400 content-type-ambiguous", JSON.stringify(type));
  t.equal(verdict(headWith(["Content-Type", 'multipart/form-data; boundary="a, b"'])), "ok");
});

t.test("a foreign or doubled host cannot poison links in mails", async (t) => {
  t.equal(verdict(head({ fields: ["Host", "erp.example.com", "host", "evil.test"] })), "400 host-repeated");
  t.equal(verdict(head({ fields: ["Host", "evil.test"] })), "421 host-unknown");
  for (const host of [
    "erp.example.com@evil.test",
    "erp.example.com:443@evil.test",
    "erp.example.com/evil.test",
    "erp.example.com evil.test",
    "erp.example.com#evil",
    "erp.example.com:443:80",
    "erp.example.com\u00a0",
  ])
    t.equal(verdict(head({ fields: ["Host", host] })), "400 host-malformed", host);
  t.equal(verdict(head({ fields: ["Host", "erp.example.com.evil.test"] })), "421 host-unknown");
  t.equal(verdict(head({ fields: ["Host", "erp.example.com:25"] })), "421 host-unknown");
  const facts = factsOf(headWith(["X-Forwarded-Host", "evil.test"]));
  t.equal(facts.host, "erp.example.com");
  t.equal(facts.authority, "erp.example.com");
});

t.test("an upgrade on an ordinary route cannot become a blind tunnel", async (t) => {
  t.equal(
    verdict(headWith(["Connection", "Upgrade, HTTP2-Settings", "Upgrade", "h2c", "HTTP2-Settings", "AAMA"])),
    "400 http2-settings",
  );
  t.equal(verdict(headWith(["Connection", "Upgrade", "Upgrade", "h2c"])), "400 upgrade-unknown");
  t.equal(verdict(headWith(["Upgrade", "websocket"])), "400 upgrade-unknown");
  t.equal(verdict(headWith(["Connection", "upgrade"])), "400 upgrade-unknown");
  t.equal(
    verdict(headWith(["Connection", "upgrade", "Upgrade", "tls/1.0, websocket"])),
    "400 upgrade-unknown",
  );
  // The handshake that Odoo refuses leaves a proxy with an open tunnel to it (h2c and websocket smuggling).
  const wrong = handshakeFields.with(7, "777");
  t.equal(verdict(headWith(wrong)), "426 upgrade-websocket-version");
});

t.test("a spoofed chain cannot choose its own address", async (t) => {
  const seen = (peer: string, ...fields: string[]): string =>
    clientAddress(ip(peer), fields, site.trustedProxies).client.text;
  t.equal(seen("203.0.113.9", "X-Forwarded-For", "127.0.0.1"), "203.0.113.9");
  t.equal(seen("10.0.0.1", "X-Forwarded-For", "127.0.0.1, 203.0.113.9"), "203.0.113.9");
  t.equal(seen("10.0.0.1", "X-Forwarded-For", "127.0.0.1", "X-Forwarded-For", "203.0.113.9"), "203.0.113.9");
  t.equal(seen("10.0.0.1", "X-Forwarded-For", "10.9.9.9, 203.0.113.9, 10.0.0.2"), "203.0.113.9");
  for (const field of ["Forwarded", "X-Real-IP", "True-Client-IP", "CF-Connecting-IP", "X-Client-IP"])
    t.equal(seen("10.0.0.1", field, "127.0.0.1", "X-Forwarded-For", "203.0.113.9"), "203.0.113.9", field);
  for (const junk of [
    "127.1",
    "0x7f.0.0.1",
    "2130706433",
    "0177.0.0.1",
    "::1%lo",
    "[::1",
    "127.0.0.1:x",
    "127.0.0.1:999999",
    "127.0.0.1 ,x",
  ])
    t.equal(seen("10.0.0.1", "X-Forwarded-For", junk), "10.0.0.1", junk);
});

t.test("long runs of spaces, commas or slashes cannot hold the process", async (t) => {
  const started = process.hrtime.bigint();
  const spaces = `a${" ".repeat(16_000)}b`;
  verdict(headWith(["X-A", spaces, "Connection", spaces]));
  verdict(headWith(["Content-Type", spaces]));
  verdict(head({ fields: ["Host", "a-".repeat(8_000)] }));
  verdict(headWith(["X-Forwarded-For", "10.0.0.1,".repeat(1_700)], { peer: ip("10.0.0.1") }));
  verdict(headWith(["Cookie", ";=".repeat(8_000)]));
  for (const part of ["/", "/.", "..;", "/a:", "%25", "%c3", "/ ", ";"]) {
    refusedOrReads(`/${part.repeat(2_000)}`);
    redactTarget(`/x?a=${part.repeat(2_000)}`);
  }
  for (const part of ["token", "&a=token", "db", "?code", "%74oken", "passw="])
    redactTarget(`/x?a=${part.repeat(1_600)}`);
  const path = [
    `/${"a".repeat(22)}`,
    "/documents/aaaaaaaaaaaaaaaaaaaaaaaa",
    "/chat",
    "/",
    "aaaaaaaa-aaaa-",
    "/fr-a",
    "/abc",
  ];
  for (const part of path) {
    redactTarget(part.repeat(1_600));
    redactTarget(`/x?a=${part.repeat(1_600)}`);
  }
  const tookMs = Number(process.hrtime.bigint() - started) / 1e6;
  // Quadratic handling takes seconds here; linear a few milliseconds. The bound leaves room for a busy machine.
  t.ok(tookMs < 1_000, `${tookMs.toFixed(1)} ms`);
});
