/** How an nginx site passes requests on: headers, websocket, sizes, times, caches. */
import { formatBytes } from "../../base/units.ts";
import { type Note, note, orPass } from "../note.ts";
import { inherited, lastOf, type NginxModel, type Server } from "./model.ts";
import type { Directive } from "./parse.ts";
import { attachmentProbes } from "./probes.ts";
import { type Outcome, walk } from "./walk.ts";

type Proxied = Extract<Outcome, { kind: "proxied" }>;

/** What other files say that a site is compared with. */
export interface Compared {
  /** limit_time_real of odoo.conf in seconds; null: not known. */
  readonly limitTimeRealS: number | null;
  readonly busPort: number;
}

/** Odoo's own limit of an upload (web.max_file_upload_size). */
const uploadBytes = 128 * 1024 * 1024;
/** Odoo's limit_time_real when odoo.conf says nothing. */
const limitTimeRealUsualS = 120;
const connectTimeoutUsualMaxS = 75;

export function proxyingNotes(
  model: NginxModel,
  server: Server,
  host: string,
  compared: Compared,
): readonly Note[] {
  const ask = (target: string, isUpgrade = false): Outcome =>
    walk(model, server, { method: "GET", target, host, isUpgrade });
  const page = ask("/web/login");
  if (page.kind !== "proxied") return [];
  return [
    websocket(ask("/websocket?version=19.0-2", true), compared.busPort),
    ...headers(
      ["/", "/web/login", "/web/content/1/a.png", "/jsonrpc", "/websocket"].map((target) => ask(target)),
    ),
    bodyLimit(page),
    ...timeouts(page, ask("/report/pdf/a/1"), compared),
    buffering([page, ask("/"), ask("/web/content/1/a.pdf")]),
    ...attachments(model, server, host),
    compression(page),
    cookies(page),
    underscores(server),
  ];
}

function websocket(outcome: Outcome, busPort: number): Note {
  const id = "nginx-websocket";
  if (outcome.kind !== "proxied")
    return note(id, "fail", `/websocket is answered by nginx itself with ${outcome.status}`, outcome.place);
  const { levels, ports, place, pass, expand } = outcome;
  if (ports.length > 0 && !ports.includes(busPort))
    return note(
      id,
      "fail",
      `/websocket goes to port ${ports.join(", ")} (${pass.args[0] ?? ""}), and websockets are served on ${busPort}`,
      place,
    );
  const headers = inherited(levels, "proxy_set_header");
  const has = (name: string, value: RegExp) =>
    headers.some(({ args }) => args[0]?.toLowerCase() === name && value.test(expand(args[1] ?? "")));
  const missing = [
    ...(lastOf(levels, "proxy_http_version")?.args[0] === "1.1" ? [] : ["proxy_http_version 1.1"]),
    ...(has("upgrade", /websocket/i) ? [] : ["proxy_set_header Upgrade $http_upgrade"]),
    ...(has("connection", /upgrade|\$/i) ? [] : ['proxy_set_header Connection "upgrade"']),
  ];
  return missing.length === 0
    ? note(
        id,
        "pass",
        `/websocket goes to port ${ports.join(", ") || "that is not known here"} as an upgrade`,
        place,
      )
    : note(id, "fail", `the upgrade does not get through: missing ${missing.join(", ")}`, place);
}

function headers(outcomes: readonly Outcome[]): readonly Note[] {
  const id = "nginx-proxy-headers";
  const notes: Note[] = [];
  const seen = new Set<string>();
  const proxied = outcomes.filter((one): one is Proxied => one.kind === "proxied");
  for (const { levels, place } of proxied) {
    const key = `${place.file}:${place.line}`;
    if (seen.has(key)) continue;
    seen.add(key);
    const set = new Map(
      inherited(levels, "proxy_set_header").map(({ args }) => [args[0]?.toLowerCase() ?? "", args[1] ?? ""]),
    );
    const missing = ["Host", "X-Forwarded-Host", "X-Forwarded-For", "X-Forwarded-Proto"].filter(
      (name) => !set.has(name.toLowerCase()),
    );
    if (missing.join() === "Host")
      // Odoo's own documentation leaves it out.
      notes.push(
        note(id, "warn", "not set: Host; Odoo knows the client's from X-Forwarded-Host alone", place, {
          why: "With proxy_mode off, and in whatever reads Host by itself, the site has the name of the upstream.",
          fix: "Add proxy_set_header Host $host;",
        }),
      );
    else if (missing.length > 0) notes.push(note(id, "fail", `not set: ${missing.join(", ")}`, place));
    const copied = [...set].filter(
      ([name, value]) =>
        name.startsWith("x-forwarded") && value.includes(`$http_${name.replaceAll("-", "_")}`),
    );
    for (const [name] of copied)
      notes.push(
        note(id, "fail", `${name} is what the client says it is`, place, {
          why: "Whoever sends the header chooses its own address or host; Odoo believes the proxy.",
          fix: "Set X-Forwarded-For to $remote_addr, X-Forwarded-Host to $host and X-Forwarded-Proto to $scheme.",
        }),
      );
    if (set.get("host") === "$proxy_host")
      notes.push(note(id, "fail", "Host is the upstream's name, not the client's", place));
  }
  return orPass(
    notes,
    id,
    "Host and X-Forwarded-Host, -For and -Proto are set wherever requests are passed on",
    proxied[0]?.place,
  );
}

