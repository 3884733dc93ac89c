import t from "tap";
import type { CanonicalPath, HostName } from "../../src/base/brands.ts";
import { parseIp } from "../../src/base/ip.ts";
import type { RequestFacts } from "../../src/message/facts.ts";
import { inboundFields, inboundHandshakeFields } from "../../src/upstream/inbound.ts";
import {
  isDroppedOutbound,
  linesOf,
  type OutboundOptions,
  outboundFields,
  outboundHandshakeFields,
  outboundLines,
} from "../../src/upstream/outbound.ts";

function address(text: string) {
  const ip = parseIp(text);
  if (ip === null) throw new Error(text);
  return ip;
}

function factsOf(fields: string[], more: Partial<RequestFacts> = {}): RequestFacts {
  const path = "/odoo" as CanonicalPath;
  return {
    protocol: "HTTP/1.1",
    untrustedForwarding: null,
    method: "GET",
    target: "/odoo",
    path,
    paths: [path],
    pathsLower: [path],
    query: "",
    host: "erp.example.com" as HostName,
    authority: "erp.example.com:8443",
    peer: address("10.0.0.1"),
    client: address("203.0.113.9"),
    secure: true,
    contentType: "",
    sessionId: null,
    upgrade: null,
    fields,
    ...more,
  };
}

const usual: OutboundOptions = {
  exchangeId: "id-1",
  bodyBytes: null,
  keepAlive: false,
  keepDatabaseField: false,
  sessionCookie: "session_id",
  ownCookie: null,
  dropAuthorization: false,
};

const ours = [
  ["Host", "erp.example.com:8443"],
  ["X-Forwarded-For", "203.0.113.9"],
  ["X-Forwarded-Host", "erp.example.com:8443"],
  ["X-Forwarded-Proto", "https"],
  ["X-Real-IP", "203.0.113.9"],
  ["X-Request-Id", "id-1"],
  ["Connection", "close"],
].flat();

/** What goes up beside our own fields. */
function passed(fields: string[], options: Partial<OutboundOptions> = {}): string[] {
  const out = outboundFields(factsOf(fields), { ...usual, ...options });
  t.same(out.slice(0, ours.length), ours);
  return out.slice(ours.length);
}

const claims =
  `X-Forwarded-For X-Forwarded-Host X-Forwarded-Proto X-Forwarded-Port X-Forwarded-Prefix X-Forwarded-Scheme X-Forwarded-Ssl
X-Forwarded-Server X-Forwarded-By X-Forwarded-Path X-Forwarded-Uri X-Forwarded X-Forwarded-Client-Cert Forwarded X-Real-IP X-Client-IP Client-IP
X-Cluster-Client-IP True-Client-IP CF-Connecting-IP CF-Connecting-IPv6 Fastly-Client-IP X-Originating-IP X-Remote-IP X-Remote-Addr Remote-Addr
X-Odoo-dbfilter X-Odoo-Database X-Odoo-Anything X-Openerp-Session-Id X-OpenERP-dbfilter X-Original-URL X-Original-Host X-Original-Forwarded-For
X-Rewrite-URL X-HTTP-Method X-HTTP-Method-Override X-Method-Override X-Sendfile-Type X-Accel-Mapping X-Accel-Redirect Front-End-Https X-Url-Scheme
X-Host Script-Name Path-Info Proxy Proxy-Connection Proxy-Authorization X-Request-Id Host Content-Length Transfer-Encoding TE Trailer Expect
Upgrade Connection Keep-Alive HTTP2-Settings Sec-WebSocket-Key`.split(/\s+/);

