/** The composition root: settings in, a running gateway out. Everything is made and wired here, nothing is decided. */
import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { AdminBans } from "./admin/bans.ts";
import { type AdminCache, sumCaches } from "./admin/cache.ts";
import { AdminDoor } from "./admin/door.ts";
import type { AdminMaintenance } from "./admin/maintenance.ts";
import type { AdminState, AdminWorker } from "./admin/state.ts";
import { type Clock, systemClock } from "./base/clock.ts";
import { ipKey64 } from "./base/ip.ts";
import { packageRoot } from "./base/package-root.ts";
import { type Problem, problemLine } from "./base/problem.ts";
import { err, ok, type Result } from "./base/result.ts";
import { Cache } from "./cache/cache.ts";
import { Squeeze } from "./cache/squeeze.ts";
import type { CacheFigures, ListenerName } from "./cluster/messages.ts";
import type { SupervisorSeam, WorkerSeam } from "./cluster/seams.ts";
import { edgeBounds } from "./edge/bounds.ts";
import { watchDescriptors } from "./edge/descriptors.ts";
import type { EdgeHandlers } from "./edge/http1.ts";
import type { Admission } from "./edge/listeners.ts";
import { rawAnswer, recordUnread } from "./edge/raw-answer.ts";
import { Gateway } from "./gateway.ts";
import { accountHasher } from "./guard/account-name.ts";
import { BanJournal, banJournalFile } from "./guard/ban-journal.ts";
import { BanTable } from "./guard/ban-table.ts";
import { deviceCookies } from "./guard/device-cookie.ts";
import { Jail } from "./guard/jail.ts";
import { createLimiter, type LendingLimiter } from "./guard/limiter.ts";
import { loadLocalSecret } from "./guard/local-secret.ts";
import {
  type Closed,
  loadMaintenance,
  Maintenance,
  maintenanceFile,
  maintenanceMessageCharsMax,
  maintenanceMsMax,
  maintenanceNetworksMax,
} from "./guard/maintenance.ts";
import { PendingAccounts } from "./guard/pending-accounts.ts";
import { KnownSessions } from "./guard/sessions.ts";
import { SharedPeers } from "./guard/shared-peers.ts";
import { type CounterSnapshot, createCounters, sumCounters } from "./observe/counters.ts";
import type { EventSink } from "./observe/events.ts";
import { gatewayMetrics, type MetricsNow } from "./observe/gateway-metrics.ts";
import { LoopDelay } from "./observe/loop-delay.ts";
import { createMetricsPage } from "./observe/metrics-prom.ts";
import { type ProcessFigures, processFigures, sumProcesses } from "./observe/process-figures.ts";
import { teeSinks } from "./observe/sinks.ts";
import { createTally } from "./observe/tally.ts";
import { type TallySnapshot, TallySum, tallySnapshot } from "./observe/tally-sum.ts";
import { buildPlan, type Plan } from "./plan.ts";
import type { Policy } from "./policy/compile.ts";
import { loadPolicy } from "./policy/load.ts";
import { openToStrangers, Proof } from "./proving.ts";
import { fileEncoder } from "./reply/encode.ts";
import type { GatewayParts } from "./road/parts.ts";
import { createTunnelPlaces } from "./road/tunnel-places.ts";
import { createWays, type MemberState, type Ways } from "./road/ways.ts";
import type { Settings } from "./settings/settings.ts";
import { keepWhatCannotChange } from "./start/lasting-settings.ts";
import { lookupAll } from "./start/lookup-all.ts";
import { isSpared, jailNews, maintenanceEvent } from "./start/news.ts";
import { letIn, listenerNames, openListeners } from "./start/open-listeners.ts";
import { prepareState } from "./start/state-folder.ts";
import { createChallenges } from "./tls/challenges.ts";
import { createTlsFront } from "./tls/front.ts";
import { Issuer } from "./tls/issuer.ts";
import { loadTls, type TlsMaterial } from "./tls/load.ts";
import { outlookOf } from "./tls/outlook.ts";
import { preflight, type ReadMounts } from "./tls/preflight.ts";
import { Stapler } from "./tls/stapler.ts";
import { UnknownNames } from "./tls/unknown-names.ts";
import { ExpiryWatch, FileWatch } from "./tls/watch.ts";
import { inboundFields } from "./upstream/inbound.ts";
import type { LookupAll } from "./upstream/resolver.ts";
import { Spool } from "./upstream/spool.ts";

