import { userInfo } from "node:os";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { type AuditRequest, filesPerOptionMax, audit as look, notLookedAt } from "../audit/audit.ts";
import { auditChecks } from "../audit/catalogue/catalogue.ts";
import { readEnvFile } from "../audit/compose/variables.ts";
import { type Dsn, readDsn, shownDsn } from "../audit/postgres/dsn.ts";
import { machineOf, processSurroundings } from "../audit/surroundings.ts";
import { packageRoot } from "../base/package-root.ts";
import { problemLine } from "../base/problem.ts";
import { err, ok, type Result } from "../base/result.ts";
import { formatBytes, parseBytes } from "../base/units.ts";
import type { Report } from "../report/finding.ts";
import { readOutputOptions } from "../report/options.ts";
import { selectIds } from "../report/select.ts";
import { readEarlier, withChanges } from "../report/since.ts";
import { deliver, listText, processTerminal, type Terminal } from "../report/write.ts";
import { readTextFile } from "../settings/read-file.ts";
import { type GatewayHere, gatewayHere } from "./gateway-view.ts";

/** `odoo-gateway audit`: the inside view. 0 nothing fails, 1 something does, 2 not understood or something could not be read. */
export async function audit(
  args: readonly string[],
  terminal: Terminal = processTerminal(),
): Promise<number> {
  const refuse = (why: string) => {
    terminal.error(`${why}\nsee: odoo-gateway audit --help\n`);
    return 2;
  };
  const shared = readOutputOptions(args);
  if (!shared.ok) return refuse(shared.error);
  const { output, rest } = shared.value;
  if (output.list) {
    terminal.out(listText(auditChecks));
    return 0;
  }
  const ids = selectIds(
    auditChecks.map(({ id }) => id),
    output.selection,
  );
  if (!ids.ok) return refuse(ids.error);
  const asked = readRequest(rest);
  if (!asked.ok) return refuse(asked.error);
  const { request, here } = asked.value;
  const earlier = output.since === null ? ok(null) : readEarlier(output.since, "audit");
  if (!earlier.ok) return refuse(earlier.error);

  const surroundings = processSurroundings();
  const { findings, problems } = await look(request, surroundings, ids.value);
  for (const problem of problems) terminal.error(`problem: ${problemLine(problem)}\n`);
  if (findings.length === 0 && problems.length > 0) return 2;
  const skipped = output.selection.only.length > 0 ? notLookedAt(ids.value, findings) : [];
  const report: Report = {
    command: "audit",
    version: packageRoot().version,
    subject: subjectOf(request),
    startedAt: new Date(surroundings.nowMs).toISOString(),
    lastedMs: Date.now() - surroundings.nowMs,
    facts: factsOf(request, here),
    findings: [...findings, ...skipped],
  };
  const told = output.since === null ? report : withChanges(report, earlier.value, output.since);
  const status = deliver(told, output, terminal);
  return problems.length > 0 ? 2 : status;
}

/** Less is no machine Odoo runs on. */
const memoryBytesLeast = 64 * 1024 * 1024;

interface Asked {
  readonly request: AuditRequest;
  readonly here: GatewayHere;
}

function readRequest(args: readonly string[]): Result<Asked, string> {
  const parsed = parse(args);
  if (!parsed.ok) return parsed;
  const { values } = parsed.value;
  const cores = values.cores === undefined ? null : countOf(values.cores, 4_096);
  if (values.cores !== undefined && cores === null)
    return err(`--cores "${values.cores}" is no number of cores`);
  const memoryBytes = values.memory === undefined ? null : parseBytes(values.memory);
  if (values.memory !== undefined && memoryBytes === null)
    return err(`--memory "${values.memory}" is no amount such as 8GiB`);
  // A number without a unit is bytes everywhere here; nobody's machine has eight of them.
  if (memoryBytes !== null && memoryBytes < memoryBytesLeast)
    return err(`--memory "${values.memory}" is ${memoryBytes} bytes; write the unit, such as 8GiB`);
  for (const [name, list] of [
    ["--compose", values.compose],
    ["--nginx", values.nginx],
    ["--systemd", values.systemd],
    ["--fail2ban", values.fail2ban],
    ["--backup", values.backup],
    ["--host", values.host],
    ["--db", values.db],
  ] as const)
    if (list.length > (name === "--host" || name === "--db" ? 500 : filesPerOptionMax))
      return err(`too many times ${name}`);
  const hosts: string[] = [];
  for (const host of values.host) {
    const name = host.toLowerCase().replace(/:[0-9]+$/, "");
    if (!/^[a-z0-9._-]{1,253}$/.test(name)) return err(`--host "${host}" is no host name`);
    hosts.push(name);
  }
  let pgDsn: Dsn | null = null;
  if (values["pg-dsn"] !== undefined) {
    const dsn = readDsn(values["pg-dsn"], process.env, systemUser());
    if (!dsn.ok) return err(`--pg-dsn cannot be read: ${dsn.error}`);
    pgDsn = dsn.value;
  }
  if (values.env !== undefined && values["env-file"] !== undefined)
    return err("--env and --env-file are one option; give one");
  const envPath = values.env ?? values["env-file"];
  const envText = readTextFile(resolve(envPath ?? ".env"));
  if (!envText.ok && envPath !== undefined)
    return err(`--env ${envPath} cannot be read: ${envText.error.detail}`);
  const file = envText.ok ? readEnvFile(envText.value) : new Map<string, string>();
  const here = gatewayHere(file);
  const request: AuditRequest = {
    odooConf: values["odoo-conf"] ?? null,
    compose: values.compose,
    pgHba: values["pg-hba"] ?? null,
    postgresqlConf: values["postgresql-conf"] ?? null,
    pgDsn,
    nginx: values.nginx,
    systemd: values.systemd,
    fail2ban: values.fail2ban,
    backup: values.backup,
    hosts: hosts.length > 0 ? hosts : here.hosts,
    databases: values.db,
    machine: machineOf(cores, memoryBytes),
    gateway: here.view,
    variables: file,
  };
  return partsOf(request).length > 0
    ? ok({ request, here })
    : err("name at least one thing to look at, such as --odoo-conf /etc/odoo/odoo.conf");
}

