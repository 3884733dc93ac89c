import fc from "fast-check";
import t from "tap";
import { fieldLineBytesMax, fieldLinesMax, fieldsBytesMax } from "../../src/message/bounds.ts";
import type { Protocol } from "../../src/message/facts.ts";
import { acceptFor, originAllowed, readHandshake } from "../../src/message/handshake.ts";
import { readHost } from "../../src/message/host.ts";
import { type IncomingHead, screen } from "../../src/message/screen.ts";
import type { Site } from "../../src/message/site.ts";
import { factsOf, handshakeFields, head, head2, headWith, ip, site, verdict } from "./head.ts";

t.test("an ordinary request becomes facts", async (t) => {
  const fields = [
    "Host",
    "ERP.example.com.:8443",
    "Content-Type",
    "Application/JSON; charset=utf-8",
    "Cookie",
    "tz=UTC; session_id=abc",
    "X-Forwarded-For",
    "192.0.2.1",
  ];
  const facts = factsOf(head({ method: "POST", target: "/fr/web/login/?a=b", fields }));
  t.match(facts, {
    protocol: "HTTP/1.1",
    method: "POST",
    target: "/fr/web/login/?a=b",
    path: "/fr/web/login",
    paths: ["/fr/web/login", "/web/login"],
    query: "a=b",
    host: "erp.example.com",
    authority: "erp.example.com:8443",
    client: { text: "203.0.113.9" },
    peer: { text: "203.0.113.9" },
    secure: true,
    contentType: "application/json",
    sessionId: "abc",
    upgrade: null,
    untrustedForwarding: "x-forwarded-for",
  });
  t.equal(facts.fields, fields, "the field lines are the listener's own");
  const quiet = factsOf(headWith([], { peer: ip("10.1.2.3") }));
  t.equal(quiet.untrustedForwarding, null);
  t.equal(quiet.sessionId, null);
  t.equal(factsOf(headWith(["Cookie", "session_id="])).sessionId, null);
  const behind = factsOf(headWith(["X-Forwarded-For", "192.0.2.1"], { peer: ip("10.1.2.3") }));
  t.equal(behind.client.text, "192.0.2.1");
  t.equal(behind.peer.text, "10.1.2.3");
});

t.test("several Cookie lines become one, joined as Odoo can read them", async (t) => {
  const facts = factsOf(headWith(["Cookie", "a=1", "X", "y", "cookie", "session_id=s"]));
  t.strictSame(facts.fields, ["Host", "erp.example.com", "Cookie", "a=1; session_id=s", "X", "y"]);
  t.equal(facts.sessionId, "s");
});

t.test("versions and methods", async (t) => {
  for (const protocol of ["HTTP/0.9", "HTTP/1.2", "HTTP/3", "", "http/1.1"])
    t.equal(verdict(Object.assign(head(), { protocol })), "505 version-unsupported", protocol);
  t.equal(verdict(head({ protocol: "HTTP/1.0" })), "ok");
  t.equal(verdict(head2()), "ok");
  for (const method of site.methods) t.equal(verdict(head({ method })), "ok", method);
  for (const method of ["TRACE", "CONNECT", "MKCOL", "PRI"])
    t.equal(verdict(head({ method })), "405 method-not-allowed", method);
  for (const method of ["post", "Get", "FOO", "TRACK", "__proto__"])
    t.equal(verdict(head({ method })), "501 method-unknown", method);
  for (const method of ["", "G T", "GET\n", "GET\0"])
    t.equal(verdict(head({ method })), "400 method-malformed");
  const refused = screen(head({ method: "TRACE" }), site);
  t.strictSame(refused.ok ? [] : refused.error.headers, [
    "Allow",
    "GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH, PROPFIND",
  ]);
});

