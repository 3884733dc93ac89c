/** The composition root: settings in, a running gateway out. Everything is made and wired here, nothing is decided. */
import { join } from "node:path";
import { AdminDoor } from "./admin/door.ts";
import { Alerts } from "./alert/alerts.ts";
import { type Clock, systemClock } from "./base/clock.ts";
import { type Problem, problemLine } from "./base/problem.ts";
import { err, ok, type Result } from "./base/result.ts";
import type { SupervisorSeam, WorkerSeam } from "./cluster/seams.ts";
import { filesMax, watchDescriptors } from "./edge/descriptors.ts";
import { Gateway } from "./gateway.ts";
import { accountHasher } from "./guard/account-name.ts";
import { CrawlerChecks } from "./guard/crawler-checks.ts";
import type { CrawlerDns } from "./guard/crawler-lookup.ts";
import { deviceCookies } from "./guard/device-cookie.ts";
import { HstsRamp, hstsRampFile } from "./guard/hsts-ramp.ts";
import { loadLocalSecret } from "./guard/local-secret.ts";
import { Maintenance, maintenanceFile } from "./guard/maintenance.ts";
import { SessionSightings } from "./guard/session-sightings.ts";
import { createCounters } from "./observe/counters.ts";
import type { EventSink } from "./observe/events.ts";
import { LoopDelay } from "./observe/loop-delay.ts";
import { processFigures } from "./observe/process-figures.ts";
import { teeSinks } from "./observe/sinks.ts";
import { createTally } from "./observe/tally.ts";
import { tallySnapshot } from "./observe/tally-sum.ts";
import { buildPlan, type Plan } from "./plan.ts";
import type { Policy } from "./policy/compile.ts";
import { openToStrangers, Proof } from "./proving.ts";
import type { GatewayParts } from "./road/parts.ts";
import { createTunnelPlaces } from "./road/tunnel-places.ts";
import { createWays } from "./road/ways.ts";
import type { Settings } from "./settings/settings.ts";
import { adminAlerts, adminBans, adminCache, adminCsp, adminMaintenance } from "./start/admin-orders.ts";
import { admissions } from "./start/admissions.ts";
import { alertReading, alertSender } from "./start/alerts.ts";
import { createCertificates, ownFiles } from "./start/certificates.ts";
import { crawlerDns } from "./start/crawler-dns.ts";
import { edgeHandlers } from "./start/edge-handlers.ts";
import { createFileCache } from "./start/file-cache.ts";
import { lookupAll } from "./start/lookup-all.ts";
import { createMetrics, type MetricsParts } from "./start/metrics.ts";
import { hstsEvent, maintenanceEvent, tellDraining } from "./start/news.ts";
import { openListeners } from "./start/open-listeners.ts";
import { policiesDirOf } from "./start/policy-files.ts";
import { readAll } from "./start/read-all.ts";
import { createReload, prepareReload, type ReloadParts } from "./start/reload.ts";
import { retire } from "./start/retire.ts";
import type { RunningGateway } from "./start/running-gateway.ts";
import { RunningMark } from "./start/running-mark.ts";
import { createShared } from "./start/shared.ts";
import { statusOf } from "./start/status.ts";
import { ToldSpool } from "./start/told-spool.ts";
import { createChallenges } from "./tls/challenges.ts";
import { createTlsFront } from "./tls/front.ts";
import { loadTls } from "./tls/load.ts";
import type { ReadMounts } from "./tls/preflight.ts";
import { UnknownNames } from "./tls/unknown-names.ts";
import { FileWatch } from "./tls/watch.ts";
import { filesOpenMax } from "./upstream/filestore.ts";
import type { LookupAll } from "./upstream/resolver.ts";
import { spoolPartBytes } from "./upstream/spool.ts";

/** Certificates are looked at this often for renewal; a timer over the whole life would overflow. */
const renewalCheckMs = 60_000;

