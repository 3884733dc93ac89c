import type { CanonicalPath, HostName } from "../../src/base/brands.ts";
import { type Ip, parseIp } from "../../src/base/ip.ts";
import type { RequestFacts } from "../../src/message/facts.ts";

/** What a test says about a request; the rest is an ordinary browser's GET over TLS. */
export interface FactsSketch {
  readonly method?: string;
  /** Canonical: decoded, one leading slash, none doubled, none trailing. */
  readonly path: string;
  readonly query?: string;
  readonly from?: string;
  readonly host?: string;
  readonly sessionId?: string | null;
  readonly upgrade?: "websocket" | null;
  readonly contentType?: string;
  readonly secure?: boolean;
}

/** Facts as the message room would read them, without a message; with the language reading of the path. */
export function factsFor(sketch: FactsSketch): RequestFacts {
  const path = canonical(sketch.path);
  const [, first, rest] = /^\/([^/]+)(\/.*)?$/.exec(path) ?? [];
  const language = first !== undefined && /^[a-z]{2,3}([_@-][a-z0-9]+)*$/i.test(first);
  const paths = language ? [path, canonical(rest ?? "/")] : [path];
  const lower = paths.map((one) => canonical(one.toLowerCase()));
  const query = sketch.query ?? "";
  const host = hostName(sketch.host ?? "erp.example.com");
  const client = ipFor(sketch.from ?? "203.0.113.9");
  return {
    protocol: "HTTP/1.1",
    untrustedForwarding: null,
    method: sketch.method ?? "GET",
    target: query === "" ? path : `${path}?${query}`,
    path,
    paths,
    pathsLower: lower,
    query,
    host,
    authority: host,
    peer: client,
    client,
    secure: sketch.secure ?? true,
    contentType: sketch.contentType ?? "",
    sessionId: sketch.sessionId ?? null,
    upgrade: sketch.upgrade ?? null,
    fields: [],
  };
}

/** An address that the test knows to be one. */
export function ipFor(text: string): Ip {
  const ip = parseIp(text);
  if (ip === null) {
    throw new Error(`not an address: ${text}`);
  }
  return ip;
}

function canonical(path: string): CanonicalPath {
  return path as CanonicalPath;
}

function hostName(host: string): HostName {
  return host as HostName;
}
