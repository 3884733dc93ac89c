import { fileURLToPath } from "node:url";
import { startDaemon } from "../children.ts";
import type { Peer } from "./peer.ts";

/** The `http-proxy` package on Node's own https server, in a process of its own, on the same Node as the gateway. */
export const httpProxy: Peer = {
  name: "http-proxy",
  protocols: ["http1"],
  compilesAsItRuns: true,
  available() {
    try {
      import.meta.resolve("http-proxy");
      return true;
    } catch {
      return "not installed (development dependency http-proxy)";
    }
  },
  start(context) {
    const server = fileURLToPath(new URL("http-proxy-server.js", import.meta.url));
    const args = [context.regime, `${context.upstreamPort}`, `${context.tlsPort}`, context.cert, context.key];
    const at = { dir: context.dir, port: context.tlsPort };
    return startDaemon("http-proxy", process.execPath, [server, ...args], at);
  },
};