function parse(args: readonly string[]) {
  try {
    const parsed = parseArgs({
      args: [...args],
      tokens: true,
      options: {
        "odoo-conf": { type: "string" },
        compose: { type: "string", multiple: true, default: [] },
        "pg-hba": { type: "string" },
        "postgresql-conf": { type: "string" },
        "pg-dsn": { type: "string" },
        nginx: { type: "string", multiple: true, default: [] },
        systemd: { type: "string", multiple: true, default: [] },
        fail2ban: { type: "string", multiple: true, default: [] },
        backup: { type: "string", multiple: true, default: [] },
        host: { type: "string", multiple: true, default: [] },
        db: { type: "string", multiple: true, default: [] },
        cores: { type: "string" },
        memory: { type: "string" },
        env: { type: "string" },
        // As Docker has it; Node itself looks at this name, and ends with 9 when there is no such file.
        "env-file": { type: "string" },
      },
    });
    const given = parsed.tokens.filter((one) => one.kind === "option");
    for (const [index, { name, rawName, value }] of given.entries()) {
      if (value === "") return err(`${rawName} needs a value`);
      // The parser would take the last and say nothing of the others.
      const isList = Array.isArray(parsed.values[name]);
      if (!isList && given.findIndex((one) => one.name === name) < index)
        return err(`${rawName} stands twice; it takes one`);
    }
    return ok(parsed);
  } catch (error) {
    return err(error instanceof Error ? error.message : String(error));
  }
}

/** Each thing that is looked at, by its option. */
function partsOf(request: AuditRequest): readonly (readonly [option: string, what: string])[] {
  const { odooConf, compose, pgHba, postgresqlConf, pgDsn, nginx, systemd, fail2ban, backup } = request;
  return [
    ...(odooConf === null ? [] : [["--odoo-conf", odooConf] as const]),
    ...compose.map((file) => ["--compose", file] as const),
    ...(pgHba === null ? [] : [["--pg-hba", pgHba] as const]),
    ...(postgresqlConf === null ? [] : [["--postgresql-conf", postgresqlConf] as const]),
    ...(pgDsn === null ? [] : [["--pg-dsn", shownDsn(pgDsn)] as const]),
    ...nginx.map((file) => ["--nginx", file] as const),
    ...systemd.map((file) => ["--systemd", file] as const),
    ...fail2ban.map((path) => ["--fail2ban", path] as const),
    ...backup.map((path) => ["--backup", path] as const),
  ];
}

const options = [
  "--odoo-conf",
  "--compose",
  "--pg-hba",
  "--postgresql-conf",
  "--pg-dsn",
  "--nginx",
  "--systemd",
  "--fail2ban",
  "--backup",
];

function subjectOf(request: AuditRequest): string {
  return partsOf(request)
    .map(([, what]) => what)
    .join(", ");
}

function factsOf(request: AuditRequest, here: GatewayHere): Report["facts"] {
  const given = new Set(partsOf(request).map(([option]) => option));
  const missing = options.filter((one) => !given.has(one));
  const { cores, memoryBytes, from } = request.machine;
  return [
    ["machine", `${cores} cores, ${formatBytes(memoryBytes)} (${from})`],
    ["gateway", here.words],
    ["hosts", request.hosts.length === 0 ? "none known" : request.hosts.slice(0, 10).join(", ")],
    ...(missing.length === 0 ? [] : [["not given", missing.join(", ")] as const]),
  ];
}

function countOf(text: string, most: number): number | null {
  const count = /^[1-9][0-9]{0,5}$/.test(text) ? Number(text) : 0;
  return count >= 1 && count <= most ? count : null;
}

/** The system may have no name for its user, in a container. */
function systemUser(): string {
  try {
    return userInfo().username;
  } catch {
    return "odoo";
  }
}