function bodyLimit({ levels, place }: Proxied): Note {
  const id = "nginx-body-limit";
  const directive = lastOf(levels, "client_max_body_size");
  if (directive === null)
    return note(id, "fail", "client_max_body_size is not set, so uploads end at 1 MiB", place);
  const bytes = sizeOf(directive.args[0] ?? "");
  if (bytes === null) return note(id, "fail", `${directive.args[0] ?? ""} is no size`, directive.place);
  if (bytes === 0) return note(id, "warn", "client_max_body_size 0: no bound at all", directive.place);
  return bytes < uploadBytes
    ? note(
        id,
        "warn",
        `${formatBytes(bytes)}; Odoo itself takes ${formatBytes(uploadBytes)}`,
        directive.place,
      )
    : note(id, "pass", formatBytes(bytes), directive.place);
}

function timeouts(page: Proxied, report: Outcome, { limitTimeRealS }: Compared): readonly Note[] {
  const id = "nginx-timeouts";
  const longest = report.kind === "proxied" ? report : page;
  const read = lastOf(longest.levels, "proxy_read_timeout");
  const readS = read === null ? 60 : (secondsOf(read.args[0] ?? "") ?? 60);
  const connect = lastOf(page.levels, "proxy_connect_timeout");
  const connectS = connect === null ? 60 : (secondsOf(connect.args[0] ?? "") ?? 60);
  const needS = limitTimeRealS ?? limitTimeRealUsualS;
  const notes: Note[] = [];
  if (readS < needS)
    notes.push(
      note(
        id,
        "warn",
        `nginx waits ${readS} s for an answer, Odoo may take ${needS} s (limit_time_real)`,
        read?.place ?? longest.place,
      ),
    );
  if (connectS > connectTimeoutUsualMaxS)
    notes.push(
      note(
        id,
        "warn",
        `proxy_connect_timeout ${connectS} s: with Odoo down every visitor waits that long for an error`,
        connect?.place ?? page.place,
        {
          fix: "5 s is plenty for a connection inside one machine or network.",
        },
      ),
    );
  return orPass(notes, id, `${readS} s for an answer, ${connectS} s for a connection`, page.place);
}

function buffering(outcomes: readonly Outcome[]): Note {
  const id = "nginx-buffering";
  const proxied = outcomes.filter((one): one is Proxied => one.kind === "proxied");
  for (const { levels } of proxied)
    for (const name of ["proxy_buffering", "proxy_request_buffering"]) {
      const one = lastOf(levels, name);
      if (one?.args[0] === "off") return note(id, "fail", `${name} off for pages`, one.place);
    }
  return note(id, "pass", "requests and answers are buffered", proxied[0]?.place);
}

/** Attachments that a rule for static files marks as everybody's. */
function attachments(model: NginxModel, server: Server, host: string): readonly Note[] {
  const id = "nginx-attachment-cache";
  const notes = new Map<string, Note>();
  for (const { target, spelling } of attachmentProbes) {
    const outcome = walk(model, server, { method: "GET", target, host, isUpgrade: false });
    if (outcome.kind !== "proxied") continue;
    const cause = sharing(outcome.levels);
    const key = `${outcome.place.file}:${outcome.place.line}`;
    if (cause !== null && !notes.has(key))
      notes.set(
        key,
        note(id, "fail", `${spelling} (${target}) gets "${cause.name} ${cause.args.join(" ")}"`, cause.place),
      );
  }
  return orPass([...notes.values()], id, "attachments keep Odoo's own Cache-Control", server.place);
}

