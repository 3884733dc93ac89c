import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { findProgram, startDaemon } from "../children.ts";
import { quoted, securityHeaders, unreachedRatePerSecond } from "../duties.ts";
import type { Peer, PeerContext } from "./peer.ts";

/** HAProxy with one thread, the request buffered before the server is called, counted in a stick table. */
export const haproxy: Peer = {
  name: "haproxy",
  protocols: ["http1", "http2"],
  available: () => findProgram("haproxy") !== null || "not installed (Debian package haproxy)",
  start(context) {
    const file = join(context.dir, "haproxy.cfg");
    const pem = join(context.dir, "both.pem");
    writeFileSync(pem, readFileSync(context.cert, "utf8") + readFileSync(context.key, "utf8"), {
      mode: 0o600,
    });
    writeFileSync(file, configuration(context, pem));
    const at = { dir: context.dir, port: context.tlsPort };
    return startDaemon("haproxy", findProgram("haproxy") ?? "haproxy", ["-db", "-f", file], at);
  },
};

function configuration(at: PeerContext, pem: string): string {
  const headers = securityHeaders.map(([name, value]) => `http-response set-header ${name} ${quoted(value)}`);
  return `
global
  nbthread 1
  maxconn 4096
  log stdout format raw local0
  ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets
defaults
  mode http
  log global
  unique-id-format %{+X}o%ci%cp%Ts%rt
  log-format '{"time":"%tr","id":"%ID","client":"%ci","protocol":"%HV","method":"%HM","host":"%[capture.req.hdr(0),json(utf8s)]","target":"%[capture.req.uri,json(utf8s)]","status":%ST,"bytesIn":%U,"bytesOut":%B,"totalMs":%Ta,"upstreamMs":%Tr,"userAgent":"%[capture.req.hdr(1),json(utf8s)]"}'
  option http-buffer-request
  timeout connect 5s
  timeout client 30s
  timeout server 720s
  timeout http-request 30s
frontend tls
  bind 127.0.0.1:${at.tlsPort} ssl crt ${pem} alpn h2,http/1.1
  http-request capture req.hdr(host) len 64
  http-request capture req.hdr(user-agent) len 128
  stick-table type ipv6 size 100k expire 60s store http_req_rate(1s),gpc0_rate(1s)
  http-request track-sc0 src
  http-request return status 404 if { path -i -m beg /web/database }
  http-request deny deny_status 429 if { path_beg /web/login } { sc_http_req_rate(0) gt ${unreachedRatePerSecond} }
  http-request deny deny_status 429 if { path_beg /web/dataset } { sc_http_req_rate(0) gt ${unreachedRatePerSecond} }
  http-request deny deny_status 429 if { sc_http_req_rate(0) gt ${unreachedRatePerSecond} }
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-request set-header X-Forwarded-For %[src]
  http-request set-header X-Forwarded-Proto https
  http-request set-header X-Real-IP %[src]
  http-response del-header Server
  ${headers.join("\n  ")}
  use_backend bus if { path_beg /websocket }
  default_backend odoo
backend odoo
  http-reuse ${at.regime === "keep-alive" ? "always" : "never"}
  server odoo 127.0.0.1:${at.upstreamPort}
backend bus
  server bus 127.0.0.1:${at.busPort}
`;
}
