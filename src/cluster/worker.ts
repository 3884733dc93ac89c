import { type Server as NetServer, Socket } from "node:net";
import { systemClock } from "../base/clock.ts";
import { packageRoot } from "../base/package-root.ts";
import { type Problem, problemLine } from "../base/problem.ts";
import { ok, type Result } from "../base/result.ts";
import { BanTable } from "../guard/ban-table.ts";
import { readMaintenanceText } from "../guard/maintenance.ts";
import { PendingAccounts } from "../guard/pending-accounts.ts";
import { KnownSessions } from "../guard/sessions.ts";
import { SharedPeers } from "../guard/shared-peers.ts";
import { stagingLimit } from "../guard/staging.ts";
import type { EventSink, GatewayEvent } from "../observe/events.ts";
import type { Settings } from "../settings/settings.ts";
import type { RunningGateway } from "../start/running-gateway.ts";
import { startGateway } from "../start.ts";
import { createChallenges } from "../tls/challenges.ts";
import {
  type FromWorker,
  type ListenerName,
  protocolVersion,
  type ToWorker,
  type WorkerReport,
  type WorkerStart,
} from "./messages.ts";
import { OwnerLink } from "./owner-link.ts";
import { RemoteJail } from "./remote-jail.ts";
import { RemoteLimiter } from "./remote-limiter.ts";
import type { WorkerSeam } from "./seams.ts";
import { shareOf } from "./share.ts";
import { hearChallenge } from "./told-challenges.ts";

export interface WorkerOptions {
  readonly readSettings: () => Result<Settings, readonly Problem[]>;
  readonly log: (settings: Settings) => EventSink;
  /** Gives a message to the supervisor. */
  readonly send: (message: FromWorker) => void;
}

