/** TLS, redirects, headers and names of an nginx site. */
import { type Note, note, orPass, quoted } from "../note.ts";
import { inherited, type Listen, lastOf, type NginxModel, type Server } from "./model.ts";
import type { Directive } from "./parse.ts";
import { type Outcome, stranger, walk } from "./walk.ts";

const securityHeaders = [
  "strict-transport-security",
  "x-content-type-options",
  "x-frame-options",
  "content-security-policy",
  "referrer-policy",
  "permissions-policy",
];

/** Findings about one server that passes requests to Odoo. */
export function siteNotes(model: NginxModel, server: Server, host: string): readonly Note[] {
  const page = walk(model, server, { method: "GET", target: "/web/login", host, isUpgrade: false });
  const levels = page.kind === "proxied" ? page.levels : [server.directives, server.outer];
  const isTls = server.listens.some((one) => one.isTls);
  return [
    plain(model, server, host),
    ...(isTls ? tlsProtocols(model, server) : []),
    banner(server),
    ...(isTls
      ? [securityHeaderNote(levels, server, page.kind === "proxied" ? page.expand : (text) => text)]
      : []),
    ...headerInheritance(server),
  ];
}

/** Findings about all servers together. */
export function wholeNotes(model: NginxModel, file: string): readonly Note[] {
  return [redirect(model, file), ...unknownHost(model, file)];
}

function plain(model: NginxModel, server: Server, host: string): Note {
  const listen = server.listens.find((one) => !one.isTls && !one.isLocal);
  const pass = note("nginx-tls", "pass", "Odoo is reached over TLS only", server.place);
  if (listen === undefined) return pass;
  // One server for both ports redirects by `if ($scheme = http)`.
  const outcome = walk(model, server, {
    method: "GET",
    target: "/web/login",
    host,
    isUpgrade: false,
    isTls: false,
  });
  return outcome.kind === "answered"
    ? pass
    : note("nginx-tls", "fail", `port ${listen.port} passes requests to Odoo without TLS`, server.place);
}

function redirect(model: NginxModel, file: string): Note {
  const id = "nginx-redirect";
  const servers = model.servers.filter(({ listens }) =>
    listens.some(({ port, isTls, isLocal }) => port === 80 && !isTls && !isLocal),
  );
  const [first] = servers;
  if (first === undefined)
    return note(id, "warn", "nothing listens on port 80 in this file", { file, line: null });
  for (const server of servers) {
    const host = hostOf(server);
    const outcome = walk(model, server, {
      method: "GET",
      target: "/web/login?a=b",
      host,
      isUpgrade: false,
      isTls: false,
    });
    if (outcome.kind === "proxied")
      return note(id, "fail", "port 80 passes requests on instead of redirecting them", outcome.place);
    const isGood = [301, 302, 307, 308].includes(outcome.status) && outcome.location.startsWith("https://");
    if (!isGood && outcome.status < 400)
      return note(id, "warn", `port 80 answers ${outcome.status}, and no https address`, outcome.place);
    if (isGood)
      return note(id, "pass", `port 80 answers ${outcome.status} to ${outcome.location}`, outcome.place);
  }
  return note(id, "warn", "port 80 redirects nobody", first.place);
}

const oldProtocol = /^(?:SSLv[23]|TLSv1|TLSv1\.1)$/;

function tlsProtocols(model: NginxModel, server: Server): readonly Note[] {
  const id = "nginx-tls-protocols";
  const own = lastOf([server.directives, server.outer], "ssl_protocols");
  const notes: Note[] = [];
  if (own === null)
    notes.push(
      note(
        id,
        "warn",
        "ssl_protocols is not set; before nginx 1.23.4 that includes TLS 1.0 and 1.1",
        server.place,
      ),
    );
  else {
    const old = own.args.filter((one) => oldProtocol.test(one));
    if (old.length > 0)
      notes.push(note(id, "fail", `${old.join(", ")} ${old.length === 1 ? "is" : "are"} offered`, own.place));
    else if (!own.args.includes("TLSv1.3"))
      notes.push(note(id, "warn", `${own.args.join(" ")} leaves out TLS 1.3`, own.place));
  }
  // The default server of an address chooses the protocols for all that share it.
  for (const listen of server.listens.filter(({ isTls }) => isTls)) {
    const chosen = defaultServer(model, listen);
    if (chosen === server || chosen === undefined) continue;
    const theirs = lastOf([chosen.directives, chosen.outer], "ssl_protocols");
    if ((theirs?.args ?? []).join(" ") !== (own?.args ?? []).join(" "))
      notes.push(
        note(
          id,
          theirs?.args.some((one) => oldProtocol.test(one)) === true ? "fail" : "warn",
          `the first server on port ${listen.port} (line ${chosen.place.line ?? 0}) decides the protocols of this one too, and says ${theirs === null ? "nothing" : theirs.args.join(" ")}`,
          chosen.place,
        ),
      );
  }
  return orPass(notes, id, own?.args.join(" ") ?? "", own?.place ?? server.place);
}

function banner(server: Server): Note {
  const tokens = lastOf([server.directives, server.outer], "server_tokens");
  const isOff = tokens !== null && tokens.args[0] !== "on";
  return note(
    "nginx-banner",
    isOff ? "pass" : "warn",
    isOff
      ? `server_tokens ${tokens.args[0] ?? ""}`
      : "server_tokens is not off: every answer names nginx's version",
    tokens?.place ?? server.place,
  );
}

