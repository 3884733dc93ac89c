import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { findProgram, startDaemon } from "../children.ts";
import { quoted, securityHeaders } from "../duties.ts";
import type { Peer, PeerContext } from "./peer.ts";

/** Caddy on one Go processor. Debian's build has no rate limit, so it carries one duty less than the others. */
export const caddy: Peer = {
  name: "caddy",
  protocols: ["http1", "http2"],
  available: () => findProgram("caddy") !== null || "not installed (Debian package caddy)",
  start(context) {
    const file = join(context.dir, "Caddyfile");
    writeFileSync(file, configuration(context));
    const args = ["run", "--config", file, "--adapter", "caddyfile"];
    const env = { GOMAXPROCS: "1", XDG_DATA_HOME: context.dir, XDG_CONFIG_HOME: context.dir };
    const at = { dir: context.dir, port: context.tlsPort, env };
    return startDaemon("caddy", findProgram("caddy") ?? "caddy", args, at);
  },
};

/**
 * The port stands in the global options: with `localhost:PORT` as the site's name Caddy 2.6 looks its access log
 * up under that name, does not find it for `Host: localhost`, and logs elsewhere.
 */
function configuration(at: PeerContext): string {
  const kept = at.regime === "keep-alive";
  return `{
  admin off
  auto_https off
  https_port ${at.tlsPort}
  servers {
    protocols h1 h2
  }
}
https://localhost {
  bind 127.0.0.1
  tls ${at.cert} ${at.key} {
    protocols tls1.2 tls1.3
  }
  log {
    output file ${join(at.dir, "access.log")} {
      roll_disabled
    }
    format json
  }
  header {
    ${securityHeaders.map(([name, value]) => `${name} ${quoted(value)}`).join("\n    ")}
    -Server
    defer
  }
  ${at.compress === true ? "encode zstd gzip" : ""}
  @databases path /web/database*
  respond @databases 404
  reverse_proxy /websocket* 127.0.0.1:${at.busPort}
  reverse_proxy 127.0.0.1:${at.upstreamPort} {
    header_up X-Real-IP {remote_host}
    transport http {
      ${kept ? "keepalive 60s\n      keepalive_idle_conns_per_host 64" : "keepalive off"}
      compression off
    }
  }
}
`;
}
