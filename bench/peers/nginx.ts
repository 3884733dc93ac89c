import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { findProgram, startDaemon } from "../children.ts";
import { quoted, securityHeaders, unreachedRatePerSecond } from "../duties.ts";
import type { Peer, PeerContext } from "./peer.ts";

/** nginx with one worker: the yardstick of all ratios. */
export const nginx: Peer = {
  name: "nginx",
  protocols: ["http1", "http2"],
  available: () => findProgram("nginx") !== null || "not installed (Debian package nginx)",
  start(context) {
    const file = join(context.dir, "nginx.conf");
    writeFileSync(file, configuration(context));
    const args = ["-c", file, "-p", context.dir, "-e", join(context.dir, "error.log")];
    return startDaemon("nginx", findProgram("nginx") ?? "nginx", args, {
      dir: context.dir,
      port: context.tlsPort,
    });
  },
};

/** As Odoo's deployment guide has it; nginx's own level is 1. */
const odooGzip = `gzip on;
    gzip_types text/css text/scss text/plain text/xml application/xml application/json application/javascript;`;

function configuration(at: PeerContext): string {
  const kept = at.regime === "keep-alive";
  const limit = `burst=${unreachedRatePerSecond} nodelay`;
  const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  return `
${process.getuid?.() === 0 ? "user root;" : ""}
daemon off;
worker_processes 1;
pid ${join(at.dir, "nginx.pid")};
events { worker_connections 4096; }
http {
  ${paths.map((path) => `${path}_temp_path ${join(at.dir, path)};`).join("\n  ")}
  limit_req_zone $binary_remote_addr zone=login:10m rate=${unreachedRatePerSecond}r/s;
  limit_req_zone $binary_remote_addr zone=rpc:10m rate=${unreachedRatePerSecond}r/s;
  limit_req_zone $binary_remote_addr zone=all:10m rate=${unreachedRatePerSecond}r/s;
  limit_req_status 429;
  log_format line escape=json '{"time":"$time_iso8601","id":"$request_id","client":"$remote_addr","protocol":"$server_protocol",'
    '"method":"$request_method","host":"$http_host","target":"$request_uri","status":$status,"bytesIn":$request_length,'
    '"bytesOut":$body_bytes_sent,"totalMs":$request_time,"upstreamMs":"$upstream_response_time","userAgent":"$http_user_agent"}';
  access_log ${join(at.dir, "access.log")} line;
  server_tokens off;
  # Connections last as long as a round: none is cut in the middle of a measurement.
  keepalive_requests 1000000000;
  client_max_body_size 128m;
  ssl_protocols TLSv1.2 TLSv1.3;
  ssl_prefer_server_ciphers off;
  ssl_session_cache shared:bench:10m;
  ssl_session_timeout 1d;
  ssl_session_tickets off;
  upstream odoo { server 127.0.0.1:${at.upstreamPort}; ${kept ? "keepalive 64; keepalive_requests 1000000000;" : ""} }
  upstream bus { server 127.0.0.1:${at.busPort}; }
  server {
    listen 127.0.0.1:${at.tlsPort} ssl http2;
    server_name localhost;
    ssl_certificate ${at.cert};
    ssl_certificate_key ${at.key};
    proxy_http_version ${kept ? "1.1" : "1.0"};
    proxy_set_header Connection ${kept ? '""' : "close"};
    proxy_set_header Host $host;
    proxy_set_header X-Forwarded-Host $host;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Real-IP $remote_addr;
    proxy_hide_header Server;
    ${securityHeaders.map(([name, value]) => `add_header ${name} ${quoted(value)} always;`).join("\n    ")}
    ${at.compress === true ? odooGzip : ""}
    limit_req zone=all ${limit};
    location ~* ^/web/database { return 404; }
    location = /web/login { limit_req zone=login ${limit}; limit_req zone=all ${limit}; proxy_pass http://odoo; }
    location ~ ^/(xmlrpc|jsonrpc) { limit_req zone=rpc ${limit}; limit_req zone=all ${limit}; proxy_pass http://odoo; }
    location /web/dataset { limit_req zone=rpc ${limit}; limit_req zone=all ${limit}; proxy_pass http://odoo; }
    location /websocket { proxy_pass http://bus; }
    location / { proxy_pass http://odoo; }
  }
}
`;
}