t.test("no field of a client's claims an address, host, database or framing, in any spelling", (t) => {
  for (const claim of claims) {
    const spellings = [
      claim,
      claim.toLowerCase(),
      claim.toUpperCase(),
      claim.replaceAll("-", "_"),
      claim.toLowerCase().replace("-", "_"),
      claim.replace(/[a-z]/g, (letter, at: number) => (at % 2 === 0 ? letter.toUpperCase() : letter)),
    ];
    for (const spelling of spellings) {
      for (const value of ["evil.test", "https", "1, 2", ""]) {
        const got = passed(["Accept", "*/*", spelling, value, "Accept-Language", "fr"]);
        t.same(got, ["Accept", "*/*", "Accept-Language", "fr"], `${spelling}: ${value}`);
      }
    }
  }
  t.end();
});

t.test("names with an underscore, no names and values that would break the line stay here", (t) => {
  t.same(passed(["Content_Type", "a", "my_field", "b", "_", "c"]), []);
  t.same(passed(["a b", "x", "a:", "x", "", "x", "ä", "x", "a\r\nHost", "x"]), []);
  t.same(passed(["A", "b\r\nX-Forwarded-For: 1.2.3.4", "B", "a\rb", "C", "a\0b", "D", "a\nb"]), []);
  t.same(passed(["E", "caf\xe9", "F", "a\tb"]), ["E", "caf\xe9", "F", "a\tb"]);
  t.end();
});

t.test("what Odoo needs passes as it came, in its order", (t) => {
  const fields = [
    ["User-Agent", "x"],
    ["accept-encoding", "gzip, br"],
    ["RANGE", "bytes=0-1"],
    ["If-None-Match", '"a"'],
    ["Authorization", "Bearer key"],
    ["Origin", "https://erp.example.com:8443"],
    ["Sec-Fetch-Mode", "navigate"],
    ["Content-Type", "application/json"],
    ["X-Custom", "1"],
    ["X-Custom", "2"],
  ].flat();
  t.same(passed(fields), fields);
  t.same(passed(["Authorization", "Basic x", "A", "b"], { dropAuthorization: true }), ["A", "b"]);
  t.same(passed(["x-odoo-database", "prod"], { keepDatabaseField: true }), ["x-odoo-database", "prod"]);
  t.same(passed(["Connection", "close, X-Hop", "X-Hop", "a", "x-hop", "b", "X-Stay", "c"]), ["X-Stay", "c"]);
  t.same(passed(["Connection", "X-Forwarded-For"]), [], "ours cannot be nominated away");
  t.end();
});

t.test("the body is framed by its length and nothing else", (t) => {
  const lengths = (method: string, bodyBytes: number | null) => {
    const fields = outboundFields(
      factsOf(["Content-Length", "999", "Transfer-Encoding", "chunked"], { method }),
      { ...usual, bodyBytes },
    );
    return fields.filter((_, i) => /^(content-length|transfer-encoding)$/i.test(fields[i - (i % 2)] ?? ""));
  };
  for (const method of ["POST", "PUT", "PATCH"]) {
    t.same(lengths(method, null), ["Content-Length", "0"], method);
    t.same(lengths(method, 12), ["Content-Length", "12"], method);
  }
  t.same(lengths("GET", null), []);
  t.same(lengths("GET", 0), ["Content-Length", "0"]);
  t.same(lengths("DELETE", 7), ["Content-Length", "7"]);
  t.end();
});

t.test("cookies go up in one line; ours and a renamed session's twin do not", (t) => {
  t.same(passed(["Cookie", "a=1", "cookie", "session_id=s; b=2"]), ["Cookie", "a=1; session_id=s; b=2"]);
  t.same(
    passed(["Cookie", "staging_session_id=s; session_id=production; a=1"], {
      sessionCookie: "staging_session_id",
    }),
    ["Cookie", "session_id=s; a=1"],
  );
  const own = { ownCookie: "__Host-staging" };
  t.same(passed(["Cookie", "a=1; __Host-staging=1.x; b=2"], own), ["Cookie", "a=1; b=2"]);
  t.same(passed(["Cookie", "__Host-staging=1.x"], own), []);
  t.same(passed(["Cookie", "__Host-stagingx=1; c=__Host-staging"], own), [
    "Cookie",
    "__Host-stagingx=1; c=__Host-staging",
  ]);
  t.same(passed(["Cookie", ""]), []);
  t.end();
});

