import { createRequire } from "node:module";

type Http = typeof import("node:http");

/**
 * Node's `http` without its `fetch`: an `import` of the module reads each export, and reading `WebSocket` loads undici, several MB that
 * nobody here needs.
 */
export const http = createRequire(import.meta.url)("node:http") as Http;
