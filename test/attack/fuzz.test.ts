import { once } from "node:events";
import t from "tap";
import { startTestGateway, type TestGateway } from "../support/gateway.ts";
import { framing } from "./corpus/framing.ts";
import { lines } from "./corpus/lines.ts";
import { names } from "./corpus/names.ts";
import { routes } from "./corpus/routes.ts";
import { judgeRequest, nextClient, open } from "./corpus/run.ts";

/** `FUZZ_RUNS` and `FUZZ_SEED` choose another walk; the default is short and always the same. */
const runs = Number(process.env["FUZZ_RUNS"] ?? 600);
const seed = Number(process.env["FUZZ_SEED"] ?? 1);
/** A mutation may leave the gateway waiting for bytes that never come: then this much silence ends the run. */
const quietMs = 60;
const atOnce = 16;

/** A small generator of known sequence (Mulberry32): numbers from 0 to below `below`. */
function generator(start: number): (below: number) => number {
  let state = start >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

const seeds = [...framing, ...lines, ...names, ...routes]
  .map(({ bytes }) => bytes.toString("latin1"))
  .filter((bytes) => bytes.length < 2_000);
const spices = [
  "\r\n",
  "\n",
  "\r",
  "\0",
  " ",
  "\t",
  ":",
  ",",
  ";",
  "%",
  "/",
  "\\",
  "_",
  "-",
  "0",
  "\x0b",
  "\xa0",
  "\xff",
  "\r\n\r\n",
  "HTTP/1.1",
];

/** One to four changes of an attack: a byte changed, left out or doubled, a spice added, the tail of another attack. */
function mutate(pick: (below: number) => number): string {
  let bytes = seeds[pick(seeds.length)] ?? "";
  for (let left = 1 + pick(4); left > 0; left -= 1) {
    const at = pick(bytes.length + 1);
    const rest = bytes.slice(at);
    switch (pick(5)) {
      case 0:
        bytes = bytes.slice(0, at) + String.fromCharCode(pick(256)) + rest.slice(1);
        break;
      case 1:
        bytes = bytes.slice(0, at) + rest.slice(1 + pick(4));
        break;
      case 2:
        bytes = bytes.slice(0, at) + rest.slice(0, 1 + pick(20)) + rest;
        break;
      case 3:
        bytes = bytes.slice(0, at) + (spices[pick(spices.length)] ?? "") + rest;
        break;
      default: {
        const other = seeds[pick(seeds.length)] ?? "";
        bytes = bytes.slice(0, at) + other.slice(pick(other.length));
      }
    }
  }
  return bytes;
}

async function send(gateway: TestGateway, client: string, bytes: string): Promise<void> {
  const socket = open(gateway, client);
  socket.on("error", () => {});
  socket.setTimeout(quietMs, () => socket.destroy());
  socket.on("end", () => socket.destroy());
  socket.resume();
  const closed = once(socket, "close").catch(() => {});
  socket.write(Buffer.from(bytes, "latin1"));
  await closed;
}

t.test(`${runs} mutations of attacks do no harm either`, { timeout: 30_000 + 20 * runs }, async (t) => {
  const gateway = await startTestGateway({ demo: { recordMax: 100_000 } });
  t.teardown(() => gateway.close());
  const pick = generator(seed);
  for (let done = 0; done < runs; done += atOnce) {
    const sent = new Map<string, string>();
    for (let i = 0; i < atOnce; i += 1) sent.set(nextClient(), mutate(pick));
    gateway.demo.forget();
    await Promise.all([...sent].map(([client, bytes]) => send(gateway, client, bytes)));
    for (const request of gateway.demo.requests) {
      const problems = judgeRequest(
        request,
        sent.has(request.client) ? request.client : "a client of this run",
      );
      if (problems.length > 0) t.fail("harm", { problems, sent: sent.get(request.client) });
    }
  }
  t.strictSame(
    gateway.events.filter((event) => event.type === "error"),
    [],
  );
  const failed = gateway.records().filter(({ failure }) => failure !== null);
  t.strictSame(failed, [], "what reaches Odoo is whole and gets an answer");
});