t.test("plain HTTP, the bus port and HTTP/2 are told as they are", (t) => {
  const plain = outboundFields(factsOf([], { secure: false }), usual);
  t.equal(plain[plain.indexOf("X-Forwarded-Proto") + 1], "http");
  const bus = outboundFields(factsOf([]), { ...usual, keepAlive: true });
  t.equal(bus[bus.indexOf("Connection") + 1], "keep-alive");
  t.ok(
    isDroppedOutbound("x-FORWARDED-for") &&
      isDroppedOutbound("X-Odoo-Database") &&
      !isDroppedOutbound("Accept"),
  );
  for (let i = 0; i < 3_000; i += 1) isDroppedOutbound(`x-invented-${i}`);
  t.ok(isDroppedOutbound("X-Real-Ip"), "after the memory was emptied");
  t.end();
});

t.test("a handshake goes up with exactly its own upgrade", (t) => {
  const facts = factsOf([
    ...[
      "Upgrade",
      "WebSocket",
      "Connection",
      "keep-alive, Upgrade",
      "Sec-WebSocket-Key",
      "k",
      "Sec-WebSocket-Version",
      "13",
    ],
    ...[
      "Origin",
      "https://erp.example.com",
      "Cookie",
      "session_id=s",
      "X-Forwarded-For",
      "1.2.3.4",
      "Sec_WebSocket_Key",
      "x",
    ],
  ]);
  t.same(outboundHandshakeFields(facts, usual), [
    ...ours.slice(0, -2),
    ...[
      "Connection",
      "Upgrade",
      "Upgrade",
      "websocket",
      "Sec-WebSocket-Key",
      "k",
      "Sec-WebSocket-Version",
      "13",
    ],
    ...["Origin", "https://erp.example.com", "Cookie", "session_id=s"],
  ]);
  t.end();
});

const seenAs = { secure: true, host: "erp.example.com" as HostName, authority: "erp.example.com:8443" };
const back = {
  authorityOf: (host: string) => (host === "shop.example.com" ? "shop.example.com" : null),
  sessionCookie: "session_id",
  headLength: null,
};
const inbound = (fields: string[], more = {}) => inboundFields(fields, seenAs, { ...back, ...more });

t.test("banners, paths of the server and the connection's own fields stay behind", (t) => {
  const hidden =
    `Server X-Powered-By Via X-AspNet-Version X-AspNetMvc-Version X-Sendfile X-Accel-Redirect X-Accel-Buffering Alt-Svc Connection Keep-Alive
Proxy-Authenticate Proxy-Connection TE Trailer Transfer-Encoding Upgrade Content-Length X-Nominated`.split(
      /\s+/,
    );
  for (const name of hidden) {
    for (const spelling of [name, name.toLowerCase(), name.toUpperCase()]) {
      t.same(
        inbound(["Date", "d", spelling, "x", "Connection", "x-nominated, Set-Cookie", "Set-Cookie", "a=b"]),
        ["Date", "d", "Set-Cookie", "a=b"],
        spelling,
      );
    }
  }
  t.same(inbound(["a b", "x", "", "x", "A", "b\r\nSet-Cookie: c=d", "B", "a\0", "Z", "1", "M", "2"]), [
    "Z",
    "1",
    "M",
    "2",
  ]);
  t.same(inbound(["Content-Length", "5", "ETag", "e"], { headLength: 5 }), [
    "ETag",
    "e",
    "Content-Length",
    "5",
  ]);
  t.end();
});

