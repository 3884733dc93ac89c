/** The inside view: reads what an operator names, and says what of it the guides would have otherwise. */
import { dirname, resolve } from "node:path";
import type { Problem } from "../base/problem.ts";
import type { Result } from "../base/result.ts";
import { type Finding, findingOf } from "../report/finding.ts";
import { auditBackup } from "./backup/audit-backup.ts";
import { type FileFacts, readBackups } from "./backup/read.ts";
import { auditChecks } from "./catalogue/catalogue.ts";
import { auditCompose } from "./compose/audit-compose.ts";
import { readCompose } from "./compose/read.ts";
import type { Variables } from "./compose/variables.ts";
import { auditConf } from "./conf/audit-conf.ts";
import { databaseNames, visible } from "./conf/dbfilter.ts";
import { ConfView } from "./conf/view.ts";
import type { AuditContext, ConnectionRoom, GatewayView, Machine, Modes } from "./context.ts";
import { auditFail2ban } from "./fail2ban/audit-fail2ban.ts";
import {
  composeFiles,
  composeOverride,
  type Disk,
  envFiles,
  fail2banFiles,
  nginxIncludes,
  postgresIncludes,
  systemdDropIns,
} from "./included.ts";
import { auditNginx } from "./nginx/audit-nginx.ts";
import { readDump } from "./nginx/dump.ts";
import { readNginx } from "./nginx/parse.ts";
import { bounded, type Note, note, quoted } from "./note.ts";
import { auditOdoo } from "./odoo/audit-odoo.ts";
import { type OdooFacts, odooFacts } from "./odoo/read.ts";
import { auditPgConf, roomOf } from "./postgres/audit-conf.ts";
import { auditHba } from "./postgres/audit-hba.ts";
import { auditServer, serverRole, serverRoom } from "./postgres/audit-server.ts";
import { PgConf } from "./postgres/conf.ts";
import { type Dsn, shownDsn } from "./postgres/dsn.ts";
import { readHba } from "./postgres/hba.ts";
import { type ServerFacts, serverFacts } from "./postgres/server.ts";
import { openSession } from "./postgres/session.ts";
import { auditUnit } from "./systemd/audit-systemd.ts";
import { readUnit } from "./systemd/read.ts";

/** What is to be looked at; paths as the operator wrote them. */
export interface AuditRequest {
  readonly odooConf: string | null;
  readonly compose: readonly string[];
  readonly pgHba: string | null;
  readonly postgresqlConf: string | null;
  readonly pgDsn: Dsn | null;
  readonly nginx: readonly string[];
  readonly systemd: readonly string[];
  /** Files or folders. */
  readonly fail2ban: readonly string[];
  /** Files or folders. */
  readonly backup: readonly string[];
  /** `--host`, or the served names of the gateway; lower case, without port. */
  readonly hosts: readonly string[];
  /** `--db`. */
  readonly databases: readonly string[];
  readonly machine: Machine;
  readonly gateway: GatewayView | null;
  /** For `${NAME}` in compose files. */
  readonly variables: Variables;
}

export interface AuditSurroundings extends Disk {
  readonly modesOf: (path: string) => Modes | null;
  readonly factsOf: (path: string) => FileFacts | null;
  readonly nowMs: number;
}

export interface AuditResult {
  readonly findings: readonly Finding[];
  /** Files that could not be read at all, and a server that does not answer: nothing is known about them. */
  readonly problems: readonly Problem[];
}

/** Most files one option may name. */
export const filesPerOptionMax = 20;

