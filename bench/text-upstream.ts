import { createServer } from "node:net";

/**
 * An upstream that answers each request with 15 KB of JSON as Odoo's lists are, run as a process of its own; sends `{ports}` once. As lean as can be:
 * a request is taken to come in one piece.
 */

const words = [
  "Azure Interior",
  "Deco Addict",
  "Gemini Furniture",
  "Lumber Inc",
  "Ready Mat",
  "The Jackson Group",
];
let seed = 7;
const next = (below: number) => {
  seed = (seed * 1_103_515_245 + 12_345) & 0x7fffffff;
  return seed % below;
};
const records: object[] = [];
let body = "";
while (body.length < 15_000) {
  for (let i = 0; i < 5; i += 1)
    records.push({
      id: records.length + 1,
      name: `${words[next(words.length)]} ${next(100_000)}`,
      email: `contact${next(100_000)}@example.com`,
      country_id: [next(200), "Country"],
      write_date: `2026-11-${10 + next(20)} ${10 + next(10)}:${10 + next(50)}:00`,
    });
  body = JSON.stringify({ jsonrpc: "2.0", id: 1, result: { length: records.length, records } });
}

const answer = Buffer.from(
  `HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
);
const server = createServer({ noDelay: true }, (socket) => {
  socket.on("error", () => socket.destroy());
  socket.on("data", () => socket.write(answer));
});
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  process.send?.({ ports: { odoo: port, bus: port } });
});
process.on("disconnect", () => process.exit(0));
