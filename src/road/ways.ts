import { type Clock, systemClock } from "../base/clock.ts";
import type { EventSink, FailureKind } from "../observe/events.ts";
import type { Settings, UpstreamAddress } from "../settings/settings.ts";
import { accepts, BusWatch } from "../upstream/bus-watch.ts";
import type { Way } from "../upstream/delivery.ts";
import { Filestore } from "../upstream/filestore.ts";
import { HoldGate } from "../upstream/hold.ts";
import { type LaneSnapshot, Lanes } from "../upstream/lanes.ts";
import { LearntBound } from "../upstream/learnt-bound.ts";
import { member, Pool } from "../upstream/pool.ts";
import { PoolWatch } from "../upstream/pool-watch.ts";
import { healthPaths, type ProbeAnswer, probe } from "../upstream/probe.ts";
import { ReconnectPace } from "../upstream/reconnect-pace.ts";
import { type ConfiguredMember, type LookupAll, Resolver } from "../upstream/resolver.ts";

/** Where Odoo's bus listens unless ODOO_BUS_URL says otherwise. */
const odooBusPort = 8072;
/** Waits in the queue are exact to this much. */
const expireEveryMs = 100;

export interface WaysParts {
  readonly settings: Settings;
  readonly odoo: UpstreamAddress;
  readonly sink: EventSink;
  readonly clock: Clock;
  readonly lookup: LookupAll;
  /** Files of ODOO_FILESTORE that are open at the same time. */
  readonly filesOpenMax: number;
  /** 0 to 1. */
  readonly random: () => number;
}

/** One member as /status and the metrics show it. */
export interface MemberState {
  readonly name: "web" | "bus";
  readonly member: string;
  readonly state: string;
  readonly up: boolean;
  readonly backup: boolean;
  /** Requests and tunnels it has at the moment. */
  readonly inFlight: number;
}

/** What waits for Odoo at the moment. */
export interface QueueState {
  /** ODOO_WORKERS, or what was learnt, times the members that are up; null: not known, nothing waits for a worker. */
  readonly capacity: number | null;
  /** The capacity was learnt: workers and Odoo's listen queue together. */
  readonly learnt: boolean;
  readonly inFlight: number;
  readonly waiting: number;
  readonly lanes: readonly LaneSnapshot[];
  /** Requests held while Odoo is away. */
  readonly held: number;
  /** Milliseconds; null: Odoo is there. */
  readonly awayMs: number | null;
}

/** The two ways to Odoo, with everything that watches them. */
export interface Ways {
  readonly web: Way;
  readonly bus: Way;
  readonly pace: ReconnectPace;
  readonly busFallback: () => boolean;
  /** Another process saw the bus go away or come back. */
  lookAtBus(): void;
  /** The first bus member as configured. */
  readonly busName: string;
  members(): readonly MemberState[];
  queue(): QueueState;
  /**
   * Asks the members themselves, on connections of their own, for who tells people that Odoo is away: nobody else finds out while nobody
   * asks for anything. Changes nothing of what is known of them. Five seconds at most.
   */
  look(): Promise<{ readonly web: ProbeAnswer; readonly isBusUp: boolean }>;
  /** Begins to look: not waited for, Odoo may start after us. */
  start(): void;
  stop(): void;
  close(): void;
}

