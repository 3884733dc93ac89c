import { type RawCase, request, twoReadings } from "./case.ts";

/** Every spelling that Odoo takes for a guarded route, and paths that no one but a scanner asks for. */

const guarded: readonly string[] = [
  "GET /web/database/manager",
  "GET /web/database/selector",
  "POST /web/database/list",
  "POST /web/database/create",
  "POST /web/database/drop",
  "POST /web/database/backup",
  "POST /web/database/restore",
  "POST /web/database/duplicate",
  "POST /web/database/change_password",
  "POST /xmlrpc/db",
  "POST /xmlrpc/2/db",
];

const spellings: readonly (readonly [string, (path: string) => string])[] = [
  ["as it is", (path) => path],
  ["a trailing slash", (path) => `${path}/`],
  ["two trailing slashes", (path) => `${path}//`],
  ["a query", (path) => `${path}?a=b`],
  ["an empty query", (path) => `${path}?`],
  ["a language", (path) => `/fr${path}`],
  ["the default language", (path) => `/en${path}`],
  ["a language with a country", (path) => `/pt_BR${path}`],
  ["a language and two slashes", (path) => `/fr/${path}`],
  ["an escaped language", (path) => `/%66r${path}`],
  ["two leading slashes", (path) => `/${path}`],
  ["three leading slashes", (path) => `//${path}`],
  ["doubled inner slashes", (path) => `/${path.slice(1).replaceAll("/", "//")}`],
  ["an escaped first letter", (path) => `/%${path.charCodeAt(1).toString(16)}${path.slice(2)}`],
  ["escaped letters", (path) => path.replaceAll("a", "%61").replaceAll("c", "%63")],
  ["escaped slashes", (path) => `/${path.slice(1).replaceAll("/", "%2f")}`],
  ["an escaped leading slash", (path) => `/%2f${path.slice(1)}`],
  ["escaped twice", (path) => `/%25${path.charCodeAt(1).toString(16)}${path.slice(2)}`],
  ["capitals", (path) => path.toUpperCase()],
  ["a fragment", (path) => `${path}#x`],
  ["a dot segment", (path) => `/.${path}`],
  ["an inner dot segment", (path) => path.replace("/", "/x/../")],
  ["an escaped dot segment", (path) => `/x/%2e%2e${path}`],
  ["a dot segment out of a static folder", (path) => `/web/static/..${path}`],
  ["a path parameter", (path) => `/..;${path}`],
  ["a scheme", (path) => `x:${path}`],
  ["the absolute form", (path) => `http://odoo.test${path}`],
  ["the absolute form of another host", (path) => `http://evil.test${path}`],
  ["no leading slash", (path) => path.slice(1)],
  ["a backslash", (path) => path.replaceAll("/", "\\")],
  ["an escaped backslash", (path) => `/%5c${path.slice(1)}`],
  ["an escaped NUL", (path) => `${path}%00`],
  ["an escaped line end", (path) => `${path}%0d%0aX:%20y`],
  ["an escaped space", (path) => `${path}%20`],
  ["an overlong slash", (path) => `/web/static%c0%af..${path}`],
];

const guardedCases: readonly RawCase[] = guarded.flatMap((start) => {
  const [method = "", path = ""] = start.split(" ");
  const body = method === "POST" ? "{}" : "";
  const lines = method === "POST" ? ["Content-Type: application/json", "Content-Length: 2"] : [];
  return spellings.map(([what, spell]) => ({
    name: `${method} ${path} with ${what} is not reached`,
    bytes: request(`${method} ${spell(path)}`, lines, body),
    expect: [400, 403, 404],
    // What is unread of a refused body is not read for the sake of the connection.
    ...(method === "POST" ? { closed: true } : {}),
    notInAnswer: ["odoo-backend"],
  }));
});

const traversal: readonly RawCase[] = [
  "/../../etc/passwd",
  "/web/static/../../../etc/passwd",
  "/web/static/..%2f..%2f..%2fetc/passwd",
  "/web/static/%2e%2e/%2e%2e/etc/passwd",
  "/web/static/..%5c..%5cwin.ini",
  "/web/static/..\\..\\win.ini",
  "/web/static/%252e%252e/etc/passwd",
  "/web/static/.%2e/x",
  "/web/static/..;/x",
  "/web/static/..",
  "/web/static/.",
  "/base_import/static/c:/windows/win.ini",
  "/base_import/static/C:/windows/win.ini",
  "/base_import/static/c%3a/windows/win.ini",
  "/web/static/%c0%ae%c0%ae/x",
  "/web/static/%e0%80%ae/x",
  "/web/static/%",
  "/web/static/%zz",
  "/web/static/%u002e",
  "/web/static/x%00.png",
  "/web/static/x%0a",
  "/web/static/x%7f",
  "/web/static/%ff",
  "/web?a=%00",
].map((target) => ({
  name: `no way out of the folder by ${target}`,
  bytes: request(`GET ${target}`),
  expect: twoReadings,
}));

