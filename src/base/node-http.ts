/**
 * Node's `http` without its `fetch`: an `import` of the module reads each export, and reading `WebSocket` loads undici, several MB that
 * nobody here needs.
 */
export const http = process.getBuiltinModule("node:http");