/** Looks at everything that is named. `ids` are the checks whose findings are wanted. */
export async function audit(
  request: AuditRequest,
  surroundings: AuditSurroundings,
  ids: ReadonlySet<string>,
): Promise<AuditResult> {
  const problems: Problem[] = [];
  const read = (path: string): string | null => textOf(path, surroundings, problems);

  const pgConfText = request.postgresqlConf === null ? null : read(request.postgresqlConf);
  const pgConf =
    pgConfText === null
      ? null
      : new PgConf(request.postgresqlConf ?? "", pgConfText, postgresIncludes(surroundings));
  const confText = request.odooConf === null ? null : read(request.odooConf);
  const conf = confText === null ? null : new ConfView(request.odooConf ?? "", confText);
  const asked = request.pgDsn === null ? null : await askServer(request.pgDsn, conf, read, problems);
  const server = asked?.server ?? null;

  const named = [...new Set([...request.databases, ...(conf === null ? [] : databaseNames(conf))])];
  const room = serverOrFile(request.pgDsn, server, pgConf);
  const context: AuditContext = {
    hosts: request.hosts,
    databases: named,
    machine: request.machine,
    gateway: request.gateway,
    isContainer: request.compose.length > 0,
    connectionRoom: room,
    serverRole: server === null || request.pgDsn === null ? null : serverRole(server, request.pgDsn),
    modesOf: surroundings.modesOf,
  };

  const notes: Note[] = [];
  // One by one: a file of a megabyte makes more notes than a call takes arguments.
  const add = (found: readonly Note[]) => {
    for (const one of found) notes.push(one);
  };
  if (conf !== null) {
    const existing =
      server === null ? [] : server.databases.map(({ name }) => name).filter((name) => name !== "postgres");
    const known = { ...context, databases: [...new Set([...named, ...existing])] };
    add(auditConf(conf, resolve(surroundings.cwd, conf.file), known));
  }
  for (const files of composeProjects(request.compose, surroundings))
    add(composeNotes(files, read, request.variables, problems, surroundings));
  if (request.pgHba !== null) {
    const text = read(request.pgHba);
    if (text !== null)
      add(auditHba(readHba(request.pgHba, text, postgresIncludes(surroundings)), request.pgHba));
  }
  if (pgConf !== null) add(auditPgConf(pgConf, context));
  if (server !== null && request.pgDsn !== null) {
    const meant = { ...context, databases: named.length > 0 ? named : served(conf, request.hosts, server) };
    add(auditServer(server, request.pgDsn, meant, surroundings.nowMs));
  }
  if (asked !== null && request.pgDsn !== null)
    add(odooNotes(asked.odoo, request.pgDsn, context, surroundings.nowMs));
  for (const file of request.nginx) {
    const text = read(file);
    if (text === null) continue;
    const compared = {
      limitTimeRealS: conf?.whole("limit_time_real") ?? null,
      busPort: conf?.whole("gevent_port") ?? 8072,
    };
    const dump = readDump(text);
    const nginx =
      dump === null
        ? readNginx(file, text, nginxIncludes(file, surroundings))
        : readNginx(dump.file, dump.text, dump.readIncluded);
    add(auditNginx(nginx, compared));
  }
  for (const file of request.systemd) {
    const text = read(file);
    if (text !== null) add(unitNotes(file, text, request.odooConf, surroundings));
  }
  for (const path of request.fail2ban) {
    const isFolder = surroundings.readFolder(resolve(surroundings.cwd, path)) !== null;
    if (isFolder || read(path) !== null) add(auditFail2ban(fail2banFiles(path, surroundings), conf));
  }
  for (const path of request.backup) {
    const backups = readBackups(path, {
      readFolder: (one) => surroundings.readFolder(resolve(surroundings.cwd, one)),
      factsOf: (one) => surroundings.factsOf(resolve(surroundings.cwd, one)),
    });
    if (backups === null)
      problems.push({
        place: path,
        thing: "cannot be looked at: there is nothing, or this user may not",
        remedy: "",
      });
    else add(auditBackup(backups, surroundings.nowMs));
  }
  return { findings: ordered(bounded(notes.filter(({ id }) => ids.has(id)))), problems };
}

/** Findings in the catalogue's order; of one check in the order in which they were seen. */
function ordered(notes: readonly Note[]): readonly Finding[] {
  return auditChecks.flatMap((check) =>
    notes.filter(({ id }) => id === check.id).map((one) => findingOf(check, one)),
  );
}

/** A skipped finding for each wanted check that nothing was looked at for. */
export function notLookedAt(ids: ReadonlySet<string>, findings: readonly Finding[]): readonly Finding[] {
  const seen = new Set(findings.map(({ id }) => id));
  return auditChecks
    .filter(({ id }) => ids.has(id) && !seen.has(id))
    .map((check) =>
      findingOf(check, note(check.id, "skipped", "what it looks at was not given, or could not be read")),
    );
}

function textOf(path: string, { cwd, readFile }: Disk, problems: Problem[]): string | null {
  const read = readFile(resolve(cwd, path));
  if (!read.ok) {
    problems.push({ place: path, thing: `cannot be read: ${read.error.detail}`, remedy: "" });
    return null;
  }
  if (read.value.includes("\0")) {
    problems.push({ place: path, thing: "is no text: it holds NUL bytes", remedy: "" });
    return null;
  }
  return read.value;
}