t.test("the session cookie is hardened, others keep every byte", (t) => {
  const line = "session_id=abc; Expires=x; Max-Age=604800; HttpOnly; Path=/";
  const other = "frontend_lang=en_US; Path=/";
  t.same(inbound(["Set-Cookie", line, "set-cookie", other]), [
    "Set-Cookie",
    `${line}; Secure; SameSite=Lax`,
    "set-cookie",
    other,
  ]);
  t.same(inbound(["Set-Cookie", line], { sessionCookie: "staging_session_id" }), [
    "Set-Cookie",
    `staging_${line}; Secure; SameSite=Lax`,
  ]);
  t.same(
    inboundFields(["Set-Cookie", line], { ...seenAs, secure: false }, back),
    ["Set-Cookie", `${line}; SameSite=Lax`],
    "a Secure cookie would not be sent over plain HTTP",
  );
  t.end();
});

t.test("a Location to ourselves stays on https and on our port", (t) => {
  const cases: [string, string][] = [
    ["/odoo", "/odoo"],
    ["http://erp.example.com/web/x?y#z", "https://erp.example.com:8443/web/x?y#z"],
    ["http://ERP.example.com:8069/", "https://erp.example.com:8443/"],
    ["https://erp.example.com/", "https://erp.example.com:8443/"],
    ["http://erp.example.com", "https://erp.example.com:8443"],
    ["http://erp.example.com?a", "https://erp.example.com:8443?a"],
    ["http://shop.example.com:80/x", "https://shop.example.com/x"],
    ["https://pay.example.net/x", "https://pay.example.net/x"],
    ["http://erp.example.com.evil.test/", "http://erp.example.com.evil.test/"],
    ["http://erp.example.com@evil.test/", "http://erp.example.com@evil.test/"],
    ["//erp.example.com/x", "//erp.example.com/x"],
    ["mailto:a@b", "mailto:a@b"],
  ];
  for (const [from, to] of cases) t.same(inbound(["Location", from]), ["Location", to], from);
  const plain = inboundFields(["Location", "http://erp.example.com/x"], { ...seenAs, secure: false }, back);
  t.same(plain, ["Location", "http://erp.example.com/x"]);
  t.end();
});

t.test("a 101 comes down with the upgrade and nothing of the server's", (t) => {
  const fields = [
    "Upgrade",
    "websocket",
    "Connection",
    "Upgrade",
    "Sec-WebSocket-Accept",
    "a",
    "Server",
    "x",
    "Set-Cookie",
    "session_id=s",
  ];
  t.same(inboundHandshakeFields(fields, seenAs, back), [
    ...["Upgrade", "websocket", "Connection", "Upgrade", "Sec-WebSocket-Accept", "a"],
    ...["Set-Cookie", "session_id=s; Secure; SameSite=Lax"],
  ]);
  t.end();
});

t.test("the lines of a request are its fields, whoever asked with equal fields before", async (t) => {
  const likeness = {};
  const fields = ["Cookie", "session_id=a; staging=1", "X-Odoo-Database", "b", "Authorization", "Basic x"];
  const sent: [Partial<RequestFacts>, Partial<OutboundOptions>][] = [
    [{}, {}],
    [{ method: "POST" }, { bodyBytes: 5 }],
    [{}, { exchangeId: "id-2", keepAlive: true }],
    [{}, { keepDatabaseField: true }],
    [{}, { database: "prod" }],
    [{}, { database: "shop.2" }],
    [{}, { sessionCookie: "staging_session_id" }],
    [{}, { ownCookie: "staging" }],
    [{}, { dropAuthorization: true }],
    [{}, { identityOnly: true }],
    [{ authority: "pos.example.com" }, {}],
    [{ client: address("203.0.113.10") }, {}],
    [{ secure: false }, {}],
  ];
  for (const [more, options] of [...sent, ...sent.toReversed()]) {
    const facts = factsOf(fields, { ...more, likeness });
    const all = { ...usual, ...options };
    t.equal(outboundLines(facts, all), linesOf(outboundFields(facts, all)), JSON.stringify([options]));
  }
});
