import t from "tap";
import type { CanonicalPath, HostName } from "../../src/base/brands.ts";
import { type LoginReading, readLogin } from "../../src/guard/login-outcome.ts";
import { KnownSessions } from "../../src/guard/sessions.ts";
import { XmlCheck, type XmlRefusal, xmlPrologBytesMax, xmlRefusalText } from "../../src/guard/xml.ts";

const host = "erp.example.com" as HostName;
const cookieOf = (id: string) =>
  `session_id=${id}; Expires=Sun, 21 Nov 2027 00:00:00 GMT; Max-Age=604800; HttpOnly; Path=/`;
const idOf = (stem: string, tail: string) => stem.repeat(42).slice(0, 42) + tail.repeat(42).slice(0, 42);
const anna = idOf("a", "1");

function factsOf(line: string, sessionId: string | null = null) {
  const [method = "GET", target = "/"] = line.split(" ");
  const [path = "/", query = ""] = target.split("?");
  const paths = [
    path,
    ...(path.startsWith("/fr/") ? [path.slice(3)] : []),
  ] as unknown as readonly CanonicalPath[];
  return { method, paths, host, sessionId, query, fields: ["Authorization", "Bearer x"] };
}

t.test("the answer tells whether a password was right", (t) => {
  const session = ["Set-Cookie", cookieOf(anna)];
  const to = (location: string, ...more: string[]) => ["Location", location, ...more];
  const in_ = { outcome: "success", loggedIn: true };
  const half = { outcome: "pending", loggedIn: false };
  const right = { outcome: "success", loggedIn: false };
  const no = { outcome: "failure", loggedIn: false };
  const unknown = { outcome: "unknown", loggedIn: false };
  const json = (value: unknown) => JSON.stringify(value);
  const cases: [string, number, string[], string, LoginReading | object][] = [
    ["POST /web/login", 303, to("/odoo", ...session), "", in_],
    ["POST /web/login", 303, to("/web", ...session), "", in_],
    ["POST /fr/web/login", 303, to("/fr/my", ...session), "", in_],
    ["POST /web/login", 303, to("https://erp.example.com/odoo?a=b", ...session), "", in_],
    ["POST /web/login", 303, to("http://ERP.example.com:8443/odoo", ...session), "", in_],
    ["POST /web/login", 303, to("/web/loginfo", ...session), "", in_],
    ["POST /web/login", 303, to("/web/login/totp?redirect=%2Fodoo%3F", ...session), "", half],
    ["POST /fr/web/login", 303, to("/fr/web/login/totp", ...session), "", half],
    ["POST /web/login", 303, to("/web/login?oauth_error=1", ...session), "", no],
    ["POST /web/login", 303, to("/pt_BR/web/login", ...session), "", unknown],
    ["POST /web/login", 303, to("/web/login#x", ...session), "", unknown],
    ["POST /web/login", 303, to("/odoo"), "", unknown],
    ["POST /web/login", 303, to("https://evil.test/odoo", ...session), "", unknown],
    ["POST /web/login", 303, to("//evil.test/odoo", ...session), "", unknown],
    ["POST /web/login", 303, to("/web/database/selector", ...session), "", unknown],
    ["POST /web/login", 303, session, "", unknown],
    ["POST /web/login", 302, to("/web/login?db=x", ...session), "", unknown],
    ["POST /web/login", 200, [], "<div class='alert alert-danger'>", no],
    ["POST /web/login", 500, [], "", no],
    ["POST /web/login", 400, [], "", unknown],
    ["GET /web/login", 303, to("/odoo", ...session), "", unknown],
    ["POST /web/login/totp", 303, to("/odoo"), "", in_],
    ["POST /web/login/totp", 303, to("/web/login"), "", no],
    ["POST /web/login/totp", 303, to("/web/login/totp"), "", no],
    ["POST /web/login/totp", 200, [], "", no],
    [
      "POST /web/session/authenticate",
      200,
      session,
      json({ jsonrpc: "2.0", id: 1, result: { uid: 2, x: [] } }),
      in_,
    ],
    [
      "POST /fr/web/session/authenticate",
      200,
      session,
      json({ id: null, result: { a: { uid: null }, uid: 7 } }),
      in_,
    ],
    ["POST /web/session/authenticate", 200, session, '{"id": 1, "result": {"uid": 2, "name": "cut he', in_],
    ["POST /web/session/authenticate", 200, session, json({ id: 1, result: { uid: null } }), half],
    ["POST /web/session/authenticate", 200, [], json({ id: 1, result: { uid: null } }), unknown],
    ["POST /web/session/authenticate", 200, session, json({ id: 1, result: { uid: false } }), unknown],
    ["POST /web/session/authenticate", 200, session, json({ id: 1, error: { data: { uid: 2 } } }), no],
    ["POST /web/session/authenticate", 500, session, json({ id: 1, result: { uid: 2 } }), unknown],
    ["POST /web/session/authenticate", 200, session, "", unknown],
    ["POST /web/session/authenticate", 200, session, '{"id": 1, "result": {"ui', unknown],
    ["POST /web/session/authenticate", 200, session, '[{"result": {"uid": 2}}]', unknown],
    ["POST /base_import_module/login_upload", 500, [], "Access Denied", no],
    ["POST /base_import_module/login_upload", 500, [], "No file sent.", right],
    ["POST /base_import_module/login_upload", 200, [], "ok", unknown],
    ["POST /web/signup", 303, to("/my", ...session), "", unknown],
    ["POST /web/reset_password", 200, [], "alert-success", unknown],
    ["GET /", 200, session, "", unknown],
  ];
  for (const [line, status, fields, body, expected] of cases) {
    const got = readLogin(factsOf(line), { status, fields, body: Buffer.from(body) });
    t.same(got, expected, `${line} → ${status} ${fields[1] ?? ""} ${body.slice(0, 40)}`);
  }
  t.end();
});

