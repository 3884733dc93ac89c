import type { Problem } from "../base/problem.ts";
import { ok } from "../base/result.ts";
import type { Supervisor } from "../cluster/supervisor.ts";
import type { Demo } from "../demo/start.ts";
import { type BufferedDestination, type LogDestination, openDestination } from "../observe/destination.ts";
import type { EventSink } from "../observe/events.ts";
import { createLog, type Log } from "../observe/log-pino.ts";
import { splitDestination } from "../observe/split-destination.ts";
import { unservedHosts } from "../policy/unserved-hosts.ts";
import type { Settings } from "../settings/settings.ts";
import type { RunningGateway } from "../start/running-gateway.ts";
import { startGateway } from "../start.ts";
import { howToTrust } from "../tls/trust.ts";
import { accepts } from "../upstream/bus-watch.ts";
import { member } from "../upstream/pool.ts";
import { printProblems, printWarnings, processSettings, settingsToStart } from "./settings.ts";
import type { Signals } from "./signals.ts";
import { boundYoungHeap, collectPieces, keepCompiled, optimizeFromNowOn, tidyHeap } from "./tidy-heap.ts";

const localOdoo = { host: "127.0.0.1", port: 8069 };

/** `odoo-gateway run`: serves until a signal; the exit status. */
export async function run(signals: Signals): Promise<number> {
  // Nobody may read it any more; what is lost there is no reason to end.
  process.stderr.on("error", () => {});
  const loaded = settingsToStart();
  if (!loaded.ok) {
    printProblems(loaded.error);
    return 1;
  }
  printWarnings(loaded.value.warnings);
  const { settings, demo } = await withOdoo(forPeople(loaded.value.settings));
  const isFound = loaded.value.settings.odoo === null;
  const shape = { level: settings.logLevel, format: settings.logFormat };
  const output = outputOf(settings);
  const log = createLog(output === null ? shape : { ...shape, destination: output });
  const supervisor =
    output === null || settings.workers === 1 ? null : await supervise(settings, log, output);
  let warnings: readonly Problem[] = [];
  const started = await startGateway({
    settings,
    sink: log,
    ...(supervisor === null ? {} : { supervisor }),
    logLinesDropped: () => log.dropped,
    readSettings: () => {
      const again = processSettings();
      if (!again.ok) return again;
      warnings = again.value.warnings;
      const { odoo, odooBus } = settings;
      // Where nothing is named, what was found at the start is no change.
      const found = isFound && again.value.settings.odoo === null ? { odoo, odooBus } : {};
      return ok({ ...forPeople(again.value.settings), ...found });
    },
  });
  if (!started.ok) {
    await log.close();
    printProblems(started.error);
    await demo?.close();
    return 1;
  }
  const running = started.value;
  const policyWarnings = () => unservedHosts(running.plan().policy, running.plan().settings);
  printWarnings(policyWarnings());
  dieTelling(log);
  signals.serve({
    stop: () => running.stop(),
    kill: () => supervisor?.kill(),
    reload: async () => {
      const problems = await running.reload();
      if (problems.length === 0) printWarnings([...warnings, ...policyWarnings()]);
      return problems;
    },
    change: () => (supervisor === null ? tellAlone(log) : void supervisor.change()),
    reopen: () => tellNothingToReopen(log),
  });
  if (!signals.isStopping) await supervisor?.start(running);
  if (!signals.isStopping) {
    tidyHeap();
    boundYoungHeap();
    collectPieces();
    keepCompiled();
    optimizeFromNowOn();
    process.stderr.write(banner(running, settings, demo));
  }
  await signals.stopped;
  await log.close();
  await demo?.close();
  endIfStuck(log);
  return 0;
}

/** Where the lines of all processes go; null: where `createLog` writes by itself. */
function outputOf({ workers, logFormat }: Settings): BufferedDestination | null {
  // As with nginx's own image: exchanges there, all that happens besides here.
  if (logFormat === "combined") return splitDestination(openDestination(1), openDestination(2));
  return workers === 1 ? null : openDestination(1);
}

function tellAlone(sink: EventSink): void {
  const detail =
    "a hand-over needs a second process: start with WORKERS=2 or more, then SIGUSR2 replaces them one by one";
  sink.emit({ type: "warning", what: "SIGUSR2", detail });
}

/** What log rotation sends to nginx. */
function tellNothingToReopen(sink: EventSink): void {
  const detail =
    "the log goes to standard output, and no file is opened anew: let logrotate copy and truncate it (copytruncate), or let journald keep it";
  sink.emit({ type: "warning", what: "SIGUSR1", detail });
}

/** Everything is done, but a thread hangs in a write that nobody takes; at its end the process would wait for it for ever. */
function endIfStuck(log: Log): void {
  if (log.isStuck) process.kill(process.pid, "SIGKILL");
}

