/**
 * What no stranger may reach, in every spelling Odoo understands (odoo-wire c, d): the database manager and the db service.
 * One list for three readers: `check` sends it to a site, `run` decides it by its own policy and sends it to itself before it
 * is ready. Every request only looks; none creates, changes or drops anything, whatever answers.
 */

export interface GuardedRequest {
  readonly method: "GET" | "POST" | "PUT" | "OPTIONS";
  /** As it stands in the request line. */
  readonly target: string;
  readonly contentType: string | null;
  readonly body: string | null;
  /** What is special about the spelling, a few words. */
  readonly spelling: string;
  /** Could be read as more than one path: to be sent on a connection of its own. */
  readonly odd: boolean;
}

/** URL codes of website languages that are tried when none is known: Odoo's default and a common second one. */
export const commonLanguages: readonly string[] = ["en", "fr"];

const managerPath = "/web/database/manager";

/** What asks the list of databases, for log-in pages and the mobile app. */
export function listRequest(prefix = ""): GuardedRequest {
  return listing(`${prefix}/web/database/list`, "the list for log-in pages and the mobile app");
}

/** The manager's page under its own name. */
export const managerRequests: readonly GuardedRequest[] = [
  get(managerPath, "as it is written"),
  get("/web/database/selector", "the selector, which names databases"),
];

/** The manager under names that Odoo reads as the same path. `authority`: `host` or `host:port` for the absolute form. */
export function managerSpellings(authority: string, languages: readonly string[]): readonly GuardedRequest[] {
  const [first = "en"] = languages;
  return [
    ...languages.flatMap((language) => [
      get(`/${language}${managerPath}`, `behind the language ${language}`),
      listing(
        `/${language}/web/database/list`,
        `POST behind the language ${language}, which is never redirected`,
      ),
    ]),
    get(`/${first}/web/database/selector`, `the selector behind the language ${first}`),
    get(`${managerPath}/`, "trailing slash"),
    get("/web/%64atabase/manager", "an encoded letter"),
    get(`/%${hex(first)}${first.slice(1)}${managerPath}`, "an encoded letter in the language"),
    odd("//web/database/manager", "two leading slashes"),
    odd("///web/database/manager", "three leading slashes"),
    odd("/web%2fdatabase%2fmanager", "encoded slashes"),
    odd("/%2fweb/database/manager", "an encoded leading slash"),
    odd(`//${first}${managerPath}`, "two leading slashes and a language"),
    odd(`${managerPath}#x`, "a fragment"),
    odd(`http://${authority}${managerPath}`, "the absolute form"),
    odd(`x:${managerPath}`, "a made-up scheme"),
    odd("web/database/manager", "no leading slash"),
    odd("/web/static/../database/manager", "dot segments"),
  ];
}

/** Every page and action of the manager, for deciding only: actions are never sent anywhere. */
export const managerPaths: readonly string[] = [
  "manager",
  "selector",
  "create",
  "duplicate",
  "drop",
  "backup",
  "restore",
  "change_password",
  "list",
].map((name) => `/web/database/${name}`);

const xmlCall = (method: string) =>
  `<?xml version="1.0"?><methodCall><methodName>${method}</methodName><params></params></methodCall>`;
const jsonCall = (method: string) =>
  `{"jsonrpc":"2.0","method":"call","id":1,"params":{"service":"db","method":"${method}","args":[]}}`;

/** The db service by a method that asks for no password and only tells a version, or (`list`) names. */
export function serviceRequests(
  languages: readonly string[],
  method: "server_version" | "list" = "server_version",
): readonly GuardedRequest[] {
  const [first = "en"] = languages;
  const escaped = jsonCall(method).replace('"db"', '"\\u0064b"');
  return [
    call("/xmlrpc/db", "text/xml", xmlCall(method), "XML-RPC"),
    call("/xmlrpc/2/db", "text/xml", xmlCall(method), "XML-RPC 2"),
    call(`/${first}/xmlrpc/2/db`, "text/xml", xmlCall(method), `XML-RPC behind the language ${first}`),
    call("/jsonrpc", "application/json", jsonCall(method), "JSON-RPC"),
    call("/jsonrpc/", "application/json", jsonCall(method), "JSON-RPC, trailing slash"),
    call(`/${first}/jsonrpc`, "application/json", jsonCall(method), `JSON-RPC behind the language ${first}`),
    call("/jsonrpc", "application/json", escaped, "JSON-RPC, the service's name written with an escape"),
  ];
}

/** Does an answer's text come from the manager itself, open or switched off by `list_db = False`. */
export function isManagerPage(body: string): boolean {
  const page =
    /web\/database\/(?:create|duplicate|drop|backup|restore|change_password)|database manager has been disabled/i;
  if (page.test(body)) return true;
  // In two steps: one expression for both words takes time by the square of a hostile body's length.
  const json = body.indexOf('"jsonrpc"');
  return json !== -1 && /"result"\s*:\s*\[|odoo\.exceptions\.AccessDenied/.test(body.slice(json));
}

/** Does an answer's text come from the db service. */
export function isServiceAnswer(body: string): boolean {
  if (body.includes("<methodResponse>")) return !body.includes("<fault>");
  return /^\s*\{/.test(body) && /"result"\s*:\s*(?:"|\[)/.test(body);
}

/** Does an answer's text come from a service at all, whatever it says: a result, an error or a fault. */
export function isServiceReply(body: string): boolean {
  return body.includes("<methodResponse>") || /^\s*\{[^{}]{0,80}"jsonrpc"/.test(body);
}

function get(target: string, spelling: string): GuardedRequest {
  return { method: "GET", target, contentType: null, body: null, spelling, odd: false };
}

/** The one POST of the manager that changes nothing: whoever gets an answer from it also gets to drop and restore. */
function listing(target: string, spelling: string): GuardedRequest {
  return call(target, "application/json", '{"jsonrpc":"2.0","method":"call","params":{}}', spelling);
}

function odd(target: string, spelling: string): GuardedRequest {
  return { ...get(target, spelling), odd: true };
}

function call(target: string, contentType: string, body: string, spelling: string): GuardedRequest {
  return { method: "POST", target, contentType, body, spelling, odd: false };
}

function hex(text: string): string {
  return text.charCodeAt(0).toString(16);
}
