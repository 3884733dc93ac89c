import { execFileSync } from "node:child_process";
import { getDiffieHellman } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { createServer as createTls } from "node:tls";
import { gzipSync } from "node:zlib";
import t from "tap";
import { parseIp } from "../../src/base/ip.ts";
import { ok } from "../../src/base/result.ts";
import { outsideChecks } from "../../src/check/catalogue.ts";
import type { Outcome, Report } from "../../src/report/finding.ts";
import { makeAuthority, makeKeyPem, makeServerCertificate } from "../../src/tls/x509.ts";
import { findingIn, type LookOptions, lookAt as look, troubles } from "../support/look.ts";
import { opensslMissing, startOcspAuthority } from "../support/ocsp.ts";
import {
  listen,
  loginPage,
  type SiteAnswer,
  type SiteRequest,
  type SiteScript,
  startSite,
} from "../support/site.ts";

type Change = (request: SiteRequest, good: SiteAnswer) => SiteAnswer | null;

/** A field of one path set, replaced or (null) taken away. */
function field(path: RegExp, name: string, ...values: readonly string[]): Change {
  return (request, good) => {
    if (!path.test(request.path) || request.plain) return good;
    const kept: string[] = [];
    for (let i = 0; i + 1 < good.fields.length; i += 2)
      if (good.fields[i]?.toLowerCase() !== name.toLowerCase())
        kept.push(good.fields[i] ?? "", good.fields[i + 1] ?? "");
    return { ...good, fields: [...kept, ...values.flatMap((value) => [name, value])] };
  };
}

/** What answers a path, whatever the good site says. */
function answers(path: RegExp, status: number, body = "", fields: readonly string[] = []): Change {
  return (request, good) => (path.test(request.path) && !request.plain ? { status, body, fields } : good);
}

function plain(status: number, location: ((request: SiteRequest) => string) | null): Change {
  return (request, good) =>
    request.plain
      ? { status, body: "", fields: location === null ? [] : ["Location", location(request)] }
      : good;
}

const login = /^\/web\/login$/;
const manager = '<form action="/web/database/create">';
const jsonVersion = '{"jsonrpc": "2.0", "id": 1, "result": "19.0"}';
const foreign = (request: SiteRequest) =>
  String(request.headers["x-forwarded-host"] ?? request.headers["x_forwarded_host"] ?? "");