export interface StartOptions {
  readonly settings: Settings;
  readonly sink: EventSink;
  /** Reads the settings again at a reload; left out: only policies and certificates are read again. */
  readonly readSettings?: () => Result<Settings, readonly Problem[]>;
  readonly clock?: Clock;
  /** All addresses of a name; left out: the system is asked. */
  readonly lookup?: LookupAll;
  /** Names of clients' addresses and back, for FAKE_CRAWLERS; left out: the system's resolvers are asked. */
  readonly crawlerDns?: CrawlerDns;
  /** The machine's mounts, /proc/self/mountinfo; left out: read from there. */
  readonly readMounts?: ReadMounts;
  /** Log lines lost so far, for /status. */
  readonly logLinesDropped?: () => number;
  /** This process is one of several workers; left out: it is not. */
  readonly worker?: WorkerSeam;
  /** This process looks after workers and serves nothing itself; left out: it does. */
  readonly supervisor?: SupervisorSeam;
}

/** Starts everything, or answers every problem found before the first listener opened. */
export async function startGateway(
  options: StartOptions,
): Promise<Result<RunningGateway, readonly Problem[]>> {
  const { settings, worker, supervisor } = options;
  const clock = options.clock ?? systemClock;
  const startedWallMs = clock.wallMs();
  const counters = createCounters();
  const tally = createTally();
  let certificateTrouble = () => {};
  const sink = teeSinks(options.sink, counters, tally, {
    emit: ({ type }) => {
      if (type === "certificate-failed" || type === "certificate-expiring") certificateTrouble();
    },
  });

  // What is read, before anything is made. Files that are replaced while we start are read again.
  const certificateFiles = new FileWatch();
  certificateFiles.changed(ownFiles(settings));
  const readTls = (from: Settings) => loadTls(from, clock.wallMs(), options.readMounts);
  const maintenancePath = join(settings.stateDir, maintenanceFile);
  const stateFault = (detail: string) => sink.emit({ type: "warning", what: "STATE_DIR", detail });
  const hstsRamp = new HstsRamp({
    path: join(settings.stateDir, hstsRampFile),
    clock,
    isReader: worker !== undefined,
    fault: stateFault,
  });
  const warn = (warning: Problem) => {
    // Each worker looks; the supervisor tells.
    if (worker === undefined)
      sink.emit({ type: "warning", what: "ODOO_FILESTORE", detail: problemLine(warning) });
  };
  const read = await readAll(settings, readTls, maintenancePath, startedWallMs, stateFault, warn);
  if (!read.ok) return read;
  const { policy, tls, closed, odoo } = read.value;

  // What outlives every plan, and the first plan.
  const ways = createWays({
    settings,
    odoo,
    sink,
    clock,
    lookup: options.lookup ?? lookupAll,
    filesOpenMax: filesMax(filesOpenMax),
    random: Math.random,
  });
  const localSecret = await loadLocalSecret(settings.stateDir, stateFault);
  if (!localSecret.ok) return err([localSecret.error]);
  const { shared, journal } = createShared({
    stateDir: settings.stateDir,
    worker,
    clock,
    sink,
    banned: (ban) => {
      gateway.banned(ban.address);
      supervisor?.banned(ban);
    },
  });
  const { secret, limiter, jail, sessions, pendingAccounts, sharedPeers, cspReports } = shared;

  // The port that was asked for; once the listener is open, the one it has.
  let httpsPort = settings.httpsListen.port;
  const tries = worker === undefined ? {} : { stagingTries: worker.stagingTries };
  const compile = (from: Settings, rules: Policy, revision: number): Plan =>
    buildPlan({
      settings: from,
      policy: rules,
      httpsPort,
      revision,
      hstsSecondsMax: hstsRamp.secondsMax,
      secret,
      clock,
      ...tries,
    });
  if (settings.hstsRamp) hstsRamp.look();
  let plan = compile(settings, policy, 1);
  certificateTrouble = () => {
    if (plan.settings.hstsRamp) hstsRamp.troubled();
  };
  const open = openToStrangers(plan);
  if (open.length > 0) return err(open);

  const files = createFileCache(() => plan, sink, clock);
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
    closed,
  );
  const hashAccount = accountHasher(localSecret.value);
  const { spoolBytesMax } = settings;
  const partBytesMax = () => spoolPartBytes(spoolBytesMax, plan.settings.bodyBytesMax);
  const spool = new ToldSpool(join(settings.stateDir, "spool"), spoolBytesMax, partBytesMax, sink);
  const clientNames = options.crawlerDns ?? crawlerDns();
  const parts: GatewayParts = {
    plan: () => plan,
    challenges,
    maintenance,
    ways,
    limiter: worker?.limiter ?? limiter,
    sessions,
    crawlers: new CrawlerChecks({
      clock,
      dns: clientNames,
      news: (checked) => sink.emit({ type: "crawler-checked", ...checked }),
    }),
    sightings: new SessionSightings(worker?.sessionTrails ?? shared.sessionTrails, hashAccount),
    jail: worker?.jail ?? jail,
    tunnelPlaces: worker?.tunnelPlaces ?? createTunnelPlaces(),
    devices: deviceCookies(localSecret.value, clock),
    sharedPeers,
    pendingAccounts,
    cspReports: worker?.cspReports ?? cspReports,
    hashAccount,
    spool,
    cache: files.cache,
    sink,
    clock,
  };
  const gateway = new Gateway(parts);
  const proof = new Proof();

  // The listeners, and the certificates they show.
  const unknownNames = new UnknownNames(sink, clock);
  const front = createTlsFront(
    tls,
    (name, shown) => unknownNames.met(name, shown),
    worker?.ticketKeys ?? null,
  );
  const opened = await openListeners(
    settings,
    front.options,
    admissions(() => plan, jail, worker !== undefined),
    edgeHandlers(gateway, proof, parts),
    challenges,
    options,
  );
  if (!opened.ok) return opened;
  const listeners = opened.value;
  const { https, http, report } = listeners;
  const unwatchDescriptors = watchDescriptors((detail) =>
    sink.emit({ type: "warning", what: "descriptors", detail }),
  );
  const { httpListen } = settings;
  const certificates = createCertificates({
    first: tls,
    front,
    files: certificateFiles,
    read: readTls,
    settings: () => plan.settings,
    plain: httpListen === null || http === null ? null : { host: httpListen.host, port: http.port },
    challenges,
    changed: () => supervisor?.certificatesChanged(),
    sink,
    clock,
  });
  const { issuer, stapler } = certificates;
  if (https.tls !== null) front.attach(https.tls);
  https.tls?.on("OCSPRequest", stapler.onRequest);
  httpsPort = https.port;
  plan = compile(settings, policy, 1);

  // What an operator sees and changes.
  const loopDelay = new LoopDelay();
  let ready: readonly string[] = ["checking itself"];
  const readiness = () => [...ready, ...issuer.reasons, ...(supervisor?.reasons() ?? [])];
  let isReloadRefused = false;
  const alerts: Alerts = new Alerts({
    clock,
    sink,
    // A worker's conditions are the supervisor's to tell: once, and of all together.
    settings: () => (worker === undefined ? plan.settings.alerts : { ...plan.settings.alerts, hooks: [] }),
    sender: () => alertSender(plan.settings),
    read: alertReading(() => ({ ...shown, isReloadRefused, endedBadly: mark.wasThere })),
  });
  const mark = new RunningMark(settings.stateDir);
  const tellPeople = () => {
    alerts.configure();
    mark.set(alerts.isOn);
  };
  const shown: MetricsParts = {
    clock,
    startedWallMs,
    plan: () => plan,
    gateway,
    ways,
    listeners,
    certificates,
    counters,
    tally,
    logLinesDropped: options.logLinesDropped ?? (() => 0),
    supervisor,
    bans: jail.bans,
    cspReports,
    maintenance,
    spool,
    spoolBytesMax,
    files,
    loopDelay,
    alerts,
    readiness,
  };
  const admin = new AdminDoor(
    settings,
    {
      state: () => statusOf(shown),
      ready: readiness,
      bans: adminBans(jail, journal, supervisor, sink, clock, () => plan.settings),
      cache: adminCache(files, supervisor),
      csp: adminCsp(cspReports, startedWallMs, () => plan.settings),
      maintenance: adminMaintenance(maintenance, clock),
      alerts: adminAlerts(alerts),
      metrics: createMetrics(shown),
    },
    sink,
  );
  await admin.open();

  const growHsts = (): boolean => {
    if (!plan.settings.hstsRamp || !hstsRamp.look()) return false;
    plan = compile(plan.settings, plan.policy, plan.revision);
    return true;
  };
  const lookAtHsts = () => {
    if (growHsts()) sink.emit(hstsEvent(hstsRamp, plan.settings));
  };
  const announce = () => {
    sink.emit({
      type: "plan-loaded",
      revision: plan.revision,
      rules: plan.policy.rules.length,
      preset: plan.settings.preset,
    });
    if (plan.settings.hstsRamp) sink.emit(hstsEvent(hstsRamp, plan.settings));
    certificates.announce();
    for (const warning of admin.value?.warnings ?? [])
      sink.emit({ type: "warning", what: warning.place, detail: problemLine(warning) });
  };
  for (const { name, listener } of listeners.all)
    sink.emit({ type: "listening", what: name, address: listener.address });
  announce();
  if (maintenance.current !== null) sink.emit(maintenanceEvent(maintenance.current));
  // Not waited for: Odoo may start after us.
  ways.start();
  if (worker === undefined) issuer.start();

  const reloading: ReloadParts = {
    settings,
    readSettings: options.readSettings,
    readTls,
    plan: () => plan,
    compile,
    put: (next) => {
      plan = next;
      growHsts();
      files.cache.configure();
      tellPeople();
      announce();
      // New names in DOMAIN are ordered now, not at the next look.
      if (worker === undefined) void issuer.look();
    },
    certificates,
    supervisor,
    sink,
  };
  // Files are watched once for all workers; each staples for itself.
  const look = worker === undefined ? certificates.look : certificates.staple;
  void look();
  const renewal = setInterval(() => {
    // An announced end is told and forgotten on disk even when nobody asks for anything.
    void maintenance.current;
    journal?.settle();
    lookAtHsts();
    void look();
  }, renewalCheckMs);
  renewal.unref();

  const stop = async (): Promise<number> => {
    ready = ["stopping"];
    clearInterval(renewal);
    loopDelay.close();
    unwatchDescriptors();
    const issuerStopped = issuer.stop();
    mark.set(false);
    const alertsStopped = alerts.stop();
    ways.stop();
    stapler.stop();
    // Asked before the workers are told to stop.
    const draining = tellDraining(gateway, supervisor, sink);
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
    clientNames.close();
    files.close();
    ways.close();
    journal?.close();
    await admin.close();
    await issuerStopped;
    await alertsStopped;
    await draining;
    sink.emit({ type: "stopped", cut });
    return cut;
  };

  // What a worker is handed came by the supervisor's listener, which asks itself.
  const reached =
    worker === undefined ? await proof.overTheWire(parts, plan, settings.httpsListen, https.port, sink) : [];
  if (reached.length > 0) {
    await stop();
    return err(reached);
  }
  ready = [];
  tellPeople();
  const reload = createReload(reloading);

  return ok({
    httpsPort: https.port,
    httpPort: http?.port ?? null,
    reportPort: report?.port ?? null,
    adminPort: admin.value?.port ?? null,
    gateway,
    plan: () => plan,
    tls: () => certificates.tls,
    issuer,
    lookAtCertificates: certificates.look,
    lookAtHsts,
    policiesDir: policiesDirOf(settings),
    listeners: listeners.all.map(({ name, listener: { port, address } }) => ({ name, port, address })),
    addresses: {
      https: https.address,
      http: http?.address ?? null,
      report: report?.address ?? null,
      admin: admin.value?.address ?? null,
    },
    busFallback: ways.busFallback,
    lookAtBus: ways.lookAtBus,
    members: ways.members,
    queue: ways.queue,
    reload: async () => {
      const problems = await reload();
      isReloadRefused = problems.length > 0;
      return problems;
    },
    alerts,
    prepareReload: async () => {
      const prepared = await prepareReload(reloading);
      return prepared.ok ? ok(prepared.value.put) : prepared;
    },
    reloadCertificates: certificates.reload,
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
    shared,
    cache: { figures: files.figures, clear: () => files.cache.clear() },
    retire: () => retire(gateway, listeners, clock),
    stop,
  });
}
