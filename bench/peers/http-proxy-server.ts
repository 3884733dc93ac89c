import { createWriteStream, readFileSync } from "node:fs";
import { Agent } from "node:http";
import { createServer } from "node:https";
import httpProxy from "http-proxy";
import { securityHeaders, unreachedRatePerSecond } from "../duties.ts";

/** Child process of the `http-proxy` peer; arguments as peers/http-proxy.ts writes them, current folder the peer's own. */

const [regime, upstreamPort, tlsPort, cert, key] = process.argv.slice(2);
if (cert === undefined || key === undefined) throw new Error("started by bench/peers/http-proxy.ts only");
const proxy = httpProxy.createProxyServer({
  target: { host: "127.0.0.1", port: Number(upstreamPort) },
  xfwd: false,
  ...(regime === "keep-alive" ? { agent: new Agent({ keepAlive: true, maxFreeSockets: 64 }) } : {}),
});
const accessLog = createWriteStream("access.log");

/** Begins the ids of requests. */
const startedAt = Date.now().toString(36);
let serial = 0;

const counts = new Map<string, number>();
setInterval(() => counts.clear(), 1_000).unref();

proxy.on("proxyReq", (upstreamRequest, request) => {
  const peer = request.socket.remoteAddress ?? "";
  upstreamRequest.setHeader("X-Forwarded-Host", request.headers.host ?? "");
  upstreamRequest.setHeader("X-Forwarded-For", peer);
  upstreamRequest.setHeader("X-Forwarded-Proto", "https");
  upstreamRequest.setHeader("X-Real-IP", peer);
});
proxy.on("proxyRes", (answer) => {
  delete answer.headers["server"];
  delete answer.headers["connection"];
});
proxy.on("error", (_error, _request, response) => {
  if ("writeHead" in response && !response.headersSent) response.writeHead(502);
  response.end();
});

createServer({ cert: readFileSync(cert), key: readFileSync(key) }, (request, response) => {
  const startedMs = performance.now();
  const peer = request.socket.remoteAddress ?? "";
  const count = (counts.get(peer) ?? 0) + 1;
  counts.set(peer, count);
  if (count > unreachedRatePerSecond) return void response.writeHead(429).end();
  if (/^\/web\/database/i.test(request.url ?? "")) return void response.writeHead(404).end();
  for (const [name, value] of securityHeaders) response.setHeader(name, value);
  response.on("finish", () => {
    const ms = (performance.now() - startedMs).toFixed(1);
    const { method, url, httpVersion, headers } = request;
    serial += 1;
    const id = `${startedAt}-${serial.toString(36)}`;
    const line = {
      ...{
        time: new Date().toISOString(),
        id,
        client: peer,
        protocol: `HTTP/${httpVersion}`,
        method,
        host: headers.host,
      },
      ...{ target: url, status: response.statusCode, totalMs: Number(ms), userAgent: headers["user-agent"] },
    };
    accessLog.write(`${JSON.stringify(line)}\n`);
  });
  proxy.web(request, response);
}).listen({ port: Number(tlsPort), host: "127.0.0.1", backlog: 1024 });
