import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { makeCertificate } from "./certificate.ts";
import {
  type Daemon,
  findProgram,
  freePort,
  startDaemon,
  stopChild,
  temporaryDirectory,
} from "./children.ts";
import { treePids } from "./cpu.ts";
import { startSockets } from "./idle-sockets.ts";
import { startUpstream } from "./measure.ts";
import { caddy } from "./peers/caddy.ts";
import { startGateway } from "./peers/gateway.ts";
import type { PeerContext } from "./peers/peer.ts";

/**
 * Memory: what `run` takes when it has started and nobody asks, and what each of 10,000 open websockets adds, beside nginx and Caddy.
 * Resident memory of all the peer's processes, as the kernel counts it.
 */
const help = `Usage: npm run bench:memory [-- --websockets N] [--peers a,b]

  --websockets N   1–50000 (default 10000; fewer where the system gives fewer file descriptors)
  --peers a,b      gateway, nginx, caddy
`;
const settleMs = 5_000;

const { values } = parseArgs({
  options: {
    websockets: { type: "string", default: "10000" },
    peers: { type: "string", default: "gateway,nginx,caddy" },
    help: { type: "boolean" },
  },
});
if (values.help === true) {
  process.stdout.write(help);
  process.exit(0);
}
const wanted = Math.min(50_000, Math.max(1, Number(values.websockets) || 10_000));
const names = values.peers.split(",");
const descriptors = Number(
  /^Max open files\s+\d+\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "latin1"))?.[1] ?? 1_024,
);
// Two for each websocket, and the listener takes half of them at most.
const count = Math.min(wanted, Math.floor(descriptors / 2) - 150);
if (count < wanted)
  process.stderr.write(`${descriptors} file descriptors at most: ${count} websockets instead of ${wanted}\n`);

const dir = temporaryDirectory();
const certificate = makeCertificate(dir);
if (certificate === null) throw new Error("openssl is not installed");
const upstream = await startUpstream("closing", dir);
const sockets = await startSockets(dir);

function residentMiB(daemon: Daemon): number {
  let kib = 0;
  for (const pid of treePids(daemon.pid)) {
    try {
      kib += Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1] ?? 0);
    } catch {
      // Ended meanwhile.
    }
  }
  return kib / 1_024;
}

/** The guide's location for websockets, and nothing else. Of its connections nginx keeps a sixteenth free, so it is given more than two each. */
function nginxFor(at: PeerContext): Promise<Daemon> {
  const file = join(at.dir, "nginx.conf");
  const temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((path) => `${path}_temp_path ${join(at.dir, path)};`)
    .join(" ");
  writeFileSync(
    file,
    `daemon off; worker_processes 1; pid ${join(at.dir, "nginx.pid")}; worker_rlimit_nofile ${descriptors};
${process.getuid?.() === 0 ? "user root;" : ""}
events { worker_connections ${count * 3}; }
http { ${temp} access_log off; ssl_session_cache shared:bench:10m; ssl_session_tickets off;
server { listen 127.0.0.1:${at.tlsPort} ssl; server_name localhost; ssl_certificate ${at.cert}; ssl_certificate_key ${at.key};
location /websocket { proxy_pass http://127.0.0.1:${at.busPort}; proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade;
proxy_set_header Connection "upgrade"; proxy_set_header Host $host; proxy_read_timeout 720s; }
location / { proxy_pass http://127.0.0.1:${at.upstreamPort}; } } }
`,
  );
  const args = ["-c", file, "-p", at.dir, "-e", join(at.dir, "error.log")];
  return startDaemon("nginx", findProgram("nginx") ?? "nginx", args, { dir: at.dir, port: at.tlsPort });
}

const many = "1000000";
const peers: readonly {
  readonly name: string;
  readonly able: () => true | string;
  readonly start: (at: PeerContext) => Promise<Daemon>;
}[] = [
  {
    name: "gateway",
    able: () => true,
    start: (at) =>
      startGateway(
        at,
        {
          TRUSTED_NETWORKS: "127.0.0.0/8",
          CONNECTIONS_PER_CLIENT: many,
          TUNNELS_PER_CLIENT: many,
          TUNNELS_PER_SESSION: many,
        },
        { openFilesMax: descriptors },
      ),
  },
  {
    name: "nginx",
    able: () => findProgram("nginx") !== null || "not installed (Debian package nginx)",
    start: nginxFor,
  },
  { name: "caddy", able: caddy.available, start: caddy.start },
];

setTimeout(() => {
  process.stderr.write("not finished in time: given up\n");
  process.exit(1);
}, 600_000).unref();
process.stdout.write(
  `| peer | idle after start | with ${count} websockets | each | ${settleMs / 1_000} s after they left |\n| --- | --- | --- | --- | --- |\n`,
);
let failures = 0;
for (const peer of peers) {
  if (!names.includes(peer.name)) continue;
  const able = peer.able();
  if (able !== true) {
    process.stderr.write(`${peer.name} is left out: ${able}\n`);
    continue;
  }
  const own = join(dir, peer.name);
  mkdirSync(own);
  const tlsPort = await freePort();
  let daemon: Daemon | null = null;
  try {
    const ports = { upstreamPort: upstream.odooPort, busPort: sockets.busPort, tlsPort };
    daemon = await peer.start({ regime: "closing", ...ports, ...certificate, dir: own });
    await delay(settleMs);
    const idle = residentMiB(daemon);
    const open = await sockets.open(tlsPort, count);
    await delay(settleMs);
    const still = await sockets.count();
    const full = residentMiB(daemon);
    await sockets.drop();
    await delay(settleMs);
    const left = residentMiB(daemon);
    const mib = (value: number) => `${value.toFixed(0)} MiB`;
    const each = `${(((full - idle) * 1_024) / Math.max(1, still)).toFixed(1)} KiB`;
    process.stdout.write(`| ${[peer.name, mib(idle), mib(full), each, mib(left)].join(" | ")} |\n`);
    if (still < count) {
      failures += 1;
      process.stderr.write(`${peer.name}: ${open} of ${count} opened, ${still} were open when it was read\n`);
    }
  } catch (error) {
    failures += 1;
    process.stderr.write(
      `${peer.name} is left out: ${error instanceof Error ? error.message : String(error)}\n`,
    );
  }
  await daemon?.stop();
}
await sockets.close();
await stopChild(upstream.child);
process.exit(failures > 0 ? 1 : 0);