/** Certificates are looked at this often for renewal; a timer over the whole life would overflow. */
const renewalCheckMs = 60_000;
/** While a worker retires: how often it is looked whether its last connection is gone, and what it gets beyond the idle bound. */
const retireLookMs = 50;
const retireSlackMs = 2_000;

export interface StartOptions {
  readonly settings: Settings;
  readonly sink: EventSink;
  /** Reads the settings again at a reload; left out: only policies and certificates are read again. */
  readonly readSettings?: () => Result<Settings, readonly Problem[]>;
  readonly clock?: Clock;
  /** All addresses of a name; left out: the system is asked. */
  readonly lookup?: LookupAll;
  /** The machine's mounts, /proc/self/mountinfo; left out: read from there. */
  readonly readMounts?: ReadMounts;
  /** Log lines lost so far, for /status. */
  readonly logLinesDropped?: () => number;
  /** This process is one of several workers; left out: it is not. */
  readonly worker?: WorkerSeam;
  /** This process looks after workers and serves nothing itself; left out: it does. */
  readonly supervisor?: SupervisorSeam;
}

/** A gateway that runs. */
export interface RunningGateway {
  readonly httpsPort: number;
  readonly httpPort: number | null;
  readonly reportPort: number | null;
  readonly adminPort: number | null;
  readonly gateway: Gateway;
  readonly plan: () => Plan;
  readonly tls: () => TlsMaterial;
  /** Orders and renews certificates with TLS_MODE=acme; does nothing with others. */
  readonly issuer: Issuer;
  /** Own files that were replaced, the local certificate's renewal, and warnings of an end; called each minute. */
  readonly lookAtCertificates: () => Promise<void>;
  readonly policiesDir: string;
  readonly listeners: readonly {
    readonly name: ListenerName;
    readonly port: number;
    readonly address: string;
  }[];
  readonly addresses: {
    readonly https: string;
    readonly http: string | null;
    readonly report: string | null;
    readonly admin: string | null;
  };
  readonly busFallback: () => boolean;
  readonly members: Ways["members"];
  readonly queue: Ways["queue"];
  /** Reads policies, certificates (and settings) again. Problems: the old plan stays, and they are answered. */
  reload(): Promise<readonly Problem[]>;
  /** The first half of `reload`: what was read and compiled, to be put in place together; or every problem in it. */
  prepareReload(): Promise<Result<() => void, readonly Problem[]>>;
  /** Reads the certificates again, after another process changed them. */
  reloadCertificates(): Promise<void>;
  setTicketKeys(keys: Buffer): void;
  readonly counters: () => CounterSnapshot;
  readonly tally: () => TallySnapshot;
  readonly spoolBytes: () => number;
  readonly process: () => ProcessFigures;
  /** The state of maintenance, and what another process says of it. */
  readonly maintenance: () => Closed | null;
  maintain(closed: Closed | null): void;
  /** What is counted here for all workers. */
  readonly shared: {
    readonly secret: Uint8Array;
    readonly limiter: LendingLimiter;
    readonly jail: Jail;
    readonly sessions: KnownSessions;
    readonly pendingAccounts: PendingAccounts;
    readonly sharedPeers: SharedPeers;
  };
  readonly cache: { figures(): CacheFigures; clear(): number };
  /** Serves what is open with `Connection: close`; resolves when nothing is left open or the idle bound is over. */
  retire(): Promise<void>;
  /** Stops accepting, lets exchanges finish within DRAIN_TIMEOUT, closes tunnels with 1001; answers how many were cut. */
  stop(): Promise<number>;
}

/** Where the policy files are: the operator's folder, or the shipped ones. */
export function policiesDirOf(settings: Settings): string {
  return settings.policiesDir ?? join(packageRoot().directory, "policies");
}

/** Loads the policy for these settings, or every problem in it. */
export function readPolicy(settings: Settings): Result<Policy, readonly Problem[]> {
  return loadPolicy({
    directory: policiesDirOf(settings),
    readDirectory: (path) => readdirSync(path),
    readFile: (path) => readFileSync(path, "utf8"),
    settings,
  });
}