const scanners: readonly RawCase[] = [
  "/.env",
  "/.git/config",
  "/.git/HEAD",
  "/.aws/credentials",
  "/.ssh/id_rsa",
  "/.DS_Store",
  "/.htaccess",
  "/.htpasswd",
  "/.svn/entries",
  "/.vscode/settings.json",
  "/api/.env",
  "/app/.git/config",
  "/wp-login.php",
  "/wp-admin/setup-config.php",
  "/wp-content/plugins/x/readme.txt",
  "/blog/wp-login.php",
  "/xmlrpc.php",
  "/phpmyadmin/index.php",
  "/phpinfo.php",
  "/vendor/phpunit/phpunit/src/Util/PHP/eval-stdin.php",
  "/actuator/env",
  "/cgi-bin/luci",
  "/server-status",
  "/solr/admin/cores",
  "/HNAP1/",
  "/boaform/admin/formLogin",
  "/owa/auth/logon.aspx",
  "/%2eenv",
  "/.well-known/acme-challenge/x",
].map((target) => ({
  name: `a scanner's probe costs Odoo nothing: ${target}`,
  bytes: request(`GET ${target}`),
  expect: [404],
}));

const offsite: readonly RawCase[] = [
  "/web/session/logout?redirect=https://evil.test/",
  "/web/session/logout?redirect=//evil.test",
  "/web/session/logout?redirect=/\\evil.test",
  "/web/session/logout?redirect=%2f%2fevil.test",
  "/web/session/logout?redirect=%68ttps:evil.test",
  "/web/session/logout?redirect=javascript:alert(1)",
  "/web/session/logout?redirect=/a&redirect=https://evil.test",
  "/web/session/logout?%72edirect=https://evil.test",
  "/web/login?redirect=https://evil.test",
  "/fr/web/login?redirect=https://evil.test",
  "/web/login/?redirect=https://evil.test",
  "/website/lang/en_US?r=https://evil.test",
  "/website/force/1?path=https://evil.test",
  "/web?redirect=https:evil.test",
].map((target) => ({
  name: `our own link does not lead to a foreign site: ${target}`,
  bytes: request(`GET ${target}`),
  expect: twoReadings,
  closed: false,
}));

const xml = (body: string, type = "text/xml", path = "/xmlrpc/2/common"): string =>
  request(`POST ${path}`, [`Content-Type: ${type}`, `Content-Length: ${body.length}`], body);
const utf16 = (text: string): string => Buffer.from(text, "utf16le").toString("latin1");
const bomb =
  '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x "evil">]><methodCall><methodName>version</methodName></methodCall>';

/** Refused in the one way that XML-RPC libraries understand. */
const asFault: readonly number[] = [200];

const documents: readonly RawCase[] = [
  { name: "an entity declaration explodes in XML-RPC", bytes: xml(bomb), expect: asFault, closed: true },
  {
    name: "an entity declaration explodes behind a trailing slash",
    bytes: xml(bomb, "text/xml", "/xmlrpc/2/common/"),
    expect: asFault,
    closed: true,
  },
  {
    name: "an entity declaration explodes behind a language",
    bytes: xml(bomb, "text/xml", "/fr/xmlrpc/2/object"),
    expect: asFault,
    closed: true,
  },
  {
    name: "an entity declaration hides behind another media type",
    bytes: xml(bomb, "application/octet-stream"),
    expect: asFault,
    closed: true,
  },
  {
    name: "an entity declaration hides in UTF-16",
    bytes: xml(`\xff\xfe${utf16(bomb)}`),
    expect: asFault,
    closed: true,
  },
  {
    name: "an entity declaration hides in UTF-16 without a mark",
    bytes: xml(utf16(bomb)),
    expect: asFault,
    closed: true,
  },
  {
    name: "an entity declaration hides in chunks of a byte",
    bytes: request(
      "POST /xmlrpc/2/common",
      ["Content-Type: text/xml", "Transfer-Encoding: chunked"],
      `${[...bomb].map((letter) => `1\r\n${letter}\r\n`).join("")}0\r\n\r\n`,
    ),
    expect: asFault,
    closed: true,
  },
  {
    name: "an entity declaration hides behind a long comment",
    bytes: xml(bomb.replace("<!DOCTYPE", `<!--${"x".repeat(20_000)}--><!DOCTYPE`)),
    expect: asFault,
    closed: true,
  },
  {
    name: "an entity declaration hides behind a comment longer than what is kept in memory",
    bytes: xml(bomb.replace("<!DOCTYPE", `<!--${"x".repeat(200_000)}--><!DOCTYPE`)),
    expect: asFault,
    closed: true,
  },
  {
    name: "an entity declaration hides behind UTF-7",
    bytes: xml(bomb.replace("?>", ' encoding="UTF-7"?>').replace("<!DOCTYPE", "+ADw-!DOCTYPE")),
    expect: [200, 400],
    closed: true,
    reaches: [],
  },
];

/** Pages whose path looks like a file's: a cache in front must not keep them (web cache deception). */
const deception: readonly RawCase[] = [
  "/odoo/x.css",
  "/odoo/action-123/x.js",
  "/web/x.png",
  "/my/home/x.css",
  "/scoped_app/x.css",
  "/odoo/%0ax.css",
  "/odoo/x%3f.css",
  "/odoo;x.css",
].map((target) => ({
  name: `a private page is not made public by its last letters: ${target}`,
  bytes: request(`GET ${target}`, ["Cookie: session_id=0123456789"]),
  expect: [200, 303, 400, 404],
  ...(target.includes("%0a") ? {} : { reaches: [`GET ${target}`], closed: false }),
  notInAnswer: ["cache-control: public", "immutable"],
}));

export const routes: readonly RawCase[] = [
  ...guardedCases,
  ...traversal,
  ...scanners,
  ...offsite,
  ...documents,
  ...deception,
] as readonly RawCase[];
