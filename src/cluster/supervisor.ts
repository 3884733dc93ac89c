import { randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import type { AdminWorker } from "../admin/state.ts";
import { packageRoot } from "../base/package-root.ts";
import type { Problem } from "../base/problem.ts";
import type { Ban } from "../guard/ban-table.ts";
import { type Closed, maintenanceText } from "../guard/maintenance.ts";
import { type CounterSnapshot, sumCounters } from "../observe/counters.ts";
import type { EventSink } from "../observe/events.ts";
import { type TallySnapshot, TallySum, tallySnapshot } from "../observe/tally-sum.ts";
import type { QueueState } from "../road/ways.ts";
import type { Settings } from "../settings/settings.ts";
import { lastingOf } from "../start/lasting-settings.ts";
import type { RunningGateway } from "../start/running-gateway.ts";
import { ticketKeyBytes, ticketRotationMs } from "../tls/context.ts";
import { afterAwake } from "./awake.ts";
import { type ListenerName, protocolVersion, type ToWorker, type WorkerStart } from "./messages.ts";
import { Owner } from "./owner.ts";
import type { SupervisorSeam } from "./seams.ts";
import { sumMembers, sumQueues } from "./sums.ts";
import { toldChallenges } from "./told-challenges.ts";
import { type WaitingConnection, WaitingRoom } from "./waiting-room.ts";
import { WorkerProcess } from "./worker-process.ts";

/** A worker that does not serve by then is taken for broken. */
const startMsMax = 60_000;
/** A worker that broke is replaced after this time, doubled with each that broke since; a minute of service forgets them. */
const restartMs = 100;
const restartMsMax = 30_000;
const soundMs = 60_000;
/** What a worker gets beyond DRAIN_TIMEOUT before it is killed. */
const stopSlackMs = 5_000;
/** So many looks without a word are the end of a worker: half a minute. */
const silentLooksMax = 6;
const lookMsDefault = 5_000;
/** Entries of one message to a worker that starts. */
const sliceMax = 2_000;

export interface SupervisorOptions {
  readonly settings: Settings;
  readonly sink: EventSink;
  /** Whole lines of a worker's log. */
  readonly lines: (text: string) => void;
  /** How often workers are looked after; 5 s when left out. */
  readonly lookMs?: number;
}

/**
 * Looks after the workers: starts them, hands each connection to the one that has the fewest, replaces what breaks, and
 * changes all of them one by one. It serves nothing itself and owns what is counted once (cluster/owner).
 */
export class Supervisor implements SupervisorSeam {
  readonly challenges;
  readonly #options: SupervisorOptions;
  readonly #lookMs: number;
  readonly #openChallenges;
  readonly #room = new WaitingRoom();
  readonly #workers = new Set<WorkerProcess>();
  #owner: Owner | null = null;
  #running: RunningGateway | null = null;
  #ticketKeys = randomBytes(ticketKeyBytes);
  readonly #timers: NodeJS.Timeout[] = [];
  /** Sums of workers that ended. */
  #past: CounterSnapshot[] = [];
  #pastTally: TallySnapshot[] = [];
  #pastQueue: QueueState[] = [];
  #broken = 0;
  #lost = 0;
  #turn = 0;
  #cut = 0;
  #stopping = false;
  #changing: Promise<void> | null = null;
  /** Reloads that were put in place, and the one under way. */
  #revision = 0;
  #reloading: Promise<void> | null = null;
  /** Places of workers that broke, until the next one starts there. */
  readonly #pauses = new Map<NodeJS.Timeout, number>();
  /** Wait for the next worker that ends. */
  #onNews: (() => void)[] = [];

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#lookMs = options.lookMs ?? lookMsDefault;
    const told = toldChallenges((message) => this.#broadcast(message));
    this.challenges = told.challenges;
    this.#openChallenges = told.open;
  }

  /** Starts the workers of a gateway that listens; resolves when all of them serve, or have broken once. */
  async start(running: RunningGateway): Promise<void> {
    this.#running = running;
    const { lookAtBus } = running;
    this.#owner = new Owner({ ...running.shared, jailRules: () => running.plan().jailRules, lookAtBus });
    const rotate = () => {
      this.#ticketKeys = randomBytes(ticketKeyBytes);
      this.#broadcast({ type: "ticket-keys", keys: this.#ticketKeys.toString("hex") });
    };
    this.#timers.push(
      setInterval(rotate, ticketRotationMs),
      setInterval(() => this.#look(), this.#lookMs),
    );
    for (const timer of this.#timers) timer.unref();
    await Promise.all(
      Array.from({ length: this.#options.settings.workers }, (_, share) => this.#begin(share)),
    );
  }

  /** Puts a new worker in the place of each, one after the other. A new one that does not come up ends it: the old ones stay. */
  change(): Promise<void> {
    this.#changing ??= this.#changeAll().finally(() => {
      this.#changing = null;
    });
    return this.#changing;
  }

  handOver(name: ListenerName, socket: Socket, closed: () => void): "taken" | "nobody" | "here" {
    if (this.#owner === null) return "here";
    // What still runs may wait for a PDF, and its maker asks by the report listener.
    if (this.#stopping && name !== "report") return "nobody";
    const worker = this.#choose();
    if (worker === null) return this.#room.add({ name, socket, closed }) ? "taken" : "nobody";
    worker.connect(name, socket, closed);
    return "taken";
  }

  clearCaches(): void {
    this.#broadcast({ type: "clear-cache" });
  }

  banned(ban: Ban): void {
    this.#broadcast({ type: "bans", bans: [ban] });
  }

  lifted(address: string): void {
    this.#broadcast({ type: "lift", address });
  }

  maintained(closed: Closed | null): void {
    this.#broadcast({ type: "maintenance", text: maintenanceText(closed) });
  }

  certificatesChanged(): void {
    this.#broadcast({ type: "reload-certificates" });
  }

  async reload(commit: () => void): Promise<readonly Problem[]> {
    const reload = this.#reload(commit);
    const over = () => {
      this.#reloading = null;
    };
    this.#reloading = reload.then(over, over);
    return reload;
  }

  get lost(): number {
    return this.#lost;
  }

  async gather(process = true): ReturnType<SupervisorSeam["gather"]> {
    const asked = [...this.#workers];
    const answering = new Set<WorkerProcess>();
    await Promise.all(
      asked.map(async (worker) => {
        if ((await worker.ask(process)) !== null) answering.add(worker);
      }),
    );
    // Whoever ended meanwhile is among the past ones already: counted twice, totals would fall with the next reading.
    const all = asked.filter((worker) => this.#workers.has(worker));
    const workers = all.map((worker): AdminWorker => {
      const { exchanges = 0, tunnels = 0 } = worker.report ?? {};
      const { pid, state, connections } = worker;
      const { residentBytes = 0, loopDelayP99Ms = 0 } = worker.report?.process ?? {};
      const answers = answering.has(worker);
      return { pid, state, connections, exchanges, tunnels, answers, residentBytes, loopDelayP99Ms };
    });
    const running = all.flatMap(({ report }) => (report?.counters ? [report.counters] : []));
    const caches = all.flatMap(({ report }) => (report?.cache ? [report.cache] : []));
    const tallies = all.flatMap(({ report }) => (report?.tally ? [report.tally] : []));
    const queues = all.flatMap(({ report }) => (report?.queue ? [report.queue] : []));
    const processes = all.flatMap(({ report }) => (report?.process ? [report.process] : []));
    const spoolBytes = all.reduce((sum, { report }) => sum + (report?.spoolBytes ?? 0), 0);
    return {
      counters: [...this.#past, ...running],
      tallies: [...this.#pastTally, ...tallies],
      spoolBytes,
      workers,
      caches,
      queue: sumQueues(queues, this.#pastQueue),
      members: sumMembers(all.map(({ report }) => report?.members ?? [])),
      busFallback: all.some(({ report }) => report?.busFallback === true),
      processes,
    };
  }

  reasons(): readonly string[] {
    const ready = [...this.#workers].filter(({ state }) => state === "ready");
    if (ready.length === 0) return ["no worker is ready"];
    return ready.every(({ isDeaf }) => isDeaf) ? ["no worker answers"] : [];
  }

  async stop(): Promise<number> {
    this.#stopping = true;
    for (const timer of this.#timers) clearInterval(timer);
    this.#room.close();
    this.#broadcast({ type: "stop" });
    const { drainTimeoutMs } = this.#running?.plan().settings ?? this.#options.settings;
    const kill = setTimeout(() => {
      this.kill();
    }, drainTimeoutMs + stopSlackMs);
    while (this.#workers.size > 0) await this.#news();
    clearTimeout(kill);
    return this.#cut;
  }

  /** Ends every worker at once. */
  kill(): void {
    for (const worker of this.#workers) worker.kill();
  }

  async #changeAll(): Promise<void> {
    const old = [...this.#workers].filter(({ state }) => state === "ready");
    this.#tell("changing", `${old.length} workers are replaced one by one`);
    for (const worker of old) {
      if (this.#stopping || !this.#workers.has(worker)) continue;
      const fresh = await this.#begin(worker.share);
      if (fresh === null) return this.#tell("not changed", "a new worker did not come up; the others stay");
      if (worker.state !== "ready") continue;
      worker.state = "retiring";
      worker.send({ type: "retire" });
    }
    if (!this.#stopping)
      this.#tell("changed", "new workers serve; the old ones end with their last connection");
  }

  async #reload(commit: () => void): Promise<readonly Problem[]> {
    // One that starts may have read the old files or the new ones: it comes after the others, before it serves (`#admit`).
    const holders = [...this.#workers].filter(({ state }) => state !== "starting");
    const prepared = await Promise.all(
      holders.map(async (worker) => {
        const there = await worker.prepare();
        // It must not keep the others from a plan that may close a hole, and what takes its place reads the new files.
        if (there === null) worker.giveUp("it did not answer when everything was to be read anew");
        return there;
      }),
    );
    const problems = [...new Set(prepared.flatMap((there) => there?.problems ?? []))];
    const go = problems.length === 0 && !this.#stopping;
    if (go) {
      this.#revision += 1;
      commit();
    }
    for (const there of prepared) there?.commit(go);
    if (go) this.#endPauses();
    return problems.map((thing) => ({ place: "worker", thing, remedy: "" }));
  }

  /** A worker that has started serves from now on; before that it takes what was put in place since it was told to start. */
  async #admit(worker: WorkerProcess, serve: () => void): Promise<void> {
    while (this.#workers.has(worker)) {
      await this.#reloading;
      const revision = this.#revision;
      if (this.#reloading !== null) continue;
      if (worker.revision === revision) return serve();
      const there = await worker.prepare();
      const problems = there === null ? ["it did not read everything anew in time"] : there.problems;
      if (problems.length > 0) return worker.giveUp(problems.join("; "));
      there?.commit(true);
      worker.revision = revision;
    }
  }

  /** Whoever says nothing for too long hangs: others get its connections, and at last it is replaced. */
  #look(): void {
    for (const worker of this.#workers) {
      // At `startMsMax` it is killed.
      if (worker.state === "starting") continue;
      if (worker.silentLooks < silentLooksMax) worker.look();
      else worker.giveUp(`it did not answer for ${(silentLooksMax * this.#lookMs) / 1000} s`);
    }
  }

  /** The worker that serves with the fewest connections; of equal ones each in turn. One that hangs only when all do. */
  #choose(): WorkerProcess | null {
    let best: WorkerProcess | null = null;
    const serving = [...this.#workers].filter(({ state }) => state === "ready");
    const answering = serving.filter(({ isDeaf }) => !isDeaf);
    const ready = answering.length > 0 ? answering : serving;
    this.#turn += 1;
    for (let at = 0; at < ready.length; at += 1) {
      const one = ready[(at + this.#turn) % ready.length];
      if (one !== undefined && (best === null || one.connections < best.connections)) best = one;
    }
    return best;
  }

  /** Starts one worker with this share (cluster/share); resolves with it when it serves, with null when it does not. */
  #begin(share: number): Promise<WorkerProcess | null> {
    const owner = this.#owner;
    if (owner === null || this.#stopping) return Promise.resolve(null);
    return new Promise((resolve) => {
      let sinceMs = Number.POSITIVE_INFINITY;
      const why = `it did not start in ${startMsMax / 1000} s`;
      const inTime = afterAwake(startMsMax, () => worker.giveUp(why));
      const worker: WorkerProcess = new WorkerProcess(owner, share, {
        lines: this.#options.lines,
        hello: (protocol, version) => {
          if (protocol === protocolVersion) return this.#brief(worker);
          const own = packageRoot().version;
          this.#tell(
            "version",
            `a worker is of version ${version}, the supervisor of ${own}: restart the service`,
          );
          worker.kill();
        },
        ready: () => {
          inTime();
          void this.#admit(worker, () => {
            sinceMs = performance.now();
            worker.state = "ready";
            this.#handOn(this.#room.leave());
            resolve(worker);
          });
        },
        unserved: (connections) => this.#handOn(connections),
        ended: (how, isInOrder) => {
          inTime();
          const wasRetiring = worker.state === "retiring" || (this.#stopping && isInOrder);
          this.#ended(worker);
          resolve(null);
          if (wasRetiring || this.#stopping) return;
          this.#lost += 1;
          if (performance.now() - sinceMs > soundMs) this.#broken = 0;
          this.#replace(worker, how);
        },
      });
      this.#workers.add(worker);
    });
  }

  #handOn(connections: readonly WaitingConnection[]): void {
    for (const { name, socket, closed } of connections)
      if (this.handOver(name, socket, closed) === "nobody") {
        socket.destroy();
        closed();
      }
  }

  #replace(worker: WorkerProcess, how: string): void {
    // While workers are changed one by one, two have the same share for a moment; the other one goes on with it.
    if ([...this.#workers].some(({ share, state }) => share === worker.share && state !== "retiring"))
      return this.#tell("worker", `worker ${worker.pid} ended ${how} while another took its place`);
    const waitMs = Math.min(restartMsMax, restartMs * 2 ** Math.min(this.#broken, 20));
    this.#broken += 1;
    const why = worker.problems.length === 0 ? "" : ` (${worker.problems.join("; ")})`;
    const detail = `worker ${worker.pid} ended ${how}${why}; another starts in ${waitMs} ms`;
    if (this.reasons().length === 0) this.#tell("worker", detail);
    // Each time, and not as a warning, of which one a minute is written: the site is down.
    else this.#options.sink.emit({ type: "error", what: "workers", detail: `no worker serves: ${detail}` });
    const pause = setTimeout(() => {
      this.#pauses.delete(pause);
      void this.#begin(worker.share);
    }, waitMs).unref();
    this.#pauses.set(pause, worker.share);
  }

  /** What was read anew may be what kept workers from starting: the next ones start now. */
  #endPauses(): void {
    this.#broken = 0;
    for (const [pause, share] of this.#pauses) {
      clearTimeout(pause);
      void this.#begin(share);
    }
    this.#pauses.clear();
  }

  #ended(worker: WorkerProcess): void {
    this.#workers.delete(worker);
    this.#cut += worker.cut;
    const { counters = null, tally = null, queue = null } = worker.report ?? {};
    if (queue !== null) this.#pastQueue = [sumQueues([], [...this.#pastQueue, queue])];
    if (tally !== null) {
      const sum = new TallySum();
      sum.fill([...this.#pastTally, tally]);
      this.#pastTally = [tallySnapshot(sum)];
    }
    if (counters !== null) this.#past = [sumCounters([...this.#past, counters])];
    this.#tellNews();
  }

  /** Resolves when the next worker ends. */
  #news(): Promise<void> {
    return new Promise((resolve) => this.#onNews.push(resolve));
  }

  #tellNews(): void {
    const waiting = this.#onNews;
    this.#onNews = [];
    for (const resolve of waiting) resolve();
  }

  /** Everything a worker that starts has to know. */
  #brief(worker: WorkerProcess): void {
    const running = this.#running;
    if (running === null) return worker.kill();
    const { jail, sessions, pendingAccounts, secret } = running.shared;
    const start: WorkerStart = {
      lasting: lastingOf(this.#options.settings),
      secret: Buffer.from(secret).toString("hex"),
      ticketKeys: this.#ticketKeys.toString("hex"),
      share: worker.share,
      listeners: running.listeners,
    };
    // What it reads is read after this.
    worker.revision = this.#revision;
    worker.send({ type: "start", start });
    worker.send({ type: "maintenance", text: maintenanceText(running.maintenance()) });
    for (const bans of slices(jail.bans.kept(Date.now()))) worker.send({ type: "bans", bans });
    for (const keys of slices(sessions.keys())) worker.send({ type: "sessions", keys, known: true });
    for (const entries of slices(pendingAccounts.entries())) worker.send({ type: "pending", entries });
    for (const message of this.#openChallenges()) worker.send(message);
  }

  #broadcast(message: ToWorker): void {
    for (const worker of this.#workers) worker.send(message);
  }

  #tell(what: string, detail: string): void {
    this.#options.sink.emit({ type: "warning", what: `workers: ${what}`, detail });
  }
}

function slices<T>(all: readonly T[]): readonly (readonly T[])[] {
  const parts: (readonly T[])[] = [];
  for (let at = 0; at < all.length; at += sliceMax) parts.push(all.slice(at, at + sliceMax));
  return parts;
}