/** Starts everything, or answers every problem found before the first listener opened. */
export async function startGateway(
  options: StartOptions,
): Promise<Result<RunningGateway, readonly Problem[]>> {
  const { settings } = options;
  const clock = options.clock ?? systemClock;
  const startedWallMs = clock.wallMs();
  const counters = createCounters();
  const tally = createTally();
  const sink = teeSinks(options.sink, counters, tally);

  const problems: Problem[] = [];
  const policy = readPolicy(settings);
  if (!policy.ok) problems.push(...policy.error);
  const tlsOf = (from: Settings) => loadTls(from, clock.wallMs(), options.readMounts);
  const tlsLoaded = await tlsOf(settings);
  if (!tlsLoaded.ok) problems.push(...tlsLoaded.error);
  const stateFault = (detail: string) => sink.emit({ type: "warning", what: "STATE_DIR", detail });
  problems.push(...(await prepareState(settings.stateDir, stateFault)));
  const maintenancePath = join(settings.stateDir, maintenanceFile);
  const closed = loadMaintenance(maintenancePath, startedWallMs);
  if (!closed.ok) problems.push(closed.error);
  if (settings.odoo === null) {
    problems.push({
      place: "environment",
      thing: "ODOO_URL is not set",
      remedy: "set it, for example ODOO_URL=http://127.0.0.1:8069",
    });
  }
  if (!policy.ok || !tlsLoaded.ok || !closed.ok || settings.odoo === null || problems.length > 0)
    return err(problems);

  const { worker, supervisor } = options;
  const ways = createWays({
    settings,
    odoo: settings.odoo,
    sink,
    clock,
    lookup: options.lookup ?? lookupAll,
    random: Math.random,
  });
  const secret = worker?.secret ?? randomBytes(32);
  const localSecret = await loadLocalSecret(settings.stateDir, stateFault);
  if (!localSecret.ok) return err([localSecret.error]);
  const bans = new BanTable();
  // A worker's bans are the supervisor's: one process writes the journal.
  const journal =
    worker !== undefined
      ? null
      : new BanJournal({
          path: join(settings.stateDir, banJournalFile),
          bans,
          wallMs: () => clock.wallMs(),
          fault: (detail) => sink.emit({ type: "warning", what: "ban-journal", detail }),
        });
  const sharedPeers = worker?.sharedPeers ?? new SharedPeers();
  const pendingAccounts = worker?.pendingAccounts ?? new PendingAccounts();
  const jail = new Jail({
    clock,
    bans,
    news: jailNews(sink, journal, (ban) => {
      gateway.banned(ban.address);
      supervisor?.banned(ban);
    }),
    isSpared: (address) => sharedPeers.has(address),
  });
  const limiter = createLimiter({ clock });
  const sessions = worker?.sessions ?? new KnownSessions(secret);

  let tls = tlsLoaded.value;
  let plan: Plan;
  const current = { policy: policy.value, settings, httpsPort: settings.httpsListen.port, revision: 1 };
  const fixed =
    worker === undefined ? { secret, clock } : { secret, clock, stagingTries: worker.stagingTries };
  const rebuild = () => buildPlan({ ...current, ...fixed });
  plan = rebuild();
  const open = openToStrangers(plan);
  if (open.length > 0) return err(open);

  const squeeze = new Squeeze((detail) => sink.emit({ type: "warning", what: "compression", detail }));
  const cache = new Cache({
    clock,
    settings: () => current.settings.cache,
    makeEncoder: fileEncoder,
    cleanFields: (fields, facts) =>
      inboundFields(fields, facts, {
        authorityOf: plan.authorityOf,
        sessionCookie: plan.site.sessionCookie,
        headLength: null,
      }),
    squeeze: (content) => {
      if (current.settings.compression) squeeze.add(content);
    },
    later: (ms, then) => {
      const timer = setTimeout(then, ms);
      timer.unref();
      return () => clearTimeout(timer);
    },
  });
  const challenges = worker?.challenges ?? supervisor?.challenges ?? createChallenges();
  const maintenance: Maintenance = new Maintenance(
    {
      path: worker === undefined ? maintenancePath : null,
      clock,
      changed: (now) => {
        sink.emit(maintenanceEvent(now));
        gateway.leaveClosed();
        supervisor?.maintained(now);
      },
    },
    closed.value,
  );
  const spool = new Spool(join(settings.stateDir, "spool"), settings.spoolBytesMax);
  const parts: GatewayParts = {
    plan: () => plan,
    challenges,
    maintenance,
    ways,
    limiter: worker?.limiter ?? limiter,
    sessions,
    jail: worker?.jail ?? jail,
    tunnelPlaces: worker?.tunnelPlaces ?? createTunnelPlaces(),
    devices: deviceCookies(localSecret.value, clock),
    sharedPeers,
    pendingAccounts,
    hashAccount: accountHasher(localSecret.value),
    spool,
    cache,
    sink,
    clock,
  };
  const gateway = new Gateway(parts);
  const proof = new Proof();

  const handlers: EdgeHandlers = {
    clock,
    exchange: (down) => {
      if (!proof.takes(down)) gateway.handle(down);
    },
    draining: () => gateway.isDraining,
    trouble: (detail) => sink.emit({ type: "warning", what: "listener", detail }),
    broken: (connection, status, code) =>
      rawAnswer({ connection, status, code, id: gateway.newId(), plan, sink, clock }),
    malformed: (connection, code) => {
      const unread = { connection, status: 400, code, id: gateway.newId(), sink, clock };
      recordUnread(unread, "HTTP/2", 0);
    },
  };
  const admission = (): Admission => {
    // What the supervisor let in, it counted and compared with the bans.
    if (worker !== undefined) return letIn;
    return ownAdmission();
  };
  const ownAdmission = (): Admission => ({
    connectionsPerClientMax: plan.settings.connectionsPerClientMax,
    isBanned: (ip) =>
      plan.settings.banAnswer === "drop" && jail.banOf(ipKey64(ip)) !== null && !isSpared(plan, ip),
    isExempt: (ip) => isSpared(plan, ip),
  });
  /** Everything Odoo asks for comes from one address. */
  const reportAdmission = (): Admission => ({
    connectionsPerClientMax: plan.settings.connectionsPerClientMax,
    isBanned: () => false,
    isExempt: (ip) => plan.settings.odooNetworks.contains(ip),
  });

  const unknownNames = new UnknownNames(sink, clock);
  const front = createTlsFront(
    tls,
    (name, shown) => unknownNames.met(name, shown),
    worker?.ticketKeys ?? null,
  );
  const opened = await openListeners(
    settings,
    front.options,
    admission,
    reportAdmission,
    handlers,
    challenges,
    options,
  );
  if (!opened.ok) return opened;
  const { https, http, report } = opened.value;
  const unwatchDescriptors = watchDescriptors((detail) =>
    sink.emit({ type: "warning", what: "descriptors", detail }),
  );
  const stapler = new Stapler({ sink, clock, random: Math.random });
  if (https.tls !== null) front.attach(https.tls);
  https.tls?.on("OCSPRequest", stapler.onRequest);
  current.httpsPort = https.port;
  plan = rebuild();

  const announceCertificates = () => {
    void stapler.look(tls.certificates);
    for (const { names, notAfterMs } of tls.certificates) {
      sink.emit({ type: "certificate-loaded", names, notAfter: new Date(notAfterMs).toISOString() });
    }
  };
  /** Certificates alone: a problem in a policy file must not keep a new certificate out. */
  const reloadCertificates = async (): Promise<void> => {
    const next = await tlsOf(current.settings);
    if (!next.ok) return sink.emit({ type: "reload-refused", problems: next.error.map(problemLine) });
    tls = next.value;
    front.swap(tls);
    announceCertificates();
    supervisor?.certificatesChanged();
  };
  const issuer = new Issuer({
    settings: () => current.settings,
    challenges,
    sink,
    clock,
    random: Math.random,
    preflight: (names) => {
      const at = settings.httpListen;
      const plain = at === null || http === null ? null : { host: at.host, port: http.port };
      return preflight({ names, plain, challenges });
    },
    shows: (serial) => tls.certificates.some((certificate) => certificate.serial === serial),
    changed: () => reloadCertificates(),
  });

  const loopDelay = new LoopDelay();
  let ready: readonly string[] = ["checking itself"];
  const state = async (): Promise<AdminState> => {
    const own = ownState();
    if (supervisor === undefined) return own;
    const { counters: theirs, workers, queue, members } = await supervisor.gather();
    const total = (pick: (one: AdminWorker) => number) => workers.reduce((sum, one) => sum + pick(one), 0);
    return {
      ...own,
      counters: sumCounters([own.counters, ...theirs]),
      inFlight: { exchanges: total((one) => one.exchanges), tunnels: total((one) => one.tunnels) },
      pools: members.length === 0 ? own.pools : members,
      queue,
      workers,
    };
  };
  const ownState = (): AdminState => ({
    version: packageRoot().version,
    startedWallMs,
    nowWallMs: clock.wallMs(),
    listeners: [
      { what: "https", address: https.address },
      ...(http === null ? [] : [{ what: "http", address: http.address }]),
      ...(report === null ? [] : [{ what: "report", address: report.address }]),
    ],
    plan: {
      revision: plan.revision,
      rules: plan.policy.rules.length,
      preset: plan.settings.preset,
      policiesDir: policiesDirOf(plan.settings),
    },
    certificates: outlookOf(tls, issuer.status, (one) => stapler.untilMs(one), clock.wallMs()),
    issuer: issuer.status,
    counters: counters.snapshot(),
    logLinesDropped: options.logLinesDropped?.() ?? 0,
    inFlight: { exchanges: gateway.exchanges, tunnels: gateway.tunnels },
    pools: ways.members(),
    queue: ways.queue(),
  });
  const adminBans: AdminBans = {
    list: () => bans.list(clock.wallMs()),
    add: (address, lengthMs) => jail.ban(address, clock.wallMs() + lengthMs).untilWallMs,
    remove(address) {
      const held = jail.lift(address);
      journal?.lifted(address);
      supervisor?.lifted(address);
      if (held) sink.emit({ type: "ban-lifted", client: address });
      return held;
    },
  };
  const ownFigures = (): CacheFigures => ({ ...cache.figures, toCompress: squeeze.waiting });
  const adminCache: AdminCache = {
    async figures() {
      return sumCaches(supervisor === undefined ? [ownFigures()] : (await supervisor.gather()).caches);
    },
    async clear() {
      if (supervisor === undefined) return cache.clear();
      const { caches } = await supervisor.gather();
      supervisor.clearCaches();
      return caches.reduce((sum, { entries }) => sum + entries, 0);
    },
  };
  const readiness = () => [...ready, ...issuer.reasons, ...(supervisor?.reasons() ?? [])];
  const adminMaintenance: AdminMaintenance = {
    current: () => maintenance.current,
    turnOn: (order) => maintenance.turnOn(order),
    turnOff: () => maintenance.turnOff(),
    wallMs: () => clock.wallMs(),
    bounds: {
      messageCharsMax: maintenanceMessageCharsMax,
      networksMax: maintenanceNetworksMax,
      msMax: maintenanceMsMax,
    },
  };
  /** Each page shows one moment: all workers are asked, then the figures are written. */
  const metricsOfAll = (all: SupervisorSeam) => {
    const sum = new TallySum();
    let seen: Awaited<ReturnType<SupervisorSeam["gather"]>> | null = null;
    const total = (pick: (one: AdminWorker) => number) =>
      (seen?.workers ?? []).reduce((total, one) => total + pick(one), 0);
    const page = createMetricsPage(
      gatewayMetrics({
        counters: () => sumCounters([counters.snapshot(), ...(seen?.counters ?? [])]),
        tally: sum,
        now: () => ({
          ...metricsNow(),
          exchanges: total((one) => one.exchanges),
          tunnels: total((one) => one.tunnels),
          spoolBytes: seen?.spoolBytes ?? 0,
          queue: seen?.queue ?? ways.queue(),
          members: shownMembers(seen?.members ?? [], seen?.busFallback ?? false),
          cache: sumCaches(seen?.caches ?? []),
          workerStates: (seen?.workers ?? []).map((one) => one.state),
          process: sumProcesses([processFigures(loopDelay), ...(seen?.processes ?? [])]),
        }),
      }),
    );
    return async () => {
      seen = await all.gather();
      sum.fill([tallySnapshot(tally), ...seen.tallies]);
      return page();
    };
  };
  /** Where the bus port is not there and websockets go to the web port, the bus is told as what it is: away. */
  const shownMembers = (rows: readonly MemberState[], busFallback: boolean): MetricsNow["members"] =>
    rows.map(({ name, member, up }) =>
      name === "bus" && busFallback
        ? { pool: name, member: ways.busName, up: false }
        : { pool: name, member, up },
    );
  const metricsNow = (): MetricsNow => ({
    version: packageRoot().version,
    startedWallMs,
    planRevision: plan.revision,
    ready: readiness().length === 0,
    exchanges: gateway.exchanges,
    tunnels: gateway.tunnels,
    connections: [
      { listener: "https", open: https.connections },
      ...(http === null ? [] : [{ listener: "http", open: http.connections }]),
      ...(report === null ? [] : [{ listener: "report", open: report.connections }]),
    ],
    bans: bans.held(clock.wallMs()),
    maintenance: maintenance.current !== null,
    spoolBytes: spool.bytes,
    spoolBytesMax: settings.spoolBytesMax,
    logLinesDropped: options.logLinesDropped?.() ?? 0,
    certificates: tls.certificates.map(({ names, notAfterMs }) => ({ name: names[0] ?? "", notAfterMs })),
    nowWallMs: clock.wallMs(),
    members: shownMembers(ways.members(), ways.busFallback()),
    queue: ways.queue(),
    cache: ownFigures(),
    workerStates: ["ready"],
    process: processFigures(loopDelay),
  });
  const metrics =
    supervisor === undefined
      ? createMetricsPage(gatewayMetrics({ counters: () => counters.snapshot(), tally, now: metricsNow }))
      : metricsOfAll(supervisor);
  const admin = new AdminDoor(
    settings,
    { state, ready: readiness, bans: adminBans, cache: adminCache, maintenance: adminMaintenance, metrics },
    sink,
  );
  await admin.open();

  const announce = () => {
    sink.emit({
      type: "plan-loaded",
      revision: plan.revision,
      rules: plan.policy.rules.length,
      preset: plan.settings.preset,
    });
    announceCertificates();
    for (const warning of [...tls.warnings, ...(admin.value?.warnings ?? [])]) {
      sink.emit({ type: "warning", what: warning.place, detail: problemLine(warning) });
    }
  };
  sink.emit({ type: "listening", what: "https", address: https.address });
  if (http !== null) sink.emit({ type: "listening", what: "http", address: http.address });
  if (report !== null) sink.emit({ type: "listening", what: "report", address: report.address });
  announce();
  if (maintenance.current !== null) sink.emit(maintenanceEvent(maintenance.current));
  // Not waited for: Odoo may start after us.
  ways.start();
  if (worker === undefined) issuer.start();

  const prepareReload = async (): Promise<Result<() => void, readonly Problem[]>> => {
    const read = options.readSettings?.() ?? ok(current.settings);
    const next = read.ok ? keepWhatCannotChange(read.value, settings) : current.settings;
    const found: Problem[] = read.ok ? [] : [...read.error];
    const nextPolicy = readPolicy(next);
    if (!nextPolicy.ok) found.push(...nextPolicy.error);
    else {
      const tried = { ...current, settings: next, policy: nextPolicy.value };
      found.push(...openToStrangers(buildPlan({ ...tried, secret, clock })));
    }
    const nextTls = await tlsOf(next);
    if (!nextTls.ok) found.push(...nextTls.error);
    if (!nextPolicy.ok || !nextTls.ok || found.length > 0) return err(found);
    return ok(() => {
      current.settings = next;
      current.policy = nextPolicy.value;
      current.revision += 1;
      tls = nextTls.value;
      front.swap(tls);
      plan = rebuild();
      cache.configure();
      announce();
      // New names in DOMAIN are ordered now, not at the next look.
      if (worker === undefined) void issuer.look();
    });
  };
  const reload = async (): Promise<readonly Problem[]> => {
    const prepared = await prepareReload();
    const problems = prepared.ok ? ((await supervisor?.reload(prepared.value)) ?? []) : prepared.error;
    if (problems.length > 0) sink.emit({ type: "reload-refused", problems: problems.map(problemLine) });
    else if (prepared.ok && supervisor === undefined) prepared.value();
    return problems;
  };

  const files = new FileWatch();
  const ends = new ExpiryWatch(sink, clock);
  const lookAtCertificates = async (): Promise<void> => {
    const { tlsMode, tlsCertFile, tlsKeyFile } = current.settings;
    const own = tlsMode === "files" ? [tlsCertFile, tlsKeyFile].filter((path) => path !== null) : [];
    const nowMs = clock.wallMs();
    // A date that was set ahead for a while left a certificate of ours that begins in the future.
    const isAhead = tls.certificates.some(({ notBeforeMs }) => notBeforeMs > nowMs);
    const isDue = tls.renewAtWallMs !== null && (nowMs >= tls.renewAtWallMs || isAhead);
    if (files.changed(own) || isDue) await reloadCertificates();
    ends.look(tls.certificates);
    await stapler.look(tls.certificates);
  };
  // Files are watched once for all workers; each staples for itself.
  const look = worker === undefined ? lookAtCertificates : () => stapler.look(tls.certificates);
  void look();
  const renewal = setInterval(() => {
    // An announced end is told and forgotten on disk even when nobody asks for anything.
    void maintenance.current;
    journal?.settle();
    void look();
  }, renewalCheckMs);
  renewal.unref();

  const stop = async (): Promise<number> => {
    ready = ["stopping"];
    clearInterval(renewal);
    loopDelay.close();
    unwatchDescriptors();
    const issuerStopped = issuer.stop();
    ways.stop();
    stapler.stop();
    sink.emit({ type: "draining", exchanges: gateway.exchanges, tunnels: gateway.tunnels });
    https.stop();
    http?.stop();
    // Exchanges that still run may be waiting for a PDF, and its maker for us: the report listener closes after them.
    // The supervisor itself served what came before its workers.
    const theirs = supervisor?.stop() ?? 0;
    const cut = (await gateway.drain(plan.settings.drainTimeoutMs)) + (await theirs);
    report?.stop();
    report?.destroy();
    https.destroy();
    http?.destroy();
    front.close();
    cache.close();
    squeeze.close();
    ways.close();
    journal?.close();
    await admin.close();
    await issuerStopped;
    sink.emit({ type: "stopped", cut });
    return cut;
  };

  const retire = async (): Promise<void> => {
    gateway.retire();
    const listeners = [https, http, report].filter((one) => one !== null);
    for (const listener of listeners) listener.retire();
    // A kept connection ends behind its next answer, or when nothing was asked on it for its idle time.
    const endMs = clock.nowMs() + edgeBounds.keepAliveTimeoutMs + retireSlackMs;
    while (listeners.some(({ connections }) => connections > 0) && clock.nowMs() < endMs)
      await sleep(retireLookMs);
  };

  // What a worker is handed came by the supervisor's listener, which asks itself.
  const reached =
    worker === undefined ? await proof.overTheWire(parts, plan, settings.httpsListen, https.port, sink) : [];
  if (reached.length > 0) {
    await stop();
    return err(reached);
  }
  ready = [];

  return ok({
    httpsPort: https.port,
    httpPort: http?.port ?? null,
    reportPort: report?.port ?? null,
    adminPort: admin.value?.port ?? null,
    gateway,
    plan: () => plan,
    tls: () => tls,
    issuer,
    lookAtCertificates,
    policiesDir: policiesDirOf(settings),
    listeners: [https, http, report].flatMap((one, at) =>
      one === null ? [] : [{ name: listenerNames[at] ?? "https", port: one.port, address: one.address }],
    ),
    addresses: {
      https: https.address,
      http: http?.address ?? null,
      report: report?.address ?? null,
      admin: admin.value?.address ?? null,
    },
    busFallback: ways.busFallback,
    members: ways.members,
    queue: ways.queue,
    reload,
    prepareReload,
    reloadCertificates,
    setTicketKeys: (keys) => front.setTicketKeys(keys),
    counters: () => counters.snapshot(),
    tally: () => tallySnapshot(tally),
    spoolBytes: () => spool.bytes,
    process: () => processFigures(loopDelay),
    maintenance: () => maintenance.current,
    maintain: (now) => {
      if (now === null) maintenance.turnOff();
      else maintenance.turnOn(now);
    },
    shared: { secret, limiter, jail, sessions, pendingAccounts, sharedPeers },
    cache: { figures: ownFigures, clear: () => cache.clear() },
    retire,
    stop,
  });
}