t.test("the bounds of the field lines are exact", async (t) => {
  const many = (count: number): string[] => Array.from({ length: count }, (_, i) => [`x-${i}`, "1"]).flat();
  t.equal(verdict(headWith(many(fieldLinesMax - 1))), "ok");
  t.equal(verdict(headWith(many(fieldLinesMax))), "431 fields-too-many");
  t.equal(verdict(headWith(["xx", "v".repeat(fieldLineBytesMax - 2)])), "ok");
  t.equal(verdict(headWith(["xx", "v".repeat(fieldLineBytesMax - 1)])), "431 field-too-large");
  const used = "Host".length + "erp.example.com".length + 4 + 3 * (1 + 10_000 + 4);
  const rest = fieldsBytesMax - used - 5;
  const three = ["a", "b", "c"].flatMap((name) => [name, "v".repeat(10_000)]);
  t.equal(verdict(headWith([...three, "d", "v".repeat(rest)])), "ok");
  t.equal(verdict(headWith([...three, "d", "v".repeat(rest + 1)])), "431 fields-too-large");
});

t.test("host syntax", async (t) => {
  const read = (text: string): string => {
    const host = readHost(text);
    return host === null ? "null" : `${host.host} ${host.port}`;
  };
  const table: readonly (readonly [string, string])[] = [
    ["erp.example.com", "erp.example.com null"],
    ["ERP.Example.com.", "erp.example.com null"],
    ["a:1", "a 1"],
    ["a:65535", "a 65535"],
    ["127.0.0.1:8443", "127.0.0.1 8443"],
    ["[::1]", "[::1] null"],
    ["[0:0:0:0:0:0:0:1]:8443", "[::1] 8443"],
    ["[2001:DB8::1]", "[2001:db8::1] null"],
    [`${"a".repeat(63)}.b`, `${"a".repeat(63)}.b null`],
  ];
  for (const [text, expected] of table) t.equal(read(text), expected, text);
  const bad = [
    "",
    ".",
    "a..b",
    "-a",
    "a-",
    "a_b",
    "a:",
    "a:0",
    "a:01",
    "a:65536",
    "a:80:80",
    "a b",
    "a/b",
    "a@b",
  ];
  const worse = [
    "a,b",
    "a\\b",
    "%61",
    "é",
    "[::1",
    "::1",
    "[::1]x",
    "[fe80::1%25eth0]",
    "[::ffff:1.2.3.4]",
    "[1.2.3.4]",
  ];
  const long = [
    `${"a".repeat(64)}.b`,
    `${"a.".repeat(126)}ab`,
    "a".repeat(5_000),
    "a..",
    "http://a",
    "a#b",
    "a?b",
    "a\n",
  ];
  for (const text of [...bad, ...worse, ...long])
    t.equal(read(text), "null", JSON.stringify(text).slice(0, 40));
});

t.test("one host, and one of ours", async (t) => {
  const at = (host: string, change: { secure?: boolean; localPort?: number } = {}): string =>
    verdict(head({ fields: ["Host", host], ...change }));
  t.equal(verdict(head({ fields: [] })), "400 host-missing");
  t.equal(verdict(head({ fields: [], protocol: "HTTP/1.0" })), "400 host-missing");
  t.equal(at(""), "400 host-missing");
  t.equal(verdict(headWith(["Host", "erp.example.com"])), "400 host-repeated");
  t.equal(at("erp.example.com, evil.test"), "400 host-malformed");
  t.equal(at("evil.test"), "421 host-unknown");
  t.equal(at("evil.test", { secure: false }), "400 host-unknown-plain");
  t.equal(at("constructor"), "421 host-unknown");
  for (const good of ["erp.example.com", "erp.example.com.", "erp.example.com:443", "erp.example.com:8443"])
    t.equal(at(good), "ok", good);
  t.equal(at("erp.example.com:9443"), "421 host-unknown");
  t.equal(at("erp.example.com:80"), "421 host-unknown");
  t.equal(at("erp.example.com:80", { secure: false, localPort: 8080 }), "ok");
  t.equal(at("erp.example.com:8080", { secure: false, localPort: 8080 }), "ok");
  t.equal(at("erp.example.com:8081", { secure: false, localPort: 8080 }), "400 host-unknown-plain");
  t.equal(at("pos.example.com:9443"), "ok");
  t.equal(at("pos.example.com:7000", { localPort: 7000 }), "ok");
  t.equal(at("pos.example.com:8444"), "421 host-unknown");
  t.equal(at("localhost:1234"), "ok");
  t.equal(at("[::1]:1234"), "ok");
  t.equal(at("127.0.0.1:1234"), "421 host-unknown", "not served here");

  const authority = (host: string, secure = true): string =>
    factsOf(head({ fields: ["Host", host], secure, localPort: secure ? 8443 : 80 })).authority;
  t.equal(authority("ERP.example.com.:443"), "erp.example.com");
  t.equal(authority("erp.example.com:8443"), "erp.example.com:8443");
  t.equal(authority("erp.example.com:80", false), "erp.example.com");
  t.equal(authority("[0::1]:8443"), "[::1]:8443");
});