/** Loaded for WORKERS above 1 only. */
async function supervise(settings: Settings, sink: EventSink, output: LogDestination): Promise<Supervisor> {
  const { Supervisor } = await import("../cluster/supervisor.ts");
  return new Supervisor({ settings, sink, lines: (text) => output.write(text, linesIn(text)) });
}

/** How many whole lines a text holds. */
function linesIn(text: string): number {
  let count = 0;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) count += 1;
  return count;
}

/** ODOO_URL, else Odoo on this machine, else the stand-in. */
async function withOdoo(settings: Settings): Promise<{ settings: Settings; demo: Demo | null }> {
  if (settings.odoo !== null) return { settings, demo: null };
  if (await accepts(member(localOdoo.host, localOdoo.port)))
    return { settings: { ...settings, odoo: localOdoo }, demo: null };
  // Its pages and scripts are of no use to a gateway with an Odoo.
  const { startDemo } = await import("../demo/start.ts");
  const demo = await startDemo();
  const odoo = { host: "127.0.0.1", port: demo.webPort };
  const odooBus = { host: "127.0.0.1", port: demo.busPort };
  return { settings: { ...settings, odoo, odooBus }, demo };
}

/** JSON for machines; a person at a terminal who said nothing gets readable lines, those of workers included. */
function forPeople(settings: Settings): Settings {
  const isAsked = process.env["LOG_FORMAT"] === undefined && process.stdout.isTTY;
  return isAsked ? { ...settings, logFormat: "text" } : settings;
}

function banner(running: RunningGateway, settings: Settings, demo: Demo | null): string {
  const plan = running.plan();
  const tls = running.tls();
  const name = settings.domains[0]?.host ?? "localhost";
  const site = `https://${plan.authorityOf(name) ?? name}`;
  const lines = [
    "",
    `odoo-gateway is running.`,
    `  site      ${site}`,
    `  https     ${running.addresses.https}`,
    `  http      ${running.addresses.http === null ? "off" : `${running.addresses.http} (redirects to https)`}`,
    ...(settings.workers === 1 ? [] : [`  workers   ${settings.workers}`]),
    ...(running.addresses.report === null
      ? []
      : [`  reports   http://${running.addresses.report} (for Odoo itself: report.url)`]),
    `  admin     ${adminText(running, settings)}`,
    `  policy    preset ${settings.preset}, ${plan.policy.rules.length} rules from ${running.policiesDir}`,
    `  Odoo      ${odooText(settings)}`,
    ...(settings.odooFilestore === null
      ? []
      : [`  files     ${settings.odooFilestore} (what Odoo names with x_sendfile is sent from here)`]),
    ...(settings.alerts.hooks.length === 0 ? [] : [`  alerts    ${hooksText(settings)}`]),
  ];
  if (demo !== null) {
    lines.push(
      "",
      "ODOO_URL is not set and nothing answers on 127.0.0.1:8069, so this is the built-in STAND-IN,",
      "not a real Odoo: log in as admin/admin; it stores nothing. Set ODOO_URL for the real one.",
    );
  }
  if (tls.localAuthority !== null) {
    lines.push("", "The certificate comes from a local CA of our own. To make this machine trust it:");
    for (const line of howToTrust(tls.localAuthority.caFile, site)) lines.push(`  ${line}`);
  }
  lines.push(
    "",
    "Three things to try:",
    `  curl -k ${site}/web/database/manager      the database manager is closed (404)`,
    `  curl -kI ${site}/web/login                the headers that harden Odoo`,
    `  npx odoo-gateway explain "POST /fr/web/login" --from 203.0.113.9`,
    "",
  );
  return `${lines.join("\n")}\n`;
}

function odooText({ odoo, odooMore, odooBackup }: Settings): string {
  const members = odoo === null ? odooMore : [odoo, ...odooMore];
  const text = (one: { readonly host: string; readonly port: number }) =>
    `http://${member(one.host, one.port).name}`;
  const backups = odooBackup.map((one) => `${text(one)} (backup)`);
  return [...members.map(text), ...backups].join(", ");
}

/** Where messages to people go, without what is secret of it. */
function hooksText({ alerts }: Settings): string {
  return alerts.hooks.map(({ shown, format }) => `${shown} as ${format}`).join(", ");
}

function adminText(running: RunningGateway, settings: Settings): string {
  if (running.addresses.admin !== null) return `http://${running.addresses.admin}/status`;
  return settings.adminListen === null ? "off" : "could not be opened, see the log";
}

/** Our own bug ends the process with its reason in the log. */
function dieTelling(log: Log): void {
  const die = (error: unknown) => {
    const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
    log.emit({ type: "error", what: "process", detail });
    void log.close().then(() => {
      endIfStuck(log);
      process.exit(1);
    });
  };
  process.on("uncaughtException", die);
  process.on("unhandledRejection", die);
}