function composeNotes(
  files: readonly string[],
  read: (path: string) => string | null,
  variables: Variables,
  problems: Problem[],
  disk: AuditSurroundings,
): readonly Note[] {
  const texts = files.flatMap((file) => {
    const text = read(file);
    return text === null ? [] : [{ file, text }];
  });
  const [first] = texts;
  if (first === undefined) return [];
  if (files.length === 1) texts.push(...composeOverride(first.file, disk));
  const compose = readCompose(texts, composeFiles(disk), variables, envFiles(first.file, disk));
  if (compose.ok) return auditCompose(compose.value, disk.nowMs);
  for (const { place, thing } of compose.error)
    problems.push({
      place: `${place.file}:${place.line ?? 1}`,
      thing: `is no compose file: ${thing}`,
      remedy: "docker compose config shows the same",
    });
  return [];
}

/** Files of one folder are one project, as those behind several -f are. */
function composeProjects(files: readonly string[], { cwd }: Disk): readonly (readonly string[])[] {
  const projects = new Map<string, string[]>();
  for (const file of files) {
    const folder = dirname(resolve(cwd, file));
    projects.set(folder, [...(projects.get(folder) ?? []), file]);
  }
  return [...projects.values()];
}

function unitNotes(
  file: string,
  text: string,
  odooConf: string | null,
  surroundings: AuditSurroundings,
): readonly Note[] {
  const quietly = (path: string): string | null => {
    const found = surroundings.readFile(resolve(surroundings.cwd, path));
    return found.ok ? found.value : null;
  };
  const unit = readUnit(file, [{ file, text }, ...systemdDropIns(file, surroundings)]);
  return auditUnit(unit, {
    readEnvironment: quietly,
    readUsers: () => quietly("/etc/passwd"),
    modesOf: (path) => surroundings.modesOf(resolve(surroundings.cwd, path)),
    odooConf,
  });
}

/** What the database we are connected to tells when it is Odoo's; one line when it is not. */
function odooNotes(
  odoo: Result<OdooFacts | null, string>,
  dsn: Dsn,
  context: AuditContext,
  nowMs: number,
): readonly Note[] {
  if (odoo.ok && odoo.value !== null) return auditOdoo(odoo.value, context, nowMs);
  const why = odoo.ok
    ? `${quoted(dsn.database)} is no database of Odoo; name one in --pg-dsn to have its users and settings looked at`
    : `the users and settings of Odoo were not looked at: ${odoo.error}`;
  return [note("odoo-version", "skipped", why, { file: shownDsn(dsn), line: null })];
}

interface AskedServer {
  readonly server: ServerFacts;
  readonly odoo: Result<OdooFacts | null, string>;
}

async function askServer(
  dsn: Dsn,
  conf: ConfView | null,
  read: (path: string) => string | null,
  problems: Problem[],
): Promise<AskedServer | null> {
  const authorities = dsn.rootCertificateFile === null ? null : read(dsn.rootCertificateFile);
  if (dsn.rootCertificateFile !== null && authorities === null) return null;
  const place = shownDsn(dsn);
  const opened = await openSession(dsn, authorities);
  if (!opened.ok) {
    problems.push({ place, thing: `was not looked at: ${opened.error}`, remedy: "" });
    return null;
  }
  const session = opened.value;
  const role = conf?.text("db_user") ?? "";
  let facts: Result<ServerFacts, string> = await serverFacts(session, role === "" ? null : role);
  if (!facts.ok && facts.error.startsWith("the server has no role")) {
    problems.push({
      place,
      thing: facts.error,
      remedy: "db_user of odoo.conf is looked up there; is it the right server?",
    });
    facts = await serverFacts(session, null);
  }
  const odoo = await odooFacts(session, dsn.database);
  session.close();
  if (facts.ok) return { server: facts.value, odoo };
  problems.push({ place, thing: `was not looked at: ${facts.error}`, remedy: "" });
  return null;
}

function serverOrFile(
  dsn: Dsn | null,
  server: ServerFacts | null,
  pgConf: PgConf | null,
): ConnectionRoom | null {
  if (server !== null && dsn !== null) return serverRoom(server, dsn);
  return pgConf === null ? null : roomOf(pgConf);
}

/** The databases that dbfilter serves to any host. */
function served(conf: ConfView | null, hosts: readonly string[], server: ServerFacts): readonly string[] {
  const filter = conf?.text("dbfilter") ?? "";
  if (filter === "" || (hosts.length === 0 && /%[hd]/.test(filter))) return [];
  const all = server.databases.map(({ name }) => name);
  return [
    ...new Set(
      (hosts.length === 0 ? ["localhost"] : hosts).flatMap((host) => visible(filter, host, all) ?? []),
    ),
  ];
}