t.test("a guess whose id looks like a success gets no point back", (t) => {
  const failure = '"error": {"code": 0, "data": {"name": "odoo.exceptions.AccessDenied"}}}';
  for (const id of [
    '"\\"result\\": {\\"uid\\": 2}"',
    '{"result": {"uid": 2}}',
    '[{"result": {"uid": 2}}, "}"]',
    '"\\\\\\", \\"result\\": {\\"uid\\": 1, "',
  ]) {
    const body = Buffer.from(`{"jsonrpc": "2.0", "id": ${id}, ${failure}`);
    t.match(readLogin(factsOf("POST /web/session/authenticate"), { status: 200, fields: [], body }), {
      outcome: "failure",
    });
  }
  const padded = Buffer.from(`{"id": "${"x".repeat(70_000)}", ${failure}`);
  const beginning = padded.subarray(0, 65_536);
  t.match(
    readLogin(factsOf("POST /web/session/authenticate"), { status: 200, fields: [], body: beginning }),
    {
      outcome: "failure",
    },
    "an id so long that the outcome is out of sight",
  );
  t.end();
});

t.test("sessions are learnt from Odoo's answers and never from a claim", (t) => {
  const fresh = () => new KnownSessions(Buffer.from("sixteen bytes ok"));
  const deny = ["X-Frame-Options", "DENY"];
  const bob = idOf("b", "1");
  const rotated = idOf("a", "2");

  let known = fresh();
  t.notOk(known.isKnown(anna), "a cookie alone is a claim");
  known.observe(factsOf("POST /web/login"), 303, ["Location", "/odoo", "Set-Cookie", cookieOf(anna)]);
  t.ok(known.isKnown(anna));
  t.notOk(known.keyOf(anna)?.includes(anna.slice(0, 12)), "ids are not kept");
  t.match(known.keyOf(anna), /^[A-Za-z0-9_-]{43}$/);
  t.equal(known.keyOf(null), null);

  known = fresh();
  known.observe(factsOf("POST /web/login"), 303, [
    "Location",
    "/web/login/totp",
    "Set-Cookie",
    cookieOf(anna),
  ]);
  t.notOk(known.isKnown(anna), "half-open before the second factor");
  known.observe(factsOf("POST /web/login"), 200, ["Set-Cookie", cookieOf(anna)]);
  t.notOk(known.isKnown(anna), "a failed log-in");

  const seen: [string, number, string[], boolean][] = [
    ["GET /odoo", 200, deny, true],
    ["GET /fr/odoo/contacts", 200, deny, true],
    ["GET /web", 200, ["x-frame-options", "deny"], true],
    ["GET /my/home", 200, [], true],
    ["GET /odoo/offline", 200, [], false],
    ["GET /odoo", 200, ["X-Frame-Options", "SAMEORIGIN"], false],
    ["GET /odoo", 303, ["Location", "/web/login?redirect=%2Fodoo%3F"], false],
    ["GET /doc", 200, deny, false],
    ["POST /odoo", 200, deny, false],
    ["GET /", 200, deny, false],
  ];
  for (const [line, status, fields, expected] of seen) {
    known = fresh();
    known.observe(factsOf(line, anna), status, fields);
    t.equal(known.isKnown(anna), expected, `${line} → ${status} ${fields.join(" ")}`);
  }

  known = fresh();
  known.learn(anna);
  known.observe(factsOf("GET /web/image/1", anna), 200, ["Set-Cookie", cookieOf(rotated)]);
  t.ok(known.isKnown(rotated), "rotated after three hours of use");
  known.observe(factsOf("GET /", anna), 200, ["Set-Cookie", cookieOf(bob)]);
  t.notOk(known.isKnown(bob), "a fresh anonymous session in place of an ended one");
  known.observe(factsOf("GET /", idOf("c", "1")), 200, ["Set-Cookie", cookieOf(idOf("c", "2"))]);
  t.notOk(known.isKnown(idOf("c", "2")), "rotation of a session that is not known");
  known.observe(factsOf("GET /web/session/logout", anna), 303, [
    "Location",
    "/odoo",
    "Set-Cookie",
    cookieOf(bob),
  ]);
  t.same([known.isKnown(anna), known.isKnown(bob), known.isKnown(rotated)], [false, false, true]);
  known.observe(factsOf("GET /odoo", rotated), 303, ["Location", "/web/login?redirect=%2Fodoo%3F"]);
  t.notOk(known.isKnown(rotated), "Odoo ended it");
  known.observe(factsOf("POST /web/session/authenticate"), 200, ["Set-Cookie", cookieOf(bob)], true);
  t.ok(known.isKnown(bob), "a JSON log-in the caller had read");
  t.notOk(new KnownSessions(Buffer.from("another secret!!")).isKnown(bob));

  const few = new KnownSessions(Buffer.from("sixteen bytes ok"), 10);
  for (let i = 0; i < 100; i += 1) few.learn(idOf("z", String(i).padStart(42, "0")));
  t.notOk(few.isKnown(idOf("z", "0".repeat(42))), "bounded");
  t.end();
});

