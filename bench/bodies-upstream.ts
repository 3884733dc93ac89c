import { createServer } from "node:http";

/**
 * An upstream for large bodies, as a process of its own: GET answers `megabytes` (the query's, binary) as fast as it can, anything else reads the body and answers how
 * long it was. Tells `{port}` once.
 */
const piece = Buffer.alloc(1024 * 1024, 7);

const server = createServer((asked, answer) => {
  answer.setHeader("Connection", "close");
  if (asked.method !== "GET") {
    let bytes = 0;
    asked.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
    });
    asked.on("end", () => answer.end(String(bytes)));
    return;
  }
  const megabytes = Number(new URL(asked.url ?? "/", "http://localhost").searchParams.get("megabytes"));
  answer.writeHead(200, {
    "Content-Type": "application/octet-stream",
    "Content-Length": megabytes * piece.length,
  });
  let sent = 0;
  const go = () => {
    while (sent < megabytes) {
      sent += 1;
      if (!answer.write(piece)) return void answer.once("drain", go);
    }
    answer.end();
  };
  go();
});
process.on("disconnect", () => process.exit(0));
server.listen(0, "127.0.0.1", () => {
  const at = server.address();
  if (at !== null && typeof at === "object") process.send?.({ port: at.port });
});