/** What makes an answer everybody's, whatever Odoo said; null: nothing. */
function sharing(levels: readonly (readonly Directive[])[]): Directive | null {
  const expires = lastOf(levels, "expires");
  if (expires !== null && !/^(?:off|epoch|-.*|0)$/.test(expires.args[0] ?? "")) return expires;
  const header = inherited(levels, "add_header").find(
    ({ args }) =>
      args[0]?.toLowerCase() === "cache-control" && /public|immutable|max-age=[1-9]/.test(args[1] ?? ""),
  );
  if (header !== undefined) return header;
  const cache = lastOf(levels, "proxy_cache");
  const ignored = inherited(levels, "proxy_ignore_headers").find(({ args }) =>
    args.some((one) => /^(?:set-cookie|cache-control|vary)$/i.test(one)),
  );
  return cache !== null && cache.args[0] !== "off" && ignored !== undefined ? ignored : null;
}

function compression({ levels, place }: Proxied): Note {
  const id = "nginx-compression";
  // ngx_brotli, which every browser of today understands, has directives of the same form.
  const name = lastOf(levels, "brotli")?.args[0] === "on" ? "brotli" : "gzip";
  const gzip = lastOf(levels, name);
  if (gzip?.args[0] !== "on")
    return note(id, "warn", "gzip is off: the web client's 9 MB come uncompressed", gzip?.place ?? place);
  const types = inherited(levels, `${name}_types`).flatMap(({ args }) => args);
  const missing = ["text/css", "application/javascript", "application/json"].filter(
    (one) => !types.includes(one) && !types.includes("*"),
  );
  return missing.length === 0
    ? note(id, "pass", `${name} with the types of Odoo`, gzip.place)
    : note(id, "warn", `${name} leaves out ${missing.join(", ")}`, gzip.place);
}

function cookies({ levels, place }: Proxied): Note {
  const id = "nginx-cookie-flags";
  const flags = inherited(levels, "proxy_cookie_flags").find(
    ({ args }) => args[0] === "session_id" || args[0] === "~" || args[0] === "~.*",
  );
  const words = (flags?.args ?? []).join(" ").toLowerCase();
  const byPath = inherited(levels, "proxy_cookie_path").some(({ args }) => /secure/i.test(args[1] ?? ""));
  if (byPath || (/\bsecure\b/.test(words) && words.includes("samesite")))
    return note(id, "pass", "session_id gets Secure and SameSite", (flags ?? { place }).place);
  return note(
    id,
    "warn",
    "session_id goes out as Odoo sends it: without Secure and SameSite",
    flags?.place ?? place,
  );
}

function underscores(server: Server): Note {
  const id = "nginx-underscores";
  const levels = [server.directives, server.outer];
  const bad = [lastOf(levels, "underscores_in_headers"), lastOf(levels, "ignore_invalid_headers")].find(
    (one) =>
      (one?.name === "underscores_in_headers" && one.args[0] === "on") ||
      (one?.name === "ignore_invalid_headers" && one.args[0] === "off"),
  );
  return bad === undefined || bad === null
    ? note(id, "pass", "names with underscores are dropped", server.place)
    : note(id, "fail", `${bad.name} ${bad.args[0] ?? ""}`, bad.place);
}

/** `64m`, `1g`, `10k`, bytes; null for anything else. */
export function sizeOf(text: string): number | null {
  const [, digits = "", unit = ""] = /^([0-9]{1,12})([kmg]?)$/i.exec(text) ?? [];
  if (digits === "") return null;
  return Number(digits) * ({ k: 1024, m: 1024 ** 2, g: 1024 ** 3 }[unit.toLowerCase()] ?? 1);
}

/** `720s`, `10m`, `1h 30m`, `500ms`, `1M` (a month), bare seconds; null for anything else. */
export function secondsOf(text: string): number | null {
  const factors: Readonly<Record<string, number>> = {
    ms: 0.001,
    s: 1,
    m: 60,
    h: 3_600,
    d: 86_400,
    w: 604_800,
    M: 2_592_000,
    y: 31_536_000,
    "": 1,
  };
  const parts = [...text.matchAll(/([0-9]{1,9})(ms|[smhdwMy]?)\s*/g)];
  if (parts.length === 0 || parts.map(([whole]) => whole).join("") !== text) return null;
  return parts.reduce((sum, [, digits, unit]) => sum + Number(digits) * (factors[unit ?? ""] ?? 1), 0);
}