t.test(
  "an open web client is known again after a restart by the answers to its calls, and nobody by an echoed id",
  (t) => {
    const call = factsOf("POST /web/dataset/call_kw/res.partner/web_search_read", anna);
    const known = new KnownSessions(Buffer.from("sixteen bytes ok"));
    t.ok(known.wantsCall(call, null));
    t.notOk(known.wantsCall(call, "key"), "known already");
    t.notOk(known.wantsCall(factsOf("POST /web/dataset/call_kw/x/y"), null), "no session");
    t.notOk(known.wantsCall(factsOf("POST /website/form/", anna), null), "a route for everybody");
    for (const [status, text] of [
      [200, '{"jsonrpc": "2.0", "id": 7, "error": {"code": 100, "message": "Odoo Session Expired"}}'],
      [200, JSON.stringify({ jsonrpc: "2.0", id: '","result":1', error: {} })],
      [200, JSON.stringify({ jsonrpc: "2.0", id: '1,"result":', error: {} })],
      [200, JSON.stringify({ jsonrpc: "2.0", id: { result: 1 }, error: {} })],
      [200, "<html>"],
      [403, '{"jsonrpc": "2.0", "id": 7, "result": 1}'],
    ] as const) {
      known.observeCall(call, status, Buffer.from(text));
      t.notOk(known.isKnown(anna), text);
    }
    known.observeCall(call, 200, Buffer.from('{"jsonrpc": "2.0", "id": 7, "result": {"length": 0}}'));
    t.ok(known.isKnown(anna));
    t.end();
  },
);

