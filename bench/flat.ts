import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { packageRoot } from "../src/base/package-root.ts";
import { BanJournal, banJournalFile } from "../src/guard/ban-journal.ts";
import { BanTable } from "../src/guard/ban-table.ts";
import { makeCertificate } from "./certificate.ts";
import { type Daemon, freePort, stopChild, temporaryDirectory } from "./children.ts";
import { startSockets } from "./idle-sockets.ts";
import { loadAvailable } from "./load.ts";
import { measure, startUpstream } from "./measure.ts";
import { startGateway } from "./peers/gateway.ts";
import { probe } from "./probe.ts";
import { type PeerSamples, renderTable, type Sample } from "./table.ts";

/**
 * Does a request cost more when there is more of everything? The gateway beside itself with 500 rules, with 100,000 bans, with open
 * websockets; rounds interleaved, ratios to the one that has none of it.
 */
const help = `Usage: npm run bench:flat [-- --rounds N] [--seconds N] [--only a,b]

  --rounds N    rounds, 1–20 (default 4); --seconds N: length of one load, 2–20 (default 3)
  --only a,b    beside "plain": rules-by-path, rules-by-network, bans, tunnels
`;
const rulesAdded = 500;
const bansKept = 100_000;
const tunnelsOpen = 2_000;
const clients = 32;

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "4" },
    seconds: { type: "string", default: "3" },
    only: { type: "string" },
    help: { type: "boolean" },
  },
});
if (values.help === true) {
  process.stdout.write(help);
  process.exit(0);
}
const rounds = Math.min(20, Math.max(1, Number(values.rounds) || 4));
const seconds = Math.min(20, Math.max(2, Number(values.seconds) || 3));
const able = loadAvailable("http1");
if (able !== true) {
  process.stderr.write(`nothing to measure with: ${able}\n`);
  process.exit(0);
}

const dir = temporaryDirectory();
const certificate = makeCertificate(dir);
if (certificate === null) throw new Error("openssl is not installed");
const upstream = await startUpstream("closing", dir);
const sockets = await startSockets(dir);

/** The shipped policy with limits nobody reaches: they are counted for every request, as for a stranger, and never refuse. */
function policies(own: string, more: string): string {
  const folder = join(own, "policies");
  cpSync(join(packageRoot().directory, "policies"), folder, { recursive: true });
  for (const name of readdirSync(folder).filter((one) => one.endsWith(".yaml"))) {
    const path = join(folder, name);
    const wide = readFileSync(path, "utf8").replaceAll(
      /rate: [^,]+, burst: [0-9]+/g,
      "rate: 1000000/s, burst: 1000000",
    );
    writeFileSync(path, wide);
  }
  if (more !== "") writeFileSync(join(folder, "06-many.yaml"), more);
  return folder;
}

/** Rules that stand before all that matches, and match nothing here. */
function rules(match: (i: number) => string): string {
  const one = (i: number) =>
    `  - id: many-${i}\n    why: One of many.\n    match: ${match(i)}\n    deny: 404\n`;
  return `rules:\n${Array.from({ length: rulesAdded }, (_, i) => one(i)).join("")}`;
}

function bans(state: string): void {
  const journal = new BanJournal({
    path: join(state, banJournalFile),
    bans: new BanTable(),
    wallMs: Date.now,
    fault: (detail) => {
      throw new Error(detail);
    },
  });
  const untilWallMs = Date.now() + 86_400_000;
  for (let i = 0; i < bansKept; i += 1)
    journal.record({
      address: `${1 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}.9`,
      untilWallMs,
      reason: "pair",
      times: 1,
    });
  journal.close();
}

interface Kind {
  readonly name: string;
  readonly policy: string;
  readonly prepare: (state: string) => void;
  readonly tunnels: number;
}
const nothing = () => {};
const kinds: readonly Kind[] = [
  { name: "plain", policy: "", prepare: nothing, tunnels: 0 },
  {
    name: "rules-by-path",
    policy: rules((i) => `{ path: [/area-${i}/**, /*/area-${i}/list] }`),
    prepare: nothing,
    tunnels: 0,
  },
  {
    name: "rules-by-network",
    policy: rules((i) => `{ from: [198.18.${i >> 8}.${i & 255}/32] }`),
    prepare: nothing,
    tunnels: 0,
  },
  { name: "bans", policy: "", prepare: bans, tunnels: 0 },
  { name: "tunnels", policy: "", prepare: nothing, tunnels: tunnelsOpen },
];
const wanted = values.only?.split(",");
const chosen = kinds.filter(({ name }) => name === "plain" || wanted === undefined || wanted.includes(name));

const running: { readonly kind: Kind; readonly daemon: Daemon; readonly port: number }[] = [];
let failures = 0;
for (const kind of chosen) {
  const own = join(dir, kind.name);
  mkdirSync(join(own, "state"), { recursive: true });
  kind.prepare(join(own, "state"));
  const port = await freePort();
  const context = {
    regime: "closing" as const,
    upstreamPort: upstream.odooPort,
    busPort: sockets.busPort,
    tlsPort: port,
    ...certificate,
    dir: own,
  };
  try {
    const daemon = await startGateway(context, {
      POLICIES_DIR: policies(own, kind.policy),
      TUNNELS_PER_CLIENT: "1000000",
      TUNNELS_PER_SESSION: "1000000",
      CONNECTIONS_PER_CLIENT: "1000000",
    });
    const wrong = await probe(port);
    if (wrong !== null) throw new Error(wrong);
    if (kind.tunnels > 0) {
      const open = await sockets.open(port, kind.tunnels);
      if (open < kind.tunnels) throw new Error(`only ${open} of ${kind.tunnels} websockets opened`);
    }
    running.push({ kind, daemon, port });
  } catch (error) {
    failures += 1;
    process.stderr.write(
      `${kind.name} is left out: ${error instanceof Error ? error.message : String(error)}\n`,
    );
  }
}

const samples = new Map<string, (Sample | null)[]>(running.map(({ kind }) => [kind.name, []]));
// Round 0 warms up and is not kept.
for (let round = 0; round <= rounds; round += 1)
  for (const one of running) {
    const load = { protocol: "http1" as const, clients, seconds, dir };
    const sample = await measure(one, upstream, load).catch((error: unknown) => {
      failures += 1;
      process.stderr.write(`${one.kind.name}: ${error instanceof Error ? error.message : String(error)}\n`);
      return null;
    });
    if (round > 0) samples.get(one.kind.name)?.push(sample);
  }
const table: PeerSamples[] = [...samples].map(([peer, list]) => ({ peer, rounds: list }));
const title = `A request beside ${rulesAdded} more rules, ${bansKept} bans, ${tunnelsOpen} open websockets: ratios to none`;
process.stdout.write(`${renderTable(title, table, "plain", process.stdout.isTTY === true)}\n`);
const still = chosen.some(({ tunnels }) => tunnels > 0) ? await sockets.count() : 0;
if (still > 0) process.stdout.write(`websockets still open at the end: ${still}\n`);
for (const { daemon } of running) await daemon.stop();
await sockets.close();
await stopChild(upstream.child);
process.exit(failures > 0 ? 1 : 0);
