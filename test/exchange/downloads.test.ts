import { once } from "node:events";
import { Worker } from "node:worker_threads";
import t from "tap";
import { Spool } from "../../src/upstream/spool.ts";
import { startTestGateway } from "../support/gateway.ts";

const bytes = 1024 * 1024;
const answers = 8;

/** Odoo, which writes its answer at once, in a thread of its own. */
const odoo = `
const { createServer } = require("node:net");
const { parentPort } = require("node:worker_threads");
const body = Buffer.alloc(${bytes}, "z");
const server = createServer((socket) => {
  socket.on("error", () => {});
  socket.once("data", () => {
    socket.write("HTTP/1.0 200 OK\\r\\nContent-Type: application/octet-stream\\r\\nContent-Length: ${bytes}\\r\\n\\r\\n");
    socket.end(body);
  });
});
server.listen(0, "127.0.0.1", () => parentPort.postMessage(server.address().port));
`;

/** A client that reads at once, in a thread of its own; tells how many bytes of bodies came. */
const client = `
const tls = require("node:tls");
const http2 = require("node:http2");
const { parentPort, workerData } = require("node:worker_threads");
const { port, protocol } = workerData;
const at = { port, host: "127.0.0.1", servername: "odoo.test", rejectUnauthorized: false };
const path = "/web/content/1";
function http1() {
  return new Promise((resolve) => {
    let head = Buffer.alloc(0), count = -1;
    const socket = tls.connect(at, () => socket.write("GET " + path + " HTTP/1.1\\r\\nHost: odoo.test:" + port + "\\r\\nConnection: close\\r\\n\\r\\n"));
    socket.on("data", (chunk) => {
      if (count >= 0) return void (count += chunk.length);
      head = Buffer.concat([head, chunk]);
      const end = head.indexOf("\\r\\n\\r\\n");
      if (end >= 0) count = head.length - end - 4;
    });
    socket.on("error", () => {});
    socket.on("close", () => resolve(count));
  });
}
function h2() {
  return new Promise((resolve) => {
    const settings = { initialWindowSize: 4 << 20 };
    const session = http2.connect("https://127.0.0.1:" + port, { ...at, settings });
    session.on("error", () => {});
    session.on("connect", () => {
      session.setLocalWindowSize(4 << 20);
      const stream = session.request({ ":path": path, ":authority": "odoo.test:" + port });
      let count = 0;
      stream.on("data", (chunk) => { count += chunk.length; });
      stream.on("close", () => { session.destroy(); resolve(count); });
    });
  });
}
(async () => {
  let total = 0;
  for (let i = 0; i < ${answers}; i++) total += await (protocol === "HTTP/2" ? h2() : http1());
  parentPort.postMessage(total);
})();
`;

t.test("a download for a client that reads at once does not go over the disk", async (t) => {
  let files = 0;
  const { create } = Spool.prototype;
  Spool.prototype.create = function (this: Spool) {
    files += 1;
    return create.call(this);
  };
  t.teardown(() => {
    Spool.prototype.create = create;
  });
  const upstream = new Worker(odoo, { eval: true });
  const [webPort]: number[] = await once(upstream, "message");
  const gateway = await startTestGateway({ upstream: { webPort: webPort ?? 0, busPort: webPort ?? 0 } });
  t.teardown(async () => {
    await gateway.close();
    await upstream.terminate();
  });
  for (const protocol of ["HTTP/1.1", "HTTP/2"]) {
    files = 0;
    const worker = new Worker(client, { eval: true, workerData: { port: gateway.httpsPort, protocol } });
    t.same(await once(worker, "message"), [answers * bytes]);
    // A busy machine may stop the client in between.
    t.ok(files <= answers / 2, `${protocol}: ${files} of ${answers} set aside`);
    await worker.terminate();
  }
});