/** Every check with sites that do not pass, and by what words one knows why. The hardened site passes all. */
const cases: readonly [id: string, outcome: Outcome, seen: RegExp, script: SiteScript | Change][] = [
  ["odoo-answers", "fail", /502: what stands in front does not reach Odoo/, answers(login, 502)],
  ["odoo-answers", "warn", /nothing in it says/, answers(login, 200, "<html>Welcome to nginx</html>")],
  ["odoo-answers", "warn", /401: a password is asked/, answers(login, 401)],
  [
    "odoo-answers",
    "warn",
    /301 to https:\/\/www\.odoo\.test.*another address/,
    answers(login, 301, "", ["Location", "https://www.odoo.test/"]),
  ],
  [
    "odoo-answers",
    "fail",
    /302 to \/web\/login: it redirects to itself without end/,
    answers(login, 302, "", ["Location", "/web/login"]),
  ],
  [
    "odoo-answers",
    "fail",
    /leads to plain HTTP, which leads back/,
    answers(login, 301, "", ["Location", "http://odoo.test/web/login"]),
  ],
  [
    "odoo-answers",
    "warn",
    /303 to \/fr\/web\/login: the log-in page is elsewhere on this site/,
    answers(login, 303, "", ["Location", "/fr/web/login"]),
  ],
  [
    "odoo-answers",
    "fail",
    /goes round without end \(\/web\/login, \/fr\/web\/login, \/web\/login\)/,
    ({ path }, good) =>
      path.endsWith("/web/login")
        ? {
            status: 302,
            body: "",
            fields: ["Location", path === "/web/login" ? "/fr/web/login" : "/web/login"],
          }
        : good,
  ],
  [
    "odoo-answers",
    "fail",
    /10 redirects in a row/,
    ({ path, target }, good) =>
      path === "/web/login"
        ? { status: 302, body: "", fields: ["Location", `${path}?n=${target.slice(13)}1`] }
        : good,
  ],
  [
    "odoo-answers",
    "warn",
    /302 to \/web\/login: the log-in page is elsewhere/,
    ({ path, headers }, good) =>
      path === "/web/login" && headers.cookie !== "seen=1"
        ? { status: 302, body: "", fields: ["Location", "/web/login", "Set-Cookie", "seen=1; Path=/"] }
        : good,
  ],
  ["odoo-answers", "warn", /no log-in form/, answers(login, 200, "<p>Odoo is being moved</p>")],
  ["plain-redirect", "fail", /200; content is served/, plain(200, null)],
  ["plain-redirect", "fail", /302 to http:\/\/.*no https/, plain(302, () => "http://odoo.test/")],
  ["plain-redirect", "warn", /path and query are lost/, plain(301, () => "https://odoo.test/")],
  ["plain-redirect", "warn", /temporary/, plain(302, ({ target }) => `https://odoo.test${target}`)],
  ["plain-redirect", "warn", /another name/, plain(301, ({ target }) => `https://elsewhere.test${target}`)],
  [
    "plain-redirect",
    "warn",
    /301 to https:\/\/evilodoo\.test.*another name/,
    plain(301, ({ target }) => `https://evilodoo.test${target}`),
  ],
  [
    "plain-redirect",
    "fail",
    /that is the plain port itself/,
    plain(301, ({ target, headers }) => `https://${headers.host}${target}`),
  ],
  ["plain-redirect", "warn", /403; plain requests are refused/, plain(403, null)],
  [
    "database-manager",
    "fail",
    /reached by GET \/web\/database\/manager/,
    answers(/^\/web\/database/, 200, manager),
  ],
  [
    "database-manager",
    "fail",
    /Switched off by list_db/,
    answers(/^\/web\/database/, 200, "The database manager has been disabled by the administrator"),
  ],
  [
    "database-manager-spellings",
    "fail",
    /by GET \/web%2fdatabase%2fmanager \(encoded slashes\)/,
    answers(/%2fdatabase/, 200, manager),
  ],
  [
    "database-manager-spellings",
    "fail",
    /GET \/en\/web\/database\/manager/,
    answers(/^\/en\/web/, 200, manager),
  ],
  ["database-manager-spellings", "fail", /the absolute form/, answers(/^http:/, 200, manager)],
  ["database-service", "fail", /POST \/jsonrpc \(JSON-RPC\)/, answers(/^\/jsonrpc/, 200, jsonVersion)],
  [
    "database-service",
    "fail",
    /by POST \/jsonrpc \(JSON-RPC, the service's name written with an escape\)/,
    (request, good) =>
      request.body.includes("\\u0064b") ? { status: 200, fields: [], body: jsonVersion } : good,
  ],
  [
    "database-service",
    "fail",
    /by POST \/xmlrpc\/2\/db/,
    answers(
      /^\/xmlrpc\/2\/db/,
      200,
      "<methodResponse><params><param><value><string>19.0</string></value></param></params></methodResponse>",
    ),
  ],
  [
    "database-list",
    "fail",
    /\/en\/web\/database\/list: 2 \(prod, test\)/,
    answers(/^\/en\/web\/database\/list/, 200, '{"result": ["prod", "test"]}'),
  ],
  [
    "database-list",
    "warn",
    /which the mobile app needs/,
    answers(/^\/web\/database\/list/, 200, '{"result": ["prod"]}'),
  ],
  [
    "database-list",
    "fail",
    /leads to the database selector/,
    answers(login, 303, "", ["Location", "/web/database/selector"]),
  ],
  [
    "database-list",
    "fail",
    /the log-in page offers a choice of databases/,
    answers(login, 200, `${loginPage}<a role="button" href="/web/database/selector">Select</a>`),
  ],
  [
    "database-list",
    "pass",
    /Neither the list/,
    ({ path }, good) =>
      path.endsWith("/web/database/list") ? { status: 200, fields: [], body: '{"result": []}' } : good,
  ],
  [
    "database-list",
    "pass",
    /Neither the list/,
    ({ path }, good) => (/database|rpc/.test(path) ? null : good),
  ],
  [
    "tls-versions",
    "fail",
    /TLS 1\.0, TLS 1\.1/,
    { tls: { minVersion: "TLSv1", ciphers: "ALL:@SECLEVEL=0" } },
  ],
  ["tls-versions", "warn", /^Accepted: TLS 1\.2;/, { tls: { maxVersion: "TLSv1.2" } }],
  [
    "tls-ciphers",
    "fail",
    /broken ciphers, the server chose AECDH/,
    { tls: { minVersion: "TLSv1", maxVersion: "TLSv1", ciphers: "ALL:@SECLEVEL=0" } },
  ],
  ["tls-ciphers", "pass", /^Nothing below TLS 1\.3/, { tls: { minVersion: "TLSv1.3" } }],
  [
    "tls-ciphers",
    "fail",
    /broken ciphers, the server chose AECDH/,
    { tls: { ciphers: "ALL:aNULL:@SECLEVEL=0" } },
  ],
  ["tls-ciphers", "warn", /chose ECDHE-ECDSA-AES\d+-SHA/, { tls: { ciphers: "ECDHE-ECDSA-AES128-SHA" } }],
  ["tls-key-exchange", "warn", /refused/, { tls: { ecdhCurve: "X25519:prime256v1" } }],
  ["http2", "warn", /chose http\/1\.1/, { tls: { ALPNProtocols: ["http/1.1"] } }],
  ["certificate-names", "fail", /DNS:other\.test, and odoo\.test is not/, { names: ["other.test"] }],
  ["certificate-days", "fail", /it has expired/, { days: [-30, -2] }],
  ["certificate-days", "fail", /Valid only from/, { days: [2, 30] }],
  ["certificate-days", "warn", /10 of 90 days left; it should/, { days: [-79.5, 10.5] }],
  ["certificate-chain", "fail", /not trusted: CERT_HAS_EXPIRED/, { days: [-30, -2] }],
  ["hsts", "fail", /no Strict-Transport-Security/, field(login, "Strict-Transport-Security")],
  ["hsts", "fail", /max-age=0/, field(login, "Strict-Transport-Security", "max-age=0")],
  ["hsts", "fail", /no readable max-age/, field(login, "Strict-Transport-Security", "includeSubDomains")],
  [
    "hsts",
    "fail",
    /no readable max-age/,
    field(login, "Strict-Transport-Security", "max-age=31536000; max-age=0"),
  ],
  [
    "hsts",
    "pass",
    /max-age=9999999999999$/,
    field(login, "Strict-Transport-Security", "max-age=9999999999999"),
  ],
  ["hsts", "warn", /less than a year/, field(login, "Strict-Transport-Security", "max-age=86400")],
  [
    "hsts-preload",
    "warn",
    /not fit: lacking max-age of a year, includeSub/,
    field(login, "Strict-Transport-Security", "max-age=300; preload"),
  ],
  ["header-framing", "fail", /X-Frame-Options: none/, noFraming()],
  [
    "header-framing",
    "fail",
    /every site may frame it/,
    field(login, "Content-Security-Policy", "frame-ancestors *"),
  ],
  [
    "header-framing",
    "fail",
    /\* \| https:\/\/\*; every site may frame it/,
    field(login, "Content-Security-Policy", "frame-ancestors *, frame-ancestors https://*"),
  ],
  [
    "header-framing",
    "pass",
    /\* \| 'self'\.$/,
    field(login, "Content-Security-Policy", "frame-ancestors *", "script-src *, frame-ancestors 'self'"),
  ],
  ["header-framing", "pass", /SAMEORIGIN, sameorigin/, noFraming("SAMEORIGIN, sameorigin")],
  ["header-framing", "warn", /DENY, SAMEORIGIN.*contradict/, noFraming("DENY", "SAMEORIGIN")],
  ["header-framing", "fail", /ALLOWALL.*do not know/, noFraming("ALLOWALL")],
  [
    "header-content-type-options",
    "pass",
    /nosniff, nosniff/,
    field(login, "X-Content-Type-Options", "nosniff", "nosniff"),
  ],
  ["header-content-type-options", "fail", /carries no X-Content/, field(login, "X-Content-Type-Options")],
  ["header-content-type-options", "fail", /: sniff/, field(login, "X-Content-Type-Options", "sniff")],
  ["header-referrer-policy", "warn", /carries no/, field(login, "Referrer-Policy")],
  ["header-referrer-policy", "warn", /more than it should/, field(login, "Referrer-Policy", "unsafe-url")],
  [
    "header-referrer-policy",
    "warn",
    /no-referrer, unsafe-url; it tells more/,
    field(login, "Referrer-Policy", "no-referrer", "unsafe-url"),
  ],
  [
    "header-referrer-policy",
    "pass",
    /same-origin, of-tomorrow/,
    field(login, "Referrer-Policy", "same-origin, of-tomorrow"),
  ],
  [
    "header-permissions-policy",
    "warn",
    /browsers cannot read it/,
    field(login, "Permissions-Policy", "camera 'none'; microphone 'none'"),
  ],
  [
    "header-permissions-policy",
    "warn",
    /camera is off/,
    field(login, "Permissions-Policy", "camera=(self)", "camera=()"),
  ],
  ["header-permissions-policy", "warn", /carries no/, field(login, "Permissions-Policy")],
  [
    "header-permissions-policy",
    "warn",
    /camera, payment is off/,
    field(login, "Permissions-Policy", "camera=(), payment=()"),
  ],
  ["header-csp", "skipped", /GET \/web\/login: 502/, answers(login, 502)],
  ["header-csp", "warn", /carries no/, field(login, "Content-Security-Policy")],
  [
    "header-csp",
    "warn",
    /scripts are not limited/,
    field(login, "Content-Security-Policy", "frame-ancestors 'self'"),
  ],
  ["header-csp", "warn", /from anywhere/, field(login, "Content-Security-Policy", "default-src *")],
  [
    "header-csp",
    "warn",
    /breaks Odoo's web client/,
    field(login, "Content-Security-Policy", "script-src 'self'"),
  ],
  [
    "header-csp",
    "warn",
    /from anywhere: https:\/\/\* 'unsafe-eval'/,
    field(login, "Content-Security-Policy", "script-src https://* 'unsafe-eval'"),
  ],
  [
    "header-csp",
    "pass",
    /^Enforced, scripts from: \* 'unsafe-eval' \| 'self' 'unsafe-eval'$/,
    field(
      login,
      "Content-Security-Policy",
      "script-src * 'unsafe-eval'",
      "frame-ancestors 'self', script-src 'self' 'unsafe-eval'",
    ),
  ],
  ["header-csp", "warn", /report only, but scripts may come from anywhere/, reportOnly("script-src *")],
  [
    "headers-doubled",
    "warn",
    /x-frame-options on the log-in page: DENY \| deny/,
    field(login, "X-Frame-Options", "DENY", "deny"),
  ],
  [
    "headers-doubled",
    "warn",
    /max-age=2592000 \| public, immutable\.$/,
    field(/^\/web\/assets/, "Cache-Control", "max-age=2592000", "public, immutable"),
  ],
  [
    "headers-doubled",
    "fail",
    /contradict/,
    field(/^\/web\/assets/, "Cache-Control", "max-age=2592000", "public, max-age=60"),
  ],
  ["headers-doubled", "fail", /contradict/, field(login, "Cache-Control", "no-store", "public")],
  ["headers-doubled", "fail", /contradict/, field(login, "X-Frame-Options", "DENY", "SAMEORIGIN")],
  ["headers-on-errors", "warn", /404, without x-content-type-options/, answers(/^\/odoo-gateway-check/, 404)],
  [
    "cookie-flags",
    "fail",
    /session_id lacks Secure, HttpOnly, SameSite/,
    field(login, "Set-Cookie", "session_id=x"),
  ],
  [
    "cookie-flags",
    "fail",
    /SameSite=None/,
    field(login, "Set-Cookie", "session_id=x; Secure; HttpOnly; SameSite=None"),
  ],
  [
    "cookie-flags",
    "warn",
    /SameSite=Strict/,
    field(login, "Set-Cookie", "session_id=x; Secure; HttpOnly; SameSite=Strict"),
  ],
  [
    "cookie-flags",
    "fail",
    /session_id lacks SameSite\.$/,
    field(login, "Set-Cookie", "session_id=x; Secure; HttpOnly; SameSite=Relaxed"),
  ],
  ["cookie-flags", "skipped", /no session cookie/, field(login, "Set-Cookie", "frontend_lang=en_US")],
  ["banner", "fail", /Werkzeug\/2\.2\.2/, field(login, "Server", "Werkzeug/2.2.2 Python/3.11.2")],
  ["banner", "warn", /the product is named/, field(login, "Server", "nginx")],
  ["banner", "warn", /via: 1\.1 Caddy.*the product is named/, field(login, "Via", "1.1 Caddy")],
  ["banner", "fail", /via: 1\.1 varnish \(Varnish\/7\.1\)/, field(login, "Via", "1.1 varnish (Varnish/7.1)")],
  [
    "version-leaks",
    "warn",
    /version_info \(15\.0\); Odoo 15 gets no fixes any more/,
    ({ path }, good) =>
      path === "/jsonrpc"
        ? null
        : path.endsWith("version_info")
          ? { status: 200, fields: [], body: '{"result": {"server_version": "15.0"}}' }
          : good,
  ],
  ["version-leaks", "pass", /\/jsonrpc closed/, ({ path }, good) => (path === "/jsonrpc" ? null : good)],
  [
    "version-leaks",
    "warn",
    /\/web\/version \(19\.0\)/,
    answers(/^\/web\/version$/, 200, '{"version": "19.0"}'),
  ],
  [
    "version-leaks",
    "warn",
    /\/web\/version \(99\.0-20250101\); this build is [0-9]+ days old: update\.$/,
    answers(/^\/web\/version$/, 200, '{"version": "99.0-20250101"}'),
  ],
  [
    "error-details",
    "warn",
    /A traceback came with POST \/web\/dataset\/call_kw, POST \/jsonrpc, POST \/xmlrpc\/2\/common\.$/,
    ({ path }, good) =>
      path === "/xmlrpc/2/common"
        ? { status: 200, fields: [], body: 'File "/opt/odoo/http.py", line 3, in dispatch' }
        : path === "/jsonrpc"
          ? { status: 200, fields: [], body: String.raw`{"debug": "File \"/opt/odoo/http.py\", line 3"}` }
          : path === "/web/dataset/call_kw"
            ? { status: 200, fields: [], body: '{"debug": "Traceback (most recent call last):"}' }
            : good,
  ],
  ["error-details", "pass", /POST \/jsonrpc closed/, ({ path }, good) => (path === "/jsonrpc" ? null : good)],
  ["websocket", "fail", /200: the proxy answered with a page/, answers(/^\/websocket/, 200, "<html>")],
  [
    "websocket",
    "fail",
    /400: the proxy does not pass Upgrade/,
    answers(/^\/websocket/, 400, "Missing Upgrade header"),
  ],
  ["websocket", "fail", /401: a password is asked for first/, answers(/^\/websocket/, 401)],
  ["websocket", "skipped", /401, as every page here/, answers(/^\/web(?:socket|\/login)$/, 401)],
  ["websocket", "fail", /403: refused, although the Origin/, answers(/^\/websocket/, 403)],
  ["websocket", "fail", /404: no such route/, answers(/^\/websocket/, 404)],
  ["websocket", "fail", /500: it reached Odoo's port 8069/, answers(/^\/websocket/, 500)],
  ["websocket", "fail", /502: nothing answers on port 8072/, answers(/^\/websocket/, 502)],
  [
    "websocket",
    "fail",
    /does not fit the key/,
    answers(/^\/websocket/, 101, "", ["Sec-WebSocket-Accept", "wrong"]),
  ],
  [
    "websocket",
    "fail",
    /101, but without Upgrade: websocket and Connection: Upgrade/,
    ({ path }, good) =>
      path === "/websocket" && good.status === 101 ? { ...good, fields: good.fields.slice(4) } : good,
  ],
  ["websocket", "fail", /closed connection/, ({ path }, good) => (path === "/websocket" ? null : good)],
  ["websocket-origin", "skipped", /No WebSocket opens/, answers(/^\/websocket/, 404)],
  [
    "forwarded-host",
    "fail",
    /with X-Forwarded-Host: \S+ came back in Location/,
    (request, good) =>
      request.path === "/web//health" && foreign(request) !== ""
        ? { status: 308, body: "", fields: ["Location", `https://${foreign(request)}/`] }
        : good,
  ],
  [
    "forwarded-host",
    "fail",
    /\/robots\.txt .* came back in the page/,
    (request, good) =>
      request.path === "/robots.txt"
        ? { status: 200, fields: [], body: `Sitemap: https://${foreign(request)}/sitemap.xml` }
        : good,
  ],
  [
    "foreign-host",
    "fail",
    /the name came back in Location/,
    (request, good) =>
      request.path === "/web//health"
        ? { status: 308, body: "", fields: ["Location", `https://${request.headers.host}/`] }
        : good,
  ],
  ["foreign-host", "warn", /200, served by Odoo/, answers(/^\/web\/\/health/, 200, "Odoo")],
  ["foreign-host", "warn", /health for .* 200, served by Odoo/, answers(/health/, 200, '{"status": "pass"}')],
  ["foreign-host", "warn", /GET \/web\/login for .* 200, served by Odoo/, answers(login, 200, loginPage)],
  [
    "foreign-host",
    "pass",
    /GET \/web\/login: 404/,
    ({ headers }) => ({ status: 404, fields: [], body: `no site is called ${headers.host}` }),
  ],
  [
    "forwarded-host",
    "fail",
    /\/web\/login .* came back in the page/,
    (request, good) =>
      request.path === "/web/login"
        ? {
            status: 200,
            fields: [],
            body: `<meta property="og:url" content="https://${foreign(request)}/"/>`,
          }
        : good,
  ],
  [
    "proxy-mode",
    "fail",
    /takes itself for plain http/,
    answers(/^\/web\/\/health/, 308, "", ["Location", "http://odoo.test/web/health"]),
  ],
  [
    "proxy-mode",
    "warn",
    /takes itself for 127\.0\.0\.1/,
    answers(/^\/web\/\/health/, 308, "", ["Location", "https://127.0.0.1/web/health"]),
  ],
  ["proxy-mode", "skipped", /cannot be told/, answers(/^\/web\/\/health/, 404)],
  [
    "proxy-mode",
    "fail",
    /the page names http:\/\/odoo\.test\/web\/login; Odoo takes itself/,
    ({ path }, good) => {
      const body = `${loginPage}<a href="http://other.test/"></a><link href="http://odoo.test/web/login"/>`;
      return path === "/web//health"
        ? { status: 404, fields: [], body: "" }
        : path === "/web/login"
          ? { ...good, body }
          : good;
    },
  ],
  [
    "cache-private",
    "fail",
    /\.css: 303 with Cache-Control: public/,
    answers(/^\/odoo\//, 303, "", ["Cache-Control", "public, max-age=60"]),
  ],
  ["cache-private", "fail", /x-cache: HIT/, answers(/^\/web\/content/, 200, "", ["X-Cache", "HIT"])],
  [
    "cache-private",
    "fail",
    /\/odoo\/\S+\.css: 200 with Cache-Control: public\.$/,
    ({ path }, good) =>
      path.startsWith("/odoo/")
        ? { status: 200, body: "", fields: ["Cache-Control", "public"] }
        : path.startsWith("/my/")
          ? { status: 200, body: "", fields: ["X", "y".repeat(70_000)] }
          : good,
  ],
  [
    "cache-private",
    "pass",
    /\.css 200/,
    answers(/^\/odoo\//, 200, "", ["Cache-Control", "public, no-store"]),
  ],
  [
    "cache-cookies",
    "fail",
    /out of a cache \(age: 12\)/,
    answers(/^\/web\/assets/, 200, "", ["Age", "12", "Set-Cookie", "session_id=x"]),
  ],
  ["compression", "warn", /uncompressed/, field(/^\/web\/assets/, "Content-Encoding")],
  ["compression", "warn", /no Vary/, field(/^\/web\/assets/, "Vary")],
  [
    "default-logins",
    "fail",
    /Let in: admin\/admin\.$/,
    ({ method, body }, good) =>
      method === "POST" && body.includes("login=admin&password=admin")
        ? { status: 303, body: "", fields: ["Location", "/odoo"] }
        : good,
  ],
  [
    "default-logins",
    "skipped",
    /of admin and demo \(admin: 502, demo: 502\)/,
    ({ method }, good) => (method === "POST" ? { status: 502, body: "", fields: [] } : good),
  ],
  ...[403, 429, 400].map((status): (typeof cases)[number] => [
    "default-logins",
    "skipped",
    new RegExp(`No word came on the password of admin and demo \\(admin: ${status}, demo: ${status}\\)`),
    ({ method }, good) => (method === "POST" ? { status, body: "", fields: [] } : good),
  ]),
  [
    "default-logins",
    "skipped",
    /of demo \(admin: 200, demo: closed\)/,
    ({ method, body }, good) => (method === "POST" && body.includes("login=demo") ? null : good),
  ],
  ["default-logins", "pass", /admin: 200, demo: 200/, answers(login, 200, loginPage)],
  ["login-limit", "fail", /12 wrong guesses/, answers(login, 200, loginPage)],
  [
    "login-limit",
    "pass",
    /refused/,
    ({ path, method }, good) => (path === "/web/login" && method === "POST" ? null : good),
  ],
  [
    "login-limit-doors",
    "fail",
    /tried by POST \/en\/web\/login, POST \/web\/session\/authenticate, POST \/jsonrpc, POST \/xmlrpc\/2\/common\.$/,
    everyDoorButTheForm(200),
  ],
  [
    "login-limit-doors",
    "pass",
    /POST \/xmlrpc\/2\/common: Guess 1 was answered with 429/,
    everyDoorButTheForm(429),
  ],
  ["login-limit-doors", "skipped", /The form itself is not limited/, answers(login, 200, loginPage)],
];

/** What each check has said of the sites of this file. */
const said = new Map<string, Set<Outcome>>();

async function lookAt(url: string, options: LookOptions): Promise<Report> {
  const report = await look(url, options);
  for (const { id, outcome } of report.findings)
    said.set(id, (said.get(id) ?? new Set<Outcome>()).add(outcome));
  return report;
}

/** A resolver that knows one answer. */
function resolvesTo(...addresses: readonly string[]): NonNullable<LookOptions["resolve"]> {
  return async () => ok(addresses.map((text) => parseIp(text)).filter((ip) => ip !== null));
}

/** The policy is tried out and not enforced. */
function reportOnly(value: string): Change {
  const name = "Content-Security-Policy";
  const [enforced, tried] = [field(login, name), field(login, `${name}-Report-Only`, value)];
  return (request, good) => {
    const first = enforced(request, good);
    return first === null ? null : tried(request, first);
  };
}

/** What Odoo says to a wrong password wherever it is not asked for at /web/login. */
function everyDoorButTheForm(status: number): Change {
  return ({ path, method }, good) => {
    if (method !== "POST") return good;
    if (path === "/en/web/login") return { status, fields: [], body: loginPage };
    if (path === "/xmlrpc/2/common") return { status, fields: [], body: "<methodResponse></methodResponse>" };
    const isJson = path === "/jsonrpc" || path === "/web/session/authenticate";
    return isJson ? { status, fields: [], body: '{"jsonrpc": "2.0", "id": 1, "error": {}}' } : good;
  };
}

/** No frame-ancestors, and of the older field these lines alone. */
function noFraming(...options: readonly string[]): Change {
  const [option, policy] = [
    field(login, "X-Frame-Options", ...options),
    field(login, "Content-Security-Policy"),
  ];
  return (request, good) => {
    const first = option(request, good);
    return first === null ? null : policy(request, first);
  };
}

t.test("a hardened site passes everything", async (t) => {
  const site = await startSite();
  t.teardown(() => site.close());
  const { authority: authorities, httpPort } = site;
  const closed = await closedPort();
  const report = await lookAt(site.url, {
    authorities,
    httpPort,
    loginCanary: true,
    directPorts: [closed],
    address: null,
    resolve: resolvesTo("127.0.0.1"),
  });
  t.same(troubles(report), [], report.findings.map(({ id, seen }) => `${id}: ${seen}`).join("\n"));
  t.same(
    report.findings.map(({ id }) => id),
    outsideChecks.map(({ id }) => id),
    "and everything was looked at",
  );
  t.ok(site.requests.every(({ headers }) => headers["user-agent"] === "odoo-gateway-check/0.0.0-test"));
});

for (const [id, outcome, seen, script] of cases) {
  t.test(`${id}: ${outcome}, ${seen.source}`, async (t) => {
    const site = await startSite(typeof script === "function" ? { change: script } : script);
    t.teardown(() => site.close());
    const { authority: authorities, httpPort } = site;
    const report = await lookAt(site.url, { authorities, httpPort, loginCanary: true, ids: [id] });
    const finding = findingIn(report, id);
    t.equal(finding.outcome, outcome, finding.seen);
    t.match(finding.seen, seen);
  });
}

t.test(
  "what a site compresses unasked is read all the same, and a bomb is not taken for nothing",
  async (t) => {
    for (const [body, outcome, seen] of [
      [gzipSync(manager), "fail", /The manager is reached by GET/],
      [gzipSync(Buffer.alloc(30_000_000)), "skipped", /the body cannot be read as gzip/],
      [Buffer.from("hello"), "skipped", /the body cannot be read as gzip/],
    ] as const) {
      const server = createTls({ ...(await ownCertificate()) }, (socket) =>
        socket.once("data", () => {
          socket.write(`HTTP/1.1 200 x\r\nContent-Encoding: gzip\r\nContent-Length: ${body.length}\r\n\r\n`);
          socket.end(body);
        }),
      );
      t.teardown(() => server.close());
      const port = await listen(server);
      const report = await lookAt(`https://odoo.test:${port}`, { ids: ["database-manager"] });
      const finding = findingIn(report, "database-manager");
      t.equal(finding.outcome, outcome, finding.seen);
      t.match(finding.seen, seen);
    }
  },
);

t.test("a name with an address that leads nowhere, or to another site", async (t) => {
  const site = await startSite();
  t.teardown(() => site.close());
  const other = createTls({ ...(await ownCertificate("other.test")) }, (socket) => socket.destroy());
  t.teardown(() => other.close());
  await new Promise<void>((resolve) => other.listen(site.httpsPort, "127.0.0.3", resolve));
  const addresses = async (...all: readonly string[]) =>
    findingIn(
      await lookAt(site.url, { address: null, resolve: resolvesTo(...all), ids: ["addresses"] }),
      "addresses",
    );
  t.match(await addresses("127.0.0.1"), { outcome: "pass", seen: "The name has one address, 127.0.0.1." });
  t.match(await addresses("127.0.0.1", "127.0.0.2"), {
    outcome: "fail",
    seen: /but 127\.0\.0\.2 does not answer \(.*ECONNREFUSED/,
  });
  t.match(await addresses("127.0.0.2", "127.0.0.1"), {
    outcome: "fail",
    seen: /^Looked at by 127\.0\.0\.1, but 127\.0\.0\.2 does not answer/,
  });
  t.match(await addresses("127.0.0.1", "127.0.0.3"), {
    outcome: "fail",
    seen: /127\.0\.0\.3 shows a certificate for DNS:other\.test\.$/,
  });
  t.match(await addresses("127.0.0.1", "127.0.0.1", "127.0.0.1", "127.0.0.1", "127.0.0.1", "127.0.0.1"), {
    outcome: "pass",
    seen: /show the same name; 1 more were not looked at/,
  });
});

t.test("a short group for Diffie-Hellman", async (t) => {
  const folder = t.testdir({});
  const [cert, key] = [join(folder, "c.pem"), join(folder, "k.pem")];
  const made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "90", "-subj", "/CN=odoo.test"];
  execFileSync("openssl", [...made, "-keyout", key, "-out", cert], { stdio: "ignore" });
  for (const [group, outcome, seen] of [
    ["modp2", "warn", /a group of 1024 bits/],
    ["modp14", "pass", /offered with TLS 1\.2 and refused/],
  ] as const) {
    const dhparam = groupPem(group);
    const ciphers = "DHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0";
    const site = await startSite({
      tls: { cert: readFileSync(cert), key: readFileSync(key), ciphers, dhparam, maxVersion: "TLSv1.2" },
    });
    t.teardown(() => site.close());
    const finding = findingIn(await lookAt(site.url, { ids: ["tls-ciphers"] }), "tls-ciphers");
    t.equal(finding.outcome, outcome, finding.seen);
    t.match(finding.seen, seen);
  }
});

t.test("a site by its IPv6 address redirects to itself", async (t) => {
  const site = await startSite({
    change: plain(301, ({ target, headers }) => `https://${headers.host?.replace(/:[0-9]+$/, "")}${target}`),
  });
  t.teardown(() => site.close());
  const report = await lookAt(`https://[::1]:${site.httpsPort}`, {
    httpPort: site.httpPort,
    ids: ["plain-redirect"],
  });
  t.match(findingIn(report, "plain-redirect"), {
    outcome: "pass",
    seen: new RegExp(`^GET http://\\[::1\\]:${site.httpPort}/`),
  });
});

t.test("a certificate without alternative names is for no name", async (t) => {
  const folder = t.testdir({});
  const [cert, key] = [join(folder, "c.pem"), join(folder, "k.pem")];
  const made = [
    "req",
    "-x509",
    "-newkey",
    "rsa:2048",
    "-nodes",
    "-md5",
    "-days",
    "90",
    "-subj",
    "/CN=odoo.test",
  ];
  execFileSync("openssl", [...made, "-keyout", key, "-out", cert], { stdio: "ignore" });
  const site = await startSite({
    tls: { cert: readFileSync(cert), key: readFileSync(key), ciphers: "DEFAULT@SECLEVEL=0" },
  });
  t.teardown(() => site.close());
  const report = await lookAt(site.url, { ids: ["certificate-names", "certificate-key"] });
  t.match(findingIn(report, "certificate-names"), { outcome: "fail", seen: /no alternative names/ });
  t.match(findingIn(report, "certificate-key"), { outcome: "fail", seen: /signed with MD5/ });
});

t.test("certificates nobody trusts, and short keys", async (t) => {
  const site = await startSite({ leafOnly: true });
  t.teardown(() => site.close());
  const chain = findingIn(await lookAt(site.url, { ids: ["certificate-chain"] }), "certificate-chain");
  t.match(chain, { outcome: "fail", seen: /not trusted: UNABLE_TO_/ });
  t.match(chain.fix, /full chain/);
  const folder = t.testdir({});
  const [cert, key] = [join(folder, "c.pem"), join(folder, "k.pem")];
  const made = [
    "req",
    "-x509",
    "-newkey",
    "rsa:1024",
    "-nodes",
    "-sha1",
    "-days",
    "90",
    "-subj",
    "/CN=odoo.test",
  ];
  execFileSync(
    "openssl",
    [...made, "-addext", "subjectAltName=DNS:odoo.test", "-keyout", key, "-out", cert],
    { stdio: "ignore" },
  );
  const weak = await startSite({
    tls: { cert: readFileSync(cert), key: readFileSync(key), ciphers: "DEFAULT@SECLEVEL=0" },
  });
  t.teardown(() => weak.close());
  const report = await lookAt(weak.url, {
    ids: ["certificate-key", "certificate-chain", "certificate-names"],
  });
  t.match(findingIn(report, "certificate-key"), {
    outcome: "fail",
    seen: /rsa 1024 bits; signed with SHA-1/,
  });
  t.match(findingIn(report, "certificate-chain"), { outcome: "fail", seen: /DEPTH_ZERO_SELF_SIGNED_CERT/ });
  t.equal(findingIn(report, "certificate-names").outcome, "pass", "the look goes on in spite of the chain");
});

t.test(
  "an OCSP answer that does not come with the certificate",
  opensslMissing() === null ? {} : { skip: "no openssl" },
  async (t) => {
    const authority = await startOcspAuthority();
    t.teardown(() => authority.close());
    const responder = "authorityInfoAccess=OCSP;URI:http://ocsp.example.com/x";
    for (const [extensions, isStapled, outcome, words] of [
      [[responder], false, "warn", "the OCSP responder http://ocsp.example.com/x, and no answer"],
      [[responder], true, "pass", "An OCSP answer is stapled."],
      [[responder, "tlsfeature=status_request"], false, "fail", "(must-staple), and none came"],
      [["tlsfeature=status_request"], true, "pass", "is stapled"],
      [["extendedKeyUsage=serverAuth"], false, "pass", "names no OCSP responder"],
    ] as const) {
      const { certFile, keyFile } = authority.issue(["odoo.test"], extensions);
      const server = createTls({ cert: readFileSync(certFile), key: readFileSync(keyFile) }, (socket) =>
        socket.end(),
      );
      server.on("OCSPRequest", (_certificate, _issuer, answer) =>
        answer(null, isStapled ? Buffer.from([0x30, 3, 0x0a, 1, 0]) : Buffer.alloc(0)),
      );
      const port = await listen(server);
      const id = "certificate-stapling";
      const finding = findingIn(await lookAt(`https://odoo.test:${port}`, { ids: [id] }), id);
      await new Promise((resolve) => server.close(resolve));
      t.equal(finding.outcome, outcome, finding.seen);
      t.match(finding.seen, words);
    }
  },
);

t.test("a foreign page's WebSocket, https, and ports past the gateway", async (t) => {
  const loose = await startSite({
    change: ({ path, headers }, good) =>
      path === "/websocket" && good.status === 403 ? accept(headers) : good,
  });
  t.teardown(() => loose.close());
  const direct = createServer((socket) => socket.destroy());
  t.teardown(() => direct.close());
  const port = await listen(direct);
  const report = await lookAt(loose.url, {
    directPorts: [port],
    ids: ["websocket-origin", "direct-ports", "https"],
  });
  t.match(findingIn(report, "websocket-origin"), { outcome: "warn", seen: /foreign Origin got 101/ });
  t.match(findingIn(report, "direct-ports"), {
    outcome: "fail",
    seen: new RegExp(`Open on 127.0.0.1: ${port}`),
  });
  t.equal(findingIn(report, "https").outcome, "pass");
  const clear = await lookAt(`http://odoo.test:${loose.httpPort}`, {
    ids: ["https", "plain-redirect", "hsts"],
  });
  t.same(troubles(clear), ["hsts skipped", "https fail", "plain-redirect fail"]);
});

// Other systems have no 127.0.0.2.
const linuxOnly = { skip: process.platform === "linux" ? false : "one loopback address only" };
t.test("a port that is open on another address of the name is told", linuxOnly, async (t) => {
  const site = await startSite();
  const direct = createServer((socket) => socket.destroy());
  const port = await closedPort();
  await new Promise<void>((resolve) => direct.listen(port, "127.0.0.2", resolve));
  t.teardown(() => Promise.all([site.close(), direct.close()]));
  const report = await lookAt(site.url, {
    authorities: site.authority,
    directPorts: [port],
    address: null,
    resolve: resolvesTo("127.0.0.1", "127.0.0.2"),
    ids: ["direct-ports"],
  });
  t.match(findingIn(report, "direct-ports"), { outcome: "fail", seen: `Open on 127.0.0.2: ${port} (` });
});

t.test("every check has met a site where it passes and one where it does not", async (t) => {
  for (const { id } of outsideChecks) {
    t.ok(said.get(id)?.has("pass"), `${id} passes somewhere above`);
    t.ok(said.get(id)?.has("fail") || said.get(id)?.has("warn"), `${id} finds something somewhere above`);
  }
});

/** A well-known group of RFC 2409 or 3526 as `dhparam` wants it: a sequence of its prime and the generator 2. */
function groupPem(name: string): string {
  const prime = Buffer.concat([Buffer.from([0]), getDiffieHellman(name).getPrime()]);
  const long = (type: number, body: Buffer) =>
    Buffer.concat([Buffer.from([type, 0x82, body.length >> 8, body.length & 255]), body]);
  const der = long(0x30, Buffer.concat([long(2, prime), Buffer.from([2, 1, 2])]));
  return `-----BEGIN DH PARAMETERS-----\n${der.toString("base64")}\n-----END DH PARAMETERS-----\n`;
}

async function ownCertificate(name = "odoo.test") {
  const now = Date.now();
  const life = { notBeforeMs: now - 86_400_000, notAfterMs: now + 86_400_000 };
  const [authorityKeyPem, key] = [makeKeyPem(), makeKeyPem()];
  const authorityPem = await makeAuthority({ ...life, keyPem: authorityKeyPem, commonName: "own authority" });
  const cert = await makeServerCertificate({
    ...life,
    authorityPem,
    authorityKeyPem,
    keyPem: key,
    names: [name],
  });
  return { cert, key };
}

function accept(headers: SiteRequest["headers"]): SiteAnswer {
  return {
    status: 101,
    body: "",
    fields: ["Upgrade", "websocket", "X-Key", String(headers["sec-websocket-key"])],
  };
}

async function closedPort(): Promise<number> {
  const server = createServer();
  const port = await listen(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}