function xmlRefusal(body: Buffer, contentType: string): XmlRefusal | null {
  const check = new XmlCheck(contentType);
  check.push(body);
  return check.end();
}

t.test("no document type reaches Odoo's XML parser, however it is written", (t) => {
  const call = "<methodCall><methodName>version</methodName><params/></methodCall>";
  const type = "text/xml";
  const bom = Buffer.from([0xef, 0xbb, 0xbf]);
  const bytes = (...parts: (string | Buffer)[]) =>
    Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part, "latin1") : part)));
  const declared = (encoding: string) => `<?xml version="1.0" encoding="${encoding}"?>`;
  const utf16 = (text: string) => Buffer.from(text, "utf16le");
  const bad: [string, Buffer, string][] = [
    ["plain", bytes(`<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]>${call}`), type],
    ["lower case", bytes(`<!doctype a>${call}`), type],
    ["no declaration", bytes(`<!DOCTYPE a>${call}`), ""],
    ["UTF-8 mark", bytes(bom, `<!DOCTYPE a>${call}`), type],
    ["behind comments", bytes(`<!-- a --><!-- > -->\r\n\t<!DOCTYPE a>${call}`), type],
    ["behind an instruction that opens a comment", bytes(`<?a <!-- ?><!DOCTYPE a><!-- -->${call}`), type],
    ["behind a comment that opens an instruction", bytes(`<!-- <? --><!DOCTYPE a><?b ?>${call}`), type],
    ["bare entity", bytes(`<!ENTITY a "b">${call}`), type],
    ["UTF-16 with mark", bytes(Buffer.from([0xff, 0xfe]), utf16(`<!DOCTYPE a>${call}`)), type],
    ["UTF-16 without mark", utf16(`<!DOCTYPE a>${call}`), type],
    ["UTF-16 big endian", utf16(`<!DOCTYPE a>${call}`).swap16(), type],
    ["UTF-7 declared", bytes(`${declared("UTF-7")}+ADwAIQ-DOCTYPE a+AD4-${call}`), type],
    ["EBCDIC declared", bytes(`${declared("cp037")}x`), type],
    ["encoding in single quotes", bytes(`<?xml version='1.0' encoding = 'utf-16'?>${call}`), type],
    ["two encodings", bytes(`<?xml version="1.0" encoding="utf-8" encoding="utf-7"?>${call}`), type],
    ["charset of the field", bytes(call), "text/xml; charset=utf-16"],
    ["charset in quotes", bytes(call), 'text/xml;x=y; charset="UTF-7"'],
    ["text before the root", bytes(`x<!DOCTYPE a>${call}`), type],
    ["comment without end", bytes(`<!-- ${call}`), type],
    [
      "prolog longer than what is read",
      bytes(`<!--${" ".repeat(xmlPrologBytesMax)}--><!DOCTYPE a>${call}`),
      type,
    ],
    ["spaces longer than what is read", bytes(" ".repeat(xmlPrologBytesMax), `<!DOCTYPE a>${call}`), type],
    ["cut at the sign", bytes("<"), type],
    ["NUL", bytes(`<a\0/>`), type],
  ];
  for (const [what, body, contentType] of bad) t.not(xmlRefusal(body, contentType), null, what);
  const good: [string, Buffer, string][] = [
    ["a call", bytes(call), type],
    ["declared", bytes(`${declared("UTF-8")}\n${call}`), "application/xml; charset=utf-8"],
    ["mark", bytes(bom, declared("utf-8"), call), type],
    [
      "comment and instruction",
      bytes(`${declared("utf-8")}<!-- <!DOCTYPE x> --><?a <!DOCTYPE?>${call}`),
      type,
    ],
    ["HTML as a value", bytes("<methodCall><string><![CDATA[<!DOCTYPE html>]]></string></methodCall>"), type],
    ["escaped HTML", bytes("<methodCall><string>&lt;!DOCTYPE html></string></methodCall>"), type],
    ["empty", bytes(""), type],
  ];
  for (const [what, body, contentType] of good) t.equal(xmlRefusal(body, contentType), null, what);
  t.match(xmlRefusalText("xml-doctype"), /document type/);
  t.match(xmlRefusalText("xml-encoding"), /UTF-8/);
  t.end();
});
