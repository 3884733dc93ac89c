import { connect } from "node:tls";

/**
 * Clients that read slowly, a process of its own. Told `{port, count, path, bytesPerSecond}` each asks once and reads at that pace; told `{}` it
 * answers `{reading, bytes, refused, cut}`.
 */
interface Order {
  readonly port?: number;
  readonly count?: number;
  readonly path?: string;
  readonly bytesPerSecond?: number;
}

let [bytes, refused, cut, reading] = [0, 0, 0, 0];

function readSlowly(port: number, path: string, bytesPerSecond: number): void {
  const socket = connect({
    host: "127.0.0.1",
    port,
    servername: "localhost",
    // The certificate is made for this run and signed by nobody.
    rejectUnauthorized: false,
    ALPNProtocols: ["http/1.1"],
  });
  let isBegun = false;
  const startMs = performance.now();
  let read = 0;
  socket.on("secureConnect", () =>
    socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: Mozilla/5.0\r\n\r\n`),
  );
  socket.on("data", (chunk: Buffer) => {
    if (!isBegun) {
      isBegun = true;
      reading += 1;
      if (!chunk.toString("latin1", 0, 15).startsWith("HTTP/1.1 200")) refused += 1;
    }
    bytes += chunk.length;
    read += chunk.length;
    const dueMs = startMs + (read / bytesPerSecond) * 1_000 - performance.now();
    if (dueMs <= 0) return;
    socket.pause();
    setTimeout(() => socket.resume(), dueMs);
  });
  socket.on("error", () => socket.destroy());
  socket.on("close", () => {
    cut += 1;
    if (isBegun) reading -= 1;
  });
}

process.on("message", ({ port, count, path, bytesPerSecond }: Order) => {
  if (port !== undefined && count !== undefined && path !== undefined && bytesPerSecond !== undefined)
    for (let i = 0; i < count; i += 1) readSlowly(port, path, bytesPerSecond);
  else process.send?.({ reading, bytes, refused, cut });
});
process.on("disconnect", () => process.exit(0));
