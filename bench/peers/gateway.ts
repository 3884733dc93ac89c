import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Daemon, startDaemon } from "../children.ts";
import type { Peer, PeerContext } from "./peer.ts";

/** Compiled beside this file's own tree: build/bench/peers → build/src. */
const program = fileURLToPath(new URL("../../src/main.js", import.meta.url));

/** The gateway itself with its shipped policy; its limits are on the road, loopback is trusted so that none is reached. */
export const gateway: Peer = {
  name: "gateway",
  protocols: ["http1", "http2"],
  compilesAsItRuns: true,
  available: () => existsSync(program) || `not built (${program})`,
  start: (context) => startGateway(context, { TRUSTED_NETWORKS: "127.0.0.0/8" }),
};

/** The gateway with settings of one's own beside those of the benchmark. `shell`: a command that is run before it, in its process. */
export function startGateway(
  context: PeerContext,
  more: Readonly<Record<string, string>>,
  {
    openFilesMax = null,
    shell = null,
  }: { readonly openFilesMax?: number | null; readonly shell?: string | null } = {},
): Promise<Daemon> {
  // Nothing of the caller's environment: a setting exported in the shell must not change what is measured.
  const env: Record<string, string> = {
    DOMAIN: "localhost",
    ODOO_URL: `http://127.0.0.1:${context.upstreamPort}`,
    ODOO_BUS_URL: `http://127.0.0.1:${context.busPort}`,
    HTTPS_LISTEN: `127.0.0.1:${context.tlsPort}`,
    HTTP_LISTEN: "off",
    ADMIN_LISTEN: "off",
    TLS_MODE: "files",
    TLS_CERT_FILE: context.cert,
    TLS_KEY_FILE: context.key,
    STATE_DIR: join(context.dir, "state"),
    CERTS_DIR: join(context.dir, "certs"),
    LOG_FORMAT: "json",
    ...(context.regime === "keep-alive" ? { ODOO_KEEPALIVE: "on" } : {}),
    ...more,
  };
  const at = { dir: context.dir, port: context.tlsPort, env };
  const before = [shell, openFilesMax === null ? null : `ulimit -n ${openFilesMax}`].filter(
    (one) => one !== null,
  );
  if (before.length === 0) return startDaemon("gateway", process.execPath, [program], at);
  const script = `${before.join("; ")}; exec "$0" "$1"`;
  return startDaemon("gateway", "/bin/sh", ["-c", script, process.execPath, program], at);
}
