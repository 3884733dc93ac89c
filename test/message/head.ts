import type { HostName } from "../../src/base/brands.ts";
import { type Ip, parseIp } from "../../src/base/ip.ts";
import { type IpSet, parseIpSet } from "../../src/base/ip-set.ts";
import type { RequestFacts } from "../../src/message/facts.ts";
import { type IncomingHead, screen } from "../../src/message/screen.ts";
import type { Site } from "../../src/message/site.ts";

/** The address written, or a failed test. */
export function ip(text: string): Ip {
  const parsed = parseIp(text);
  if (parsed === null) throw new Error(`no address: ${text}`);
  return parsed;
}

export function ipSet(...texts: string[]): IpSet {
  const parsed = parseIpSet(texts);
  if (!parsed.ok) throw new Error(parsed.error.join("; "));
  return parsed.value;
}

function served(host: string, port: number | null): [string, { host: HostName; port: number | null }] {
  return [host, { host: host as HostName, port }];
}

/** erp.example.com on 8443, pos.example.com on 9443, loopback names; 10.0.0.0/8 and fd00::/8 are proxies. */
export const site: Site = {
  methods: new Set(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND"]),
  servedNames: new Map([
    served("erp.example.com", null),
    served("pos.example.com", 9443),
    served("localhost", null),
    served("[::1]", null),
  ]),
  publicPort: 8443,
  trustedProxies: ipSet("10.0.0.0/8", "fd00::/8"),
  sessionCookie: "session_id",
};

/** An ordinary HTTP/1.1 GET over TLS with `Host: erp.example.com`, changed as told. */
export function head(change: Partial<IncomingHead> = {}): IncomingHead {
  return {
    protocol: "HTTP/1.1",
    method: "GET",
    target: "/odoo",
    fields: ["Host", "erp.example.com"],
    authority: null,
    scheme: null,
    peer: ip("203.0.113.9"),
    secure: true,
    localPort: 8443,
    ...change,
  };
}

/** The same with these field lines behind Host. */
export function headWith(fields: readonly string[], change: Partial<IncomingHead> = {}): IncomingHead {
  return head({ fields: ["Host", "erp.example.com", ...fields], ...change });
}

/** An HTTP/2 GET of erp.example.com. */
export function head2(change: Partial<IncomingHead> = {}): IncomingHead {
  return head({ protocol: "HTTP/2", fields: [], authority: "erp.example.com", scheme: "https", ...change });
}

/** `400 host-missing`, or `ok`. */
export function verdict(message: IncomingHead, at: Site = site): string {
  const result = screen(message, at);
  return result.ok ? "ok" : `${result.error.status} ${result.error.code}`;
}

/** The facts of a message that has to pass. */
export function factsOf(message: IncomingHead, at: Site = site): RequestFacts {
  const result = screen(message, at);
  if (!result.ok) throw new Error(`refused: ${result.error.code}`);
  return result.value;
}

/** A good handshake's field lines behind Host. */
export const handshakeFields: readonly string[] = [
  "Connection",
  "keep-alive, Upgrade",
  "Upgrade",
  "websocket",
  "Sec-WebSocket-Key",
  "dGhlIHNhbXBsZSBub25jZQ==",
  "Sec-WebSocket-Version",
  "13",
  "Origin",
  "https://erp.example.com",
];
