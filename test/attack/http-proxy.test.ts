import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import t from "tap";
import { packageRoot } from "../../src/base/package-root.ts";
import { startTestGateway, type TestGateway } from "../support/gateway.ts";
import { rawTalk } from "../support/upstream-raw.ts";
import { startScripted } from "../support/upstream-scripted.ts";
import { chunked, request } from "./corpus/case.ts";
import { nextClient, open } from "./corpus/run.ts";

/*
 * Why the road to Odoo is our own code (docs/decisions): what the usual library does with the same bytes. When one of
 * these tests fails because the library got better, the decision can be looked at again.
 */

/** What a careful person writes with http-proxy: a path policy, error handlers, kept connections, websockets. */
const program = `
  import http from "node:http";
  import httpProxy from "http-proxy";
  const target = process.argv[1];
  const proxy = httpProxy.createProxyServer({ target, xfwd: true, agent: new http.Agent({ keepAlive: true, maxSockets: 1 }) });
  proxy.on("error", (error, req, res) => { if (res.writeHead) res.writeHead(502).end(); else res.destroy(); });
  const server = http.createServer((req, res) => {
    if (req.url.startsWith("/web/database")) return res.writeHead(404).end();
    proxy.web(req, res);
  });
  server.on("upgrade", (req, socket, head) => proxy.ws(req, socket, head));
  server.listen(0, "127.0.0.1", () => console.log(server.address().port));
`;

interface Library {
  readonly port: number;
  readonly child: ChildProcess;
  /** Exit code once it has ended by itself. */
  readonly ended: Promise<number | null>;
  /** What it wrote to stderr. */
  stderr(): string;
}

async function startLibrary(t: { teardown(f: () => unknown): void }, upstreamPort: number): Promise<Library> {
  const child = spawn(
    process.execPath,
    ["--no-deprecation", "--input-type=module", "-e", program, `http://127.0.0.1:${upstreamPort}`],
    { cwd: packageRoot().directory, stdio: ["ignore", "pipe", "pipe"] },
  );
  t.teardown(() => child.kill("SIGKILL"));
  let stderr = "";
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
  const [line] = (await Promise.race([once(child.stdout, "data"), ended.then(() => [""])])) as [unknown];
  const port = Number(String(line).trim());
  if (!(port > 0)) throw new Error(`the library did not start: ${stderr}`);
  return { port, child, ended, stderr: () => stderr };
}

async function stillServes(gateway: TestGateway): Promise<boolean> {
  const answer = await rawTalk(gateway.httpsPort, request("GET /web/health", ["Connection: close"]), {
    socket: open(gateway, nextClient()),
  });
  return answer.status === 200;
}

const trailer = request("GET /demo/echo", ["Trailer: x", "Connection: close"]);

t.test("a Trailer field ends the process of http-proxy, and is dropped here", async (t) => {
  const upstream = await startScripted((socket) =>
    socket.end("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
  );
  t.teardown(() => upstream.close());
  const library = await startLibrary(t, upstream.port);
  await rawTalk(library.port, trailer);
  t.not(await library.ended, 0);
  t.match(library.stderr(), "ERR_HTTP_TRAILER_INVALID");

  const gateway = await startTestGateway();
  t.teardown(() => gateway.close());
  const answer = await rawTalk(gateway.httpsPort, trailer, { socket: open(gateway, nextClient()) });
  t.equal(answer.status, 200);
  t.ok(await stillServes(gateway));
});

const drop = "POST /web/database/drop HTTP/1.1\r\nHost: odoo.test\r\nContent-Length: 0\r\n\r\n";
const smuggling = request("DELETE /websocket/x", ["Transfer-Encoding: chunked"], chunked(drop));

t.test("a chunked DELETE smuggles past the policy of http-proxy, and not past ours", async (t) => {
  const seen: string[] = [];
  const server = createServer((req, res) => {
    seen.push(`${req.method} ${req.url}`);
    req.resume();
    res.end("ok");
    if (req.url === "/web/database/drop") smuggled();
  });
  let smuggled = (): void => {};
  const arrived = new Promise<void>((resolve) => {
    smuggled = resolve;
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const upstreamPort = (server.address() as AddressInfo).port;
  const library = await startLibrary(t, upstreamPort);
  await rawTalk(library.port, smuggling, { until: "\r\n\r\n" });
  await arrived;
  t.strictSame(seen, ["DELETE /websocket/x", "POST /web/database/drop"]);

  seen.length = 0;
  const gateway = await startTestGateway({ upstream: { webPort: upstreamPort, busPort: upstreamPort } });
  t.teardown(() => gateway.close());
  const socket = open(gateway, nextClient());
  await rawTalk(gateway.httpsPort, `${smuggling}${request("GET /websocket/y", ["Connection: close"])}`, {
    socket,
  });
  t.strictSame(
    seen.filter((start) => !start.startsWith("HEAD") && !start.includes("health")),
    ["DELETE /websocket/x", "GET /websocket/y"],
    "the second use of the kept connection is the next request, not the body of the first",
  );
});

const handshake = request("GET /websocket", [
  "Upgrade: websocket",
  "Connection: Upgrade",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
  "Origin: https://odoo.test",
]);

t.test(
  "a client that resets its handshake ends the process of http-proxy, and only its own exchange here",
  async (t) => {
    let arrived = (): void => {};
    const upstream = await startScripted(() => arrived());
    t.teardown(() => upstream.close());
    const library = await startLibrary(t, upstream.port);
    const first = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    const socket = connect(library.port, "127.0.0.1");
    socket.on("error", () => {});
    socket.write(handshake);
    await first;
    socket.resetAndDestroy();
    t.not(await library.ended, 0);
    t.match(library.stderr(), "ECONNRESET");

    const gateway = await startTestGateway({ upstream: { webPort: upstream.port, busPort: upstream.port } });
    t.teardown(() => gateway.close());
    const second = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    const client = nextClient();
    const tls = open(gateway, client);
    tls.on("error", () => {});
    tls.write(handshake);
    await second;
    tls.destroy();
    const record = await gateway.event((event) => event.type === "access" && event.peer === client);
    t.equal(record.type === "access" ? record.status : 0, 499);
    t.equal(gateway.running.gateway.exchanges, 0);
    t.equal(gateway.running.gateway.tunnels, 0);
  },
);
