import { createSocket } from "node:dgram";

/** What a name server answers: PTR by the reverse name, A and AAAA by name. Missing: no such name; `silent`: no answer at all; `broken`: SERVFAIL. */
export type DnsZone = Readonly<Record<string, readonly string[] | "silent" | "broken">>;

export interface DnsServer {
  /** `127.0.0.1:port`. */
  readonly server: string;
  /** `PTR 1.66.249.66.in-addr.arpa`, in order. */
  readonly asked: readonly string[];
  /** Resolves with the next question, or at once when there was one. */
  heard(): Promise<void>;
  close(): Promise<void>;
}

const types: Readonly<Record<number, string>> = { 1: "A", 12: "PTR", 28: "AAAA" };

/** A name server on a UDP port of loopback (RFC 1035), as much of it as tests need. Keys of the zone: `PTR <name>`, `A <name>`, `AAAA <name>`. */
export async function startDns(zone: DnsZone): Promise<DnsServer> {
  const asked: string[] = [];
  let hears = () => {};
  const socket = createSocket("udp4");
  socket.on("message", (query, from) => {
    const { name, end } = readName(query);
    const type = types[query.readUInt16BE(end)] ?? "?";
    const key = `${type} ${name.toLowerCase()}`;
    asked.push(key);
    hears();
    const found = zone[key];
    if (found === "silent") return;
    const code = found === undefined ? 3 : found === "broken" ? 2 : 0;
    const data = Array.isArray(found) ? found.map((text: string) => record(type, text)) : [];
    const head = Buffer.from(query.subarray(0, 12));
    head.writeUInt16BE(0x8180 | code, 2);
    head.writeUInt16BE(1, 4);
    head.writeUInt16BE(data.length, 6);
    head.writeUInt32BE(0, 8);
    socket.send(Buffer.concat([head, query.subarray(12, end + 4), ...data]), from.port, from.address);
  });
  const port = await new Promise<number>((resolve) => {
    socket.bind(0, "127.0.0.1", () => resolve(socket.address().port));
  });
  return {
    server: `127.0.0.1:${port}`,
    asked,
    heard: () =>
      asked.length > 0
        ? Promise.resolve()
        : new Promise((resolve) => {
            hears = resolve;
          }),
    close: () => new Promise((resolve) => socket.close(() => resolve())),
  };
}

function readName(query: Buffer): { readonly name: string; readonly end: number } {
  const labels: string[] = [];
  let at = 12;
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString("latin1", at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join("."), end: at + 1 };
}

function record(type: string, text: string): Buffer {
  const data =
    type === "PTR"
      ? encodeName(text)
      : type === "A"
        ? Buffer.from(text.split(".").map(Number))
        : Buffer.from(text.split(":").flatMap((part) => [parseInt(part, 16) >> 8, parseInt(part, 16) & 255]));
  const head = Buffer.alloc(12);
  // The name of the question, by its place.
  head.writeUInt16BE(0xc00c, 0);
  head.writeUInt16BE(type === "PTR" ? 12 : type === "A" ? 1 : 28, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt32BE(60, 6);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}

function encodeName(name: string): Buffer {
  const labels = name.split(".").map((label) => Buffer.from([label.length, ...Buffer.from(label, "latin1")]));
  return Buffer.concat([...labels, Buffer.from([0])]);
}