function securityHeaderNote(
  levels: Parameters<typeof inherited>[0],
  server: Server,
  expand: (text: string) => string,
): Note {
  const id = "nginx-headers";
  // A header whose value a map makes empty is not sent.
  const set = [...inherited(levels, "add_header"), ...moreHeaders(levels)]
    .map((one) => ({ ...one, args: one.args.map(expand) }))
    .filter(({ args }) => args[1] !== "");
  const values = new Map(set.map(({ args }) => [args[0]?.toLowerCase() ?? "", args]));
  const hsts = /max-age=([0-9]+)/.exec(values.get("strict-transport-security")?.[1] ?? "")?.[1];
  const missing = [
    // A time of 0 makes browsers forget it.
    ...(hsts === undefined || Number(hsts) === 0 ? ["Strict-Transport-Security"] : []),
    ...["X-Content-Type-Options", "Referrer-Policy"].filter((name) => !values.has(name.toLowerCase())),
  ];
  const notAlways = set
    .filter(({ args }) => securityHeaders.includes(args[0]?.toLowerCase() ?? "") && args[2] !== "always")
    .map(({ args }) => args[0] ?? "");
  const parts = [
    ...(missing.length > 0 ? [`not sent: ${missing.join(", ")}`] : []),
    ...(hsts !== undefined && Number(hsts) > 0 && Number(hsts) < 15_768_000
      ? [`HSTS for ${hsts} s only, less than half a year`]
      : []),
    ...(notAlways.length > 0 ? [`not sent with errors ("always" is missing): ${notAlways.join(", ")}`] : []),
  ];
  const place = set[0]?.place ?? server.place;
  return parts.length === 0
    ? note(id, "pass", set.map(({ args }) => args[0]).join(", "), place)
    : note(id, missing.length > 0 ? "fail" : "warn", parts.join("; "), place);
}

/** more_set_headers (headers-more) as add_header with always: it holds for every status, and adds to what is around it. */
function moreHeaders(levels: Parameters<typeof inherited>[0]): readonly Directive[] {
  return levels
    .flat()
    .filter(({ name }) => name === "more_set_headers")
    .flatMap((one) =>
      one.args.flatMap((text) => {
        const [, name = "", value = ""] = /^([A-Za-z0-9-]+)\s*:\s*(.*)$/s.exec(text) ?? [];
        return name === "" ? [] : [{ ...one, args: [name, value, "always"] }];
      }),
    );
}

function headerInheritance(server: Server): readonly Note[] {
  const id = "nginx-header-inheritance";
  const outer = inherited([server.directives, server.outer], "add_header").map(
    ({ args }) => args[0]?.toLowerCase() ?? "",
  );
  const guarded = outer.filter((name) => securityHeaders.includes(name));
  if (guarded.length === 0) return [note(id, "skipped", "the server sets no security header", server.place)];
  const notes: Note[] = [];
  const look = (locations: Server["locations"]): void => {
    for (const one of locations) {
      const own = one.directives.filter(({ name }) => name === "add_header");
      const names = own.map(({ args }) => args[0]?.toLowerCase() ?? "");
      const lost = guarded.filter((name) => !names.includes(name));
      if (own.length > 0 && lost.length > 0)
        notes.push(
          note(
            id,
            "warn",
            `location ${one.kind === "" ? "" : `${one.kind} `}${one.text} has an add_header of its own and loses ${lost.join(", ")}`,
            own[0]?.place ?? one.place,
          ),
        );
      look(one.locations);
    }
  };
  look(server.locations);
  return orPass(notes, id, "no location loses the server's headers", server.place);
}

function unknownHost(model: NginxModel, file: string): readonly Note[] {
  const id = "nginx-unknown-host";
  const notes: Note[] = [];
  const seen = new Set<string>();
  for (const server of model.servers)
    for (const listen of server.listens) {
      const key = `${listen.address} ${listen.port}`;
      if (seen.has(key) || listen.isLocal) continue;
      seen.add(key);
      const chosen = defaultServer(model, listen);
      if (chosen === undefined) continue;
      const outcome: Outcome = walk(model, chosen, {
        method: "GET",
        target: "/web/login",
        host: stranger,
        isUpgrade: false,
        isTls: listen.isTls,
      });
      // The same server on IPv4 and IPv6 is one finding.
      const once = `${listen.port} ${chosen.place.file}:${chosen.place.line}`;
      if (outcome.kind === "proxied" && !seen.has(once)) {
        seen.add(once);
        notes.push(
          note(
            id,
            "warn",
            `on port ${listen.port} the server of ${quoted(chosen.names[0] ?? "no name")} takes every Host and passes it to Odoo`,
            chosen.place,
          ),
        );
      }
    }
  return orPass(notes, id, "a Host that is not served does not reach Odoo", { file, line: null });
}

/** The server that takes what no name fits: the one that says so, else the first on that port. */
function defaultServer(model: NginxModel, { port, address }: Listen): Server | undefined {
  const on = (server: Server) => server.listens.find((one) => one.port === port && one.address === address);
  const all = model.servers.filter((server) => on(server) !== undefined);
  return all.find((server) => on(server)?.isDefault === true) ?? all[0];
}

/** A name of a server to ask with. */
export function hostOf(server: Server): string {
  return (
    server.names.find((one) => /^[a-z0-9.-]+$/i.test(one) && one.includes(".")) ??
    server.names.find((one) => /^[a-z0-9-]+$/i.test(one) && one !== "_") ??
    "erp.example.com"
  );
}