/** Makes the pools and wires their watches. Opens nothing before `start`. */
export function createWays(parts: WaysParts): Ways {
  const { settings, sink, clock } = parts;
  const webMembers = membersOf(parts.odoo, settings.odooMore, settings.odooBackup);
  const busMembers =
    settings.odooBus === null
      ? webMembers.map(({ at, isBackup }) => ({ at: member(at.host, odooBusPort), isBackup }))
      : membersOf(settings.odooBus, settings.odooBusMore, []);
  const pools = {
    web: poolOf("web", webMembers, settings.odooKeepAlive, parts),
    bus: poolOf("bus", busMembers, true, parts),
  };
  const pace = new ReconnectPace(clock, parts.random);
  // With several members nothing says which of them serves websockets on its web port.
  const isPlain = webMembers.length === 1 && busMembers.length === 1;
  const busSink: EventSink = {
    emit(event) {
      sink.emit(event);
      if (event.type === "bus-restored") resolvers.bus.tellAgain();
    },
  };
  const busWatch = isPlain ? new BusWatch(pools.bus, pools.web.member, busSink, clock) : null;

  const { odooWorkers: workers, queueMax, queueTimeoutMs } = settings;
  const expiry = new Ticker(expireEveryMs, () => {
    lanes.expire();
    bound?.tick(lanes.waiting > 0);
  });
  const tickWhenNeeded = () => expiry.set(lanes.waiting > 0 || (bound !== null && bound.value !== null));
  const lanes = new Lanes({ clock, workers, queueMax, queueTimeoutMs, onWaiting: tickWhenNeeded });
  const bound = workers === null ? boundOf(lanes, tickWhenNeeded, parts) : null;
  const watches = {
    web: new PoolWatch(pools.web, { sink, clock, onChange: (up) => lanes.setMembers(up) }),
    bus: new PoolWatch(pools.bus, { sink, clock, onChange: () => {} }),
  };
  const hold = new HoldGate({
    clock,
    waitClock: systemClock,
    timeoutMs: settings.holdTimeoutMs,
    waitingMax: settings.holdMax,
    look: () => watches.web.look(),
    onAway: () => sink.emit({ type: "odoo-away", members: pools.web.members.length }),
    onBack: (awayMs, held) => sink.emit({ type: "odoo-back", awayMs: Math.round(awayMs), held }),
  });
  const resolvers = {
    web: resolverOf(webMembers, watches.web, pools.web, parts),
    bus: resolverOf(busMembers, watches.bus, pools.bus, parts, () => busWatch?.hasFallenBack !== true),
  };
  const files =
    settings.odooFilestore === null ? null : new Filestore(settings.odooFilestore, parts.filesOpenMax);
  const web: Way = {
    pool: pools.web,
    lanes,
    bound,
    hold,
    files,
    clock,
    learnt(one, kind, begunMs) {
      watches.web.learnt(one, kind, begunMs);
      if (kind === null) hold.answered(begunMs);
      else if (isUnreachable(kind)) resolvers.web.lookSoon();
    },
  };
  const bus: Way = {
    pool: pools.bus,
    lanes: null,
    bound: null,
    hold: null,
    files,
    clock,
    learnt(one, kind, begunMs) {
      watches.bus.learnt(one, kind, begunMs);
      if (kind === null || !isUnreachable(kind)) return;
      resolvers.bus.lookSoon();
      pace.wentAway();
      if (kind === "connect-refused") void busWatch?.look();
    },
  };
  return {
    web,
    bus,
    pace,
    busFallback: () => busWatch?.hasFallenBack === true,
    lookAtBus: () => void busWatch?.lookNow(),
    busName: busMembers[0]?.at.name ?? "",
    members: () => [
      ...rowsOf(pools.web, clock, hold.awayMs === null ? "in use" : "away"),
      ...rowsOf(
        pools.bus,
        clock,
        busWatch?.hasFallenBack === true ? "fallen back to the web port" : "in use",
      ),
    ],
    queue: () => ({
      capacity: lanes.capacity,
      learnt: bound !== null && bound.value !== null,
      inFlight: lanes.inFlight,
      waiting: lanes.waiting,
      lanes: lanes.snapshot(),
      held: hold.waiting,
      awayMs: hold.awayMs === null ? null : Math.round(hold.awayMs),
    }),
    async look() {
      const answers = await Promise.all(pools.web.members.map((one) => probe(one, healthPaths.web)));
      const web = (["up", "silent"] as const).find((word) => answers.includes(word)) ?? "down";
      // Where Odoo is away as a whole, its bus is no news.
      const buses = web === "down" ? [] : await Promise.all(busMembers.map(({ at }) => accepts(at)));
      return { web, isBusUp: web === "down" || buses.includes(true) };
    },
    start() {
      for (const one of [resolvers.web, resolvers.bus, watches.web, watches.bus]) one.start();
      void busWatch?.look();
    },
    stop() {
      for (const one of [resolvers.web, resolvers.bus, watches.web, watches.bus, hold]) one.stop();
      busWatch?.stop();
    },
    close() {
      expiry.set(false);
      pools.web.close();
      pools.bus.close();
    },
  };
}

function membersOf(
  first: UpstreamAddress,
  more: readonly UpstreamAddress[],
  backups: readonly UpstreamAddress[],
): readonly ConfiguredMember[] {
  const make = (isBackup: boolean) => (one: UpstreamAddress) => ({
    at: member(one.host, one.port),
    isBackup,
  });
  return [...[first, ...more].map(make(false)), ...backups.map(make(true))];
}

function poolOf(
  name: "web" | "bus",
  members: readonly ConfiguredMember[],
  keepAlive: boolean,
  { settings, clock }: WaysParts,
): Pool {
  const places = members.map((one) => ({ ...one, addresses: [] }));
  return new Pool({ name, places, keepAlive, isSticky: settings.odooSticky === "session", clock });
}

function resolverOf(
  members: readonly ConfiguredMember[],
  watch: PoolWatch,
  pool: Pool,
  { settings, lookup, sink, clock }: WaysParts,
  mayChange: () => boolean = () => true,
): Resolver {
  return new Resolver({
    members,
    lookup,
    everyMs: settings.odooResolveMs,
    nowMs: () => clock.nowMs(),
    changed: (places) => {
      if (!mayChange()) return false;
      pool.setPlaces(places);
      watch.recount();
      return true;
    },
    failed: (host, detail) =>
      sink.emit({
        type: "warning",
        what: "dns",
        detail: `${host} cannot be resolved (${detail}); what was known stays`,
      }),
  });
}

/** Where nobody said how many workers there are. */
function boundOf(lanes: Lanes, onChange: () => void, { sink, clock }: WaysParts): LearntBound {
  return new LearntBound({
    clock,
    changed(perMember) {
      lanes.bound(perMember);
      onChange();
    },
    full: (perMember) => sink.emit({ type: "odoo-full", perMember, remedy: fullRemedy }),
  });
}

const fullRemedy =
  "Odoo's listen queue overflowed; requests now wait in the gateway: set ODOO_WORKERS to Odoo's workers, so that they wait in order of importance before that";

function rowsOf(pool: Pool, clock: Clock, word: string): readonly MemberState[] {
  const nowMs = clock.nowMs();
  // A single member is used whatever is known of it.
  const isAlone = pool.members.length === 1;
  return pool.members.map((one) => {
    const isUp = one.health.isUp(nowMs);
    const state = isUp || isAlone ? word : "down";
    const up = isUp && state !== "away";
    return { name: pool.name, member: one.name, state, up, backup: one.isBackup, inFlight: one.inFlight };
  });
}

function isUnreachable(kind: FailureKind): boolean {
  return kind === "connect-refused" || kind === "connect-failed" || kind === "connect-timeout";
}

/** Calls something again and again, while there is need. */
class Ticker {
  readonly #everyMs: number;
  readonly #run: () => void;
  #timer: NodeJS.Timeout | null = null;

  constructor(everyMs: number, run: () => void) {
    this.#everyMs = everyMs;
    this.#run = run;
  }

  set(isOn: boolean): void {
    if (isOn === (this.#timer !== null)) return;
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = isOn ? setInterval(this.#run, this.#everyMs).unref() : null;
  }
}