t.test("HTTP/2 names its host in :authority", async (t) => {
  t.equal(verdict(head2({ authority: null })), "400 host-missing");
  t.equal(verdict(head2({ authority: "" })), "400 host-missing");
  t.equal(verdict(head2({ authority: null, fields: ["host", "erp.example.com"] })), "400 host-missing");
  t.equal(verdict(head2({ fields: ["host", "ERP.example.com"] })), "ok");
  t.equal(verdict(head2({ fields: ["host", "pos.example.com"] })), "400 host-differs");
  t.equal(verdict(head2({ authority: "u:p@erp.example.com" })), "400 host-malformed");
  t.equal(verdict(head2({ authority: "evil.test" })), "421 host-unknown");
  t.equal(verdict(head2({ scheme: "http" })), "400 scheme-differs");
  t.equal(verdict(head2({ scheme: null })), "400 scheme-differs");
  t.equal(verdict(head2({ fields: ["te", "trailers"] })), "ok");
  for (const [name, value] of [
    ["te", "gzip"],
    ["keep-alive", "1"],
    ["proxy-connection", "x"],
    ["connection", "close"],
  ])
    t.equal(
      verdict(head2({ fields: [name ?? "", value ?? ""] })),
      "400 field-connection-specific",
      `${name}`,
    );
});

t.test("framing, expectations and connection options", async (t) => {
  const length = (value: string): string => verdict(headWith(["Content-Length", value], { method: "POST" }));
  for (const good of ["0", "1", "9007199254740991", " 5\t"]) t.equal(length(good), "ok", good);
  const coding = (value: string): string =>
    verdict(headWith(["Transfer-Encoding", value], { method: "POST" }));
  t.equal(coding("chunked"), "ok");
  t.equal(coding("Chunked "), "ok");
  for (const other of ["gzip", "identity", "gzip, chunked", "x;q=1"])
    t.equal(coding(other), "501 coding-unknown", other);
  t.equal(verdict(headWith(["Content-Length", "3"])), "ok", "a GET may have a body");
  t.equal(verdict(headWith(["Expect", "100-Continue"])), "ok");
  t.equal(verdict(headWith(["Expect", "200-ok"])), "417 expectation-unknown");
  t.equal(verdict(headWith(["Expect", "100-continue, x"])), "417 expectation-unknown");
  t.equal(verdict(headWith(["Expect", "x"], { protocol: "HTTP/1.0" })), "ok");
  t.equal(verdict(headWith(["Trailer", "Foo"])), "ok");
  t.equal(verdict(headWith(["Connection", "keep-alive, X-Own, TE, ,", "TE", "trailers"])), "ok");
  t.equal(verdict(headWith(["Connection", "a b"])), "400 connection-malformed");
  t.equal(verdict(headWith(["X_Custom", "dropped outbound"])), "ok");
});

