import { type RawCase, request, twoReadings } from "./case.ts";

/** The plain HTTP port sends people to HTTPS, to our own name, and does nothing else. */
const moved: readonly number[] = [301, 302, 303, 307, 308];

const redirects: readonly (readonly [string, string])[] = [
  ["a page", request("GET /web/login")],
  ["a guarded page", request("GET /web/database/manager")],
  ["a claim of TLS", request("GET /web/login", ["X-Forwarded-Proto: https", "X-Forwarded-Ssl: on"])],
  [
    "a claim of TLS in other words",
    request("GET /web/login", ["Front-End-Https: on", "Forwarded: proto=https"]),
  ],
  [
    "a claim of another host",
    request("GET /web/login", ["X-Forwarded-Host: evil.test", "X-Host: evil.test"]),
  ],
  ["a redirect parameter", request("GET /nowhere?redirect=https%3A%2F%2Fexample.test%2F")],
  ["a point of sale, without its network", request("GET /pos/web")],
  ["an asset, without its network", request("GET /web/assets/1/a.js")],
  ["an at sign in the path", request("GET /@example.test/x")],
  ["a doubled slash inside", request("GET /x//example.test")],
];

const refusals: readonly (readonly [string, string, readonly number[]])[] = [
  ["a foreign host", "GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n", twoReadings],
  ["no host", "GET / HTTP/1.1\r\n\r\n", twoReadings],
  ["no host in HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", twoReadings],
  ["two hosts", "GET / HTTP/1.1\r\nHost: odoo.test\r\nHost: evil.test\r\n\r\n", twoReadings],
  ["userinfo in the host", "GET / HTTP/1.1\r\nHost: odoo.test@evil.test\r\n\r\n", twoReadings],
  ["a port with a path", "GET / HTTP/1.1\r\nHost: odoo.test:80/evil\r\n\r\n", twoReadings],
  ["an absolute target", "GET http://evil.test/ HTTP/1.1\r\nHost: odoo.test\r\n\r\n", twoReadings],
  ["two leading slashes", "GET //evil.test/ HTTP/1.1\r\nHost: odoo.test\r\n\r\n", twoReadings],
  ["a backslash", "GET /\\evil.test/ HTTP/1.1\r\nHost: odoo.test\r\n\r\n", twoReadings],
  ["an escaped line end", "GET /%0d%0aX-Evil:%20y HTTP/1.1\r\nHost: odoo.test\r\n\r\n", twoReadings],
  ["a bare CR", "GET /\rX-Evil:y HTTP/1.1\r\nHost: odoo.test\r\n\r\n", twoReadings],
  ["a bare LF", "GET /\nX-Evil:y HTTP/1.1\r\nHost: odoo.test\r\n\r\n", [400, 505]],
  [
    "dot segments out of the challenges",
    "GET /.well-known/acme-challenge/../../web/login HTTP/1.1\r\nHost: odoo.test\r\n\r\n",
    twoReadings,
  ],
  ["an invented challenge", request("GET /.well-known/acme-challenge/evil"), [404]],
  [
    "h2c",
    request("GET /", [
      "Upgrade: h2c",
      "Connection: Upgrade, HTTP2-Settings",
      "HTTP2-Settings: AAMAAABkAAQAAP__",
    ]),
    twoReadings,
  ],
  ["an HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [0, 400, 405, 505]],
  ["a TLS hello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", [0, 400]],
  ["CONNECT", "CONNECT evil.test:443 HTTP/1.1\r\nHost: evil.test:443\r\n\r\n", [400, 405]],
];

export const plain: readonly RawCase[] = [
  ...redirects.map(([what, bytes]) => ({
    name: `plain HTTP leads to our own name on HTTPS and reaches nothing: ${what}`,
    bytes,
    expect: moved,
    closed: false,
    notInAnswer: ["location: http:", "evil"],
    plain: true,
  })),
  ...refusals.map(([what, bytes, expect]) => ({
    name: `plain HTTP does not answer ${what} with a way elsewhere`,
    bytes,
    expect,
    ...(expect.includes(404) ? { closed: false } : { closed: true }),
    notInAnswer: ["location:", "evil"],
    plain: true,
  })),
];