/** One worker: replicas of what the supervisor owns, and the gateway that uses them. */
export class Worker {
  readonly #options: WorkerOptions;
  readonly #link: OwnerLink;
  readonly #bans = new BanTable();
  readonly #challenges = createChallenges();
  readonly #pendingAccounts = new PendingAccounts(undefined, (key, account) =>
    this.#link.tell({ tell: "pending", key, account }),
  );
  readonly #servers = new Map<ListenerName, NetServer>();
  #sessions: KnownSessions | null = null;
  #limiter: RemoteLimiter | null = null;
  /** Settled when `start` was carried out; null: it could not be. Messages may come before `start`. */
  readonly #starting: Promise<RunningGateway | null>;
  #settleStarting: (running: RunningGateway | null) => void = () => {};
  #hasBegun = false;
  #running: RunningGateway | null = null;
  #prepared: { readonly id: number; readonly commit: () => void } | null = null;
  #closed: number[] = [];
  #ending: Promise<void> | null = null;

  constructor(options: WorkerOptions) {
    this.#options = options;
    this.#link = new OwnerLink(options.send);
    this.#starting = new Promise((resolve) => {
      this.#settleStarting = resolve;
    });
  }

  /** Says hello; the supervisor answers with `start`. */
  greet(): void {
    this.#options.send({ type: "hello", protocol: protocolVersion, version: packageRoot().version });
  }

  /** Takes one message; resolves with true when the process is to end. */
  async take(message: ToWorker, socket: unknown): Promise<boolean> {
    switch (message.type) {
      case "start":
        return !(await this.#start(message.start));
      case "replies":
        this.#link.replied(message.replies);
        return false;
      case "connection":
        this.#connection(message.id, message.listener, socket);
        return false;
      case "bans":
        for (const ban of message.bans) {
          this.#bans.set(ban);
          this.#running?.gateway.banned(ban.address);
        }
        return false;
      case "lift":
        this.#bans.delete(message.address);
        return false;
      case "sessions":
        for (const key of message.keys) this.#sessions?.mirror(key, message.known);
        return false;
      case "pending":
        for (const [key, account] of message.entries) this.#pendingAccounts.mirror(key, account);
        return false;
      case "maintenance":
        (await this.#starting)?.maintain(readMaintenanceText(message.text));
        return false;
      case "clear-cache":
        this.#running?.cache.clear();
        return false;
      case "recall":
        this.#limiter?.recall(message.limit, message.key);
        return false;
      case "challenge":
        hearChallenge(this.#challenges, message);
        return false;
      case "ticket-keys":
        (await this.#starting)?.setTicketKeys(Buffer.from(message.keys, "hex"));
        return false;
      case "prepare-reload":
        await this.#prepare(message.id);
        return false;
      case "commit-reload":
        if (this.#prepared?.id !== message.id) return false;
        if (message.go) this.#prepared.commit();
        this.#prepared = null;
        return false;
      case "reload-certificates":
        await (await this.#starting)?.reloadCertificates();
        return false;
      case "report":
        this.#options.send({ type: "report", id: message.id, report: this.#report(message.process) });
        return false;
      case "retire":
        await this.end(true);
        return true;
      case "stop":
        await this.end(false);
        return true;
      default: {
        const never: never = message;
        return never;
      }
    }
  }

  /** The supervisor is gone: what is under way is served within DRAIN_TIMEOUT, nothing is counted any more. */
  async orphaned(): Promise<void> {
    this.#link.lose();
    await this.end(false);
  }

  /** Ends in order, once; `retires`: idle connections are kept until their next request, others serve already. */
  async end(retires: boolean): Promise<void> {
    if (!this.#hasBegun) this.#settleStarting(null);
    const running = await this.#starting;
    if (retires) await running?.retire();
    this.#ending ??= (async () => {
      const cut = (await running?.stop()) ?? 0;
      this.#link.flush();
      this.#options.send({ type: "ended", cut, report: this.#report(false) });
    })();
    await this.#ending;
  }

  /** Says why it ends. */
  fail(problems: readonly string[]): void {
    this.#options.send({ type: "problems", problems });
  }

  async #start(start: WorkerStart): Promise<boolean> {
    this.#hasBegun = true;
    try {
      this.#running = await this.#open(start);
    } finally {
      this.#settleStarting(this.#running);
    }
    if (this.#running !== null) this.#options.send({ type: "ready" });
    return this.#running !== null;
  }

  async #open(start: WorkerStart): Promise<RunningGateway | null> {
    const clock = systemClock;
    const secret = Buffer.from(start.secret, "hex");
    const sessions = new KnownSessions(secret, undefined, (key, known) =>
      this.#link.tell({ tell: "session", key, known }),
    );
    const limiter = new RemoteLimiter(this.#link, clock);
    this.#sessions = sessions;
    this.#limiter = limiter;
    const seam: WorkerSeam = {
      secret,
      ticketKeys: Buffer.from(start.ticketKeys, "hex"),
      jail: new RemoteJail(this.#link, this.#bans, clock),
      limiter,
      sessions,
      pendingAccounts: this.#pendingAccounts,
      sessionTrails: { saw: (sighting) => this.#link.mention({ tell: "sighting", sighting }) },
      sharedPeers: new SharedPeers(undefined, (address) => this.#link.tell({ tell: "shared-peer", address })),
      cspReports: { take: (client, reading) => this.#link.tell({ tell: "csp-reports", client, reading }) },
      challenges: this.#challenges,
      stagingTries: async (address) => {
        const taken = await limiter.check([stagingLimit], { address, session: null, account: null });
        if (!taken.ok) return { ok: false, retryAfterMs: taken.retryAfterSeconds * 1000 };
        return { ok: true, end: (wasRight) => taken.settle(wasRight ? "success" : "failure") };
      },
      tunnelPlaces: {
        take: async (client, most) => {
          const reply = await this.#link.ask({ ask: "tunnel", client, most });
          return reply?.answer === "tunnel" && reply.ok;
        },
        free: (client) => this.#link.tell({ tell: "tunnel-ended", client }),
      },
      attach: (name, server) => {
        const listener = start.listeners.find((one) => one.name === name);
        if (listener === undefined) return null;
        this.#servers.set(name, server);
        return { port: listener.port, address: listener.address };
      },
    };
    const read = this.#options.readSettings();
    if (!read.ok) return this.#complain(read.error);
    const own = (settings: Settings) => ownSettings(settings, start);
    const settings = own(read.value);
    const started = await startGateway({
      settings,
      sink: withoutNoise(this.#options.log(settings), () => this.#link.tell({ tell: "bus" })),
      readSettings: () => {
        const again = this.#options.readSettings();
        return again.ok ? ok(own(again.value)) : again;
      },
      worker: seam,
    });
    return started.ok ? started.value : this.#complain(started.error);
  }

  #complain(problems: readonly Problem[]): null {
    const lines = problems.map(problemLine);
    for (const line of lines) process.stderr.write(`problem: ${line}\n`);
    this.fail(lines);
    return null;
  }

  #connection(id: number, name: ListenerName, socket: unknown): void {
    const server = this.#servers.get(name);
    // Node hands over nothing when the client was gone before we looked.
    if (!(socket instanceof Socket)) return this.#over(id);
    socket.on("close", () => this.#over(id));
    if (server === undefined) return void socket.destroy();
    // As the listener's own connections are (edge/listeners); a socket from another process comes without.
    socket.allowHalfOpen = name !== "https";
    socket.setNoDelay(true);
    server.emit("connection", socket);
  }

  #over(id: number): void {
    if (this.#closed.push(id) > 1) return;
    setImmediate(() => {
      const ids = this.#closed;
      this.#closed = [];
      this.#options.send({ type: "closed", ids });
    });
  }

  async #prepare(id: number): Promise<void> {
    const running = await this.#starting;
    // It has no plan, and ends: what takes its place reads the new files.
    if (running === null) return this.#options.send({ type: "prepared", id, problems: [] });
    const prepared = await running.prepareReload();
    if (prepared.ok) this.#prepared = { id, commit: prepared.value };
    const problems = prepared.ok ? [] : prepared.error.map(problemLine);
    this.#options.send({ type: "prepared", id, problems });
  }

  #report(withProcess: boolean): WorkerReport {
    const running = this.#running;
    return {
      counters: running?.counters() ?? null,
      tally: running?.tally() ?? null,
      spoolBytes: running?.spoolBytes() ?? 0,
      exchanges: running?.gateway.exchanges ?? 0,
      tunnels: running?.gateway.tunnels ?? 0,
      planRevision: running?.plan().revision ?? 0,
      cache: running?.cache.figures() ?? null,
      queue: running?.queue() ?? null,
      members: running?.members() ?? [],
      busFallback: running?.busFallback() ?? false,
      process: withProcess ? (running?.process() ?? null) : null,
    };
  }
}

/** A worker's part of what is for all; what lasts until a restart is as its brothers have it, whatever was written since. */
function ownSettings(settings: Settings, { lasting, share }: WorkerStart): Settings {
  return shareOf({ ...settings, ...lasting, adminListen: null }, share);
}

/** The supervisor says these once for all; what becomes of the bus port a worker sees first, and the supervisor after it. */
function withoutNoise(sink: EventSink, tellBus: () => void): EventSink {
  const told: ReadonlySet<GatewayEvent["type"]> = new Set([
    "listening",
    "plan-loaded",
    "certificate-loaded",
    "maintenance",
    "hsts-ramp",
    "self-checked",
    "draining",
    "stopped",
  ]);
  return {
    emit(event) {
      if (isOfBus(event)) tellBus();
      else if (!told.has(event.type)) sink.emit(event);
    },
  };
}

function isOfBus(event: GatewayEvent): boolean {
  const isWarning = event.type === "warning" && event.what === "bus";
  return isWarning || event.type === "bus-fallback" || event.type === "bus-restored";
}