t.test("a WebSocket handshake is well-formed or refused", async (t) => {
  const facts = factsOf(headWith(handshakeFields, { target: "/websocket?version=19.0-2" }));
  t.equal(facts.upgrade, "websocket");
  const handshake = readHandshake(
    headWith([
      ...handshakeFields,
      "Sec-WebSocket-Extensions",
      "permessage-deflate",
      "Sec-WebSocket-Extensions",
      "x",
      "Sec-WebSocket-Protocol",
      "a, b",
    ]),
  );
  t.strictSame(handshake, {
    ok: true,
    value: {
      key: "dGhlIHNhbXBsZSBub25jZQ==",
      extensions: "permessage-deflate, x",
      subprotocols: ["a", "b"],
      origin: "https://erp.example.com",
    },
  });
  t.equal(acceptFor("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "RFC 6455 §1.3");

  /** The good handshake with one field's value replaced, or the field taken out. */
  const changed = (name: string, value: string | null): string => {
    const fields: string[] = [];
    for (let i = 0; i < handshakeFields.length; i += 2) {
      const [one = "", old = ""] = handshakeFields.slice(i, i + 2);
      if (one !== name) fields.push(one, old);
      else if (value !== null) fields.push(one, value);
    }
    return verdict(headWith(fields));
  };
  t.equal(changed("Upgrade", "WebSocket"), "ok");
  for (const value of ["h2c", "websocket, h2c", "websocket/13", "", null])
    t.equal(changed("Upgrade", value), "400 upgrade-unknown", String(value));
  for (const value of ["keep-alive", "upgraded", null])
    t.equal(changed("Connection", value), "400 upgrade-unknown", String(value));
  for (const value of ["12", "013", "13, 8", "", null])
    t.equal(changed("Sec-WebSocket-Version", value), "426 upgrade-websocket-version", String(value));
  for (const value of [
    "",
    null,
    "abc",
    "dGhlIHNhbXBsZSBub25jZR==",
    "dGhlIHNhbXBsZSBub25jZQ=",
    "!GhlIHNhbXBsZSBub25jZQ==",
  ])
    t.equal(changed("Sec-WebSocket-Key", value), "400 upgrade-key", String(value));
  const more = (fields: string[], change = {}): string =>
    verdict(headWith([...handshakeFields, ...fields], change));
  t.equal(more([], { method: "POST" }), "400 upgrade-method");
  t.equal(more([], { protocol: "HTTP/1.0" }), "400 upgrade-version");
  t.equal(more(["Content-Length", "0"]), "ok");
  t.equal(more(["Content-Length", "5"]), "400 upgrade-body");
  t.equal(more(["Transfer-Encoding", "chunked"]), "400 upgrade-body");
  t.equal(more(["Upgrade", "websocket"]), "400 upgrade-unknown");
  t.equal(more(["Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="]), "400 field-repeated");
  t.equal(more(["Sec-WebSocket-Protocol", "a b"]), "400 upgrade-offer");
  const version = screen(headWith(handshakeFields.with(7, "8")), site);
  t.strictSame(version.ok ? [] : version.error.headers, [
    "Upgrade",
    "websocket",
    "Sec-WebSocket-Version",
    "13",
  ]);
});

t.test("origins", async (t) => {
  const extra = new Set(["https://shop.example.net"]);
  const allowed = (origin: string | null, authority = "erp.example.com"): boolean =>
    originAllowed(origin, { authority }, site, extra);
  for (const good of [
    "https://erp.example.com",
    "HTTPS://ERP.example.com:443",
    "https://erp.example.com:8443",
    "https://pos.example.com:9443",
    "https://shop.example.net",
  ])
    t.ok(allowed(good), good);
  t.ok(allowed("https://localhost:1234", "localhost:1234"));
  for (const bad of [
    null,
    "",
    "null",
    "http://erp.example.com",
    "https://evil.test",
    "https://erp.example.com.evil.test",
    "https://evil.test/erp.example.com",
    "https://erp.example.com@evil.test",
    "https://erp.example.com:9443",
    "https://erp.example.com/",
    "https://localhost:3000",
    "https://shop.example.net:444",
    "https://a https://erp.example.com",
  ])
    t.notOk(allowed(bad), String(bad));
});

t.test("property: whatever comes, the screen answers and accepts nothing malformed", async (t) => {
  const name = fc.constantFrom(
    ..."Host host Content-Length Transfer-Encoding Connection Upgrade Cookie Expect TE X-A X_A Content_Length".split(
      " ",
    ),
    ..."X-Forwarded-For Origin Content-Type __proto__ Sec-WebSocket-Key".split(" "),
    "",
    "a b",
  );
  const value = fc.oneof(
    fc.constantFrom("erp.example.com", "5", "chunked", "close", "a=1", "1, 1", "\r\nX: y", "\0", "é"),
    fc.string({ maxLength: 12 }),
  );
  let accepted = 0;
  fc.assert(
    fc.property(
      fc.array(fc.tuple(name, value), { maxLength: 4 }),
      fc.constantFrom<Protocol>("HTTP/1.0", "HTTP/1.1", "HTTP/2"),
      fc.boolean(),
      (lines, protocol, named) => {
        const lead = named && protocol !== "HTTP/2" ? ["Host", "erp.example.com"] : [];
        const base = protocol === "HTTP/2" ? head2() : head({ protocol });
        const result = screen({ ...base, fields: [...lead, ...lines.flat()] }, site);
        if (!result.ok) return result.error.status >= 400;
        accepted += 1;
        const { fields } = result.value;
        const text = fields.join("\n");
        const lengths = lines.filter(([one]) => one.toLowerCase() === "content-length").length;
        const codings = lines.filter(([one]) => one.toLowerCase() === "transfer-encoding").length;
        return !/[\0\r\u0100-\uffff]/.test(text) && fields.length % 2 === 0 && lengths + codings <= 1;
      },
    ),
    { numRuns: 2_000 },
  );
  t.ok(accepted > 100, `${accepted} heads were accepted`);
});

t.test("equal fields are read once, and mean what they would have meant alone", async (t) => {
  const likeness = {};
  const fields = [
    "Cookie",
    "session_id=a",
    "X-Forwarded-For",
    "198.51.100.7",
    "Content-Type",
    "text/html; x",
  ];
  const sent: Partial<IncomingHead>[] = [
    {},
    { target: "/web/login?a=b" },
    { method: "POST" },
    { method: "TRACE" },
    { target: "/a/../b" },
    { protocol: "HTTP/1.0" },
    { peer: ip("10.0.0.1") },
    { secure: false },
    { localPort: 80 },
    { protocol: "HTTP/2", authority: "erp.example.com", scheme: "https" },
    { protocol: "HTTP/2", authority: "pos.example.com:9443", scheme: "https" },
    { protocol: "HTTP/2", authority: "erp.example.com", scheme: "http" },
  ];
  const sites: Site[] = [site, { ...site, sessionCookie: "staging_session_id" }];
  for (const at of [...sites, ...sites]) {
    for (const change of [...sent, ...sent.toReversed()]) {
      const message = headWith(fields, change);
      const read = screen({ ...message, likeness }, at);
      const alone = screen(message, at);
      if (!read.ok || !alone.ok) t.same(read, alone);
      else t.same({ ...read.value, likeness: null }, { ...alone.value, likeness: null });
    }
  }
  const first = screen(headWith(fields, { likeness }), site);
  const longer = screen(headWith([...fields, "Content-Length", "7"], { likeness }), site);
  t.ok(first.ok && longer.ok && longer.value.fields.includes("7"), "Content-Length is each message's own");
});
