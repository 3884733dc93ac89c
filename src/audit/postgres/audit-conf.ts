import { isLoopback, parseIp } from "../../base/ip.ts";
import type { AuditContext, ConnectionRoom } from "../context.ts";
import { type Note, note, orPass } from "../note.ts";
import type { PgConf } from "./conf.ts";

/** More connections than this cost memory and gain nothing; a pooler serves more clients better. */
const connectionsUsualMax = 500;

/** What postgresql.conf tells. */
export function auditPgConf(conf: PgConf, context: AuditContext): readonly Note[] {
  const place = { file: conf.file, line: null };
  const trouble = [
    ...conf.mistakes.map((one) => note("pgconf-syntax", "fail", one.thing, one.place)),
    ...conf.unread.map((one) =>
      note("pgconf-syntax", "skipped", `${one.thing}; what it sets is not known here`, one.place),
    ),
  ];
  return [
    ...orPass(trouble, "pgconf-syntax", `${conf.settings.size} settings`, place),
    listen(conf, context),
    ssl(conf),
    sslProtocol(conf),
    passwordEncryption(conf),
    logConnections(conf),
    logSlow(conf),
    logPrefix(conf),
    logStatement(conf),
    ...durability(conf),
    maxConnections(conf),
  ];
}

/** What is left of max_connections for ordinary roles. */
export function roomOf(conf: PgConf): ConnectionRoom | null {
  const number = (name: string) => (/^[0-9]{1,7}$/.test(conf.text(name)) ? Number(conf.text(name)) : null);
  const all = number("max_connections");
  if (all === null) return null;
  const kept = (number("superuser_reserved_connections") ?? 3) + (number("reserved_connections") ?? 0);
  const { file, line } = conf.place("max_connections");
  return {
    connections: Math.max(0, all - kept),
    from: line === null ? `${file}, not set` : `${file}:${line}`,
  };
}

function addresses(conf: PgConf): readonly string[] {
  return (
    conf
      .text("listen_addresses")
      .split(",")
      // An address may stand in quotes of its own: '"*"' is every address too (varlena.c, SplitGUCList).
      .map((one) => one.trim().replaceAll('"', ""))
      .filter((one) => one !== "")
  );
}

function isLocal(address: string): boolean {
  const ip = parseIp(address);
  return address === "localhost" || (ip !== null && isLoopback(ip));
}

function listen(conf: PgConf, { isContainer }: AuditContext): Note {
  const id = "pgconf-listen";
  const place = conf.place("listen_addresses");
  const all = addresses(conf);
  if (all.every(isLocal)) return note(id, "pass", conf.shown("listen_addresses"), place);
  if (all.some((one) => one === "*" || one === "0.0.0.0" || one === "::"))
    return isContainer
      ? note(id, "pass", `${conf.shown("listen_addresses")}: in a container what is published decides`, place)
      : note(id, "fail", `${conf.shown("listen_addresses")}: every address of the machine`, place);
  return note(id, "pass", `${conf.shown("listen_addresses")}: named addresses only`, place);
}

function ssl(conf: PgConf): Note {
  const id = "pgconf-ssl";
  const place = conf.place("ssl");
  if (conf.isOn("ssl")) return note(id, "pass", conf.shown("ssl"), place);
  return addresses(conf).every(isLocal)
    ? note(id, "pass", `${conf.shown("ssl")}, and only this machine connects`, place)
    : note(id, "fail", `${conf.shown("ssl")}, and PostgreSQL listens on the network`, place);
}

function sslProtocol(conf: PgConf): Note {
  const isOld = /^(?:|TLSv1|TLSv1\.1)$/i.test(conf.text("ssl_min_protocol_version"));
  return note(
    "pgconf-ssl-protocol",
    isOld ? "fail" : "pass",
    conf.shown("ssl_min_protocol_version"),
    conf.place("ssl_min_protocol_version"),
  );
}

function passwordEncryption(conf: PgConf): Note {
  const isScram = conf.text("password_encryption").toLowerCase() === "scram-sha-256";
  return note(
    "pgconf-password-encryption",
    isScram ? "pass" : "fail",
    conf.shown("password_encryption"),
    conf.place("password_encryption"),
  );
}

function logConnections(conf: PgConf): Note {
  // PostgreSQL 18: `log_connections` is a list of aspects too.
  const connections =
    conf.isOn("log_connections") || /authentication|authorization|all/.test(conf.text("log_connections"));
  const missing = [
    ...(connections ? [] : ["log_connections"]),
    ...(conf.isOn("log_disconnections") ? [] : ["log_disconnections"]),
  ];
  const [first] = missing;
  return first === undefined
    ? note("pgconf-log-connections", "pass", "both are on", conf.place("log_connections"))
    : note(
        "pgconf-log-connections",
        "warn",
        missing.map((name) => conf.shown(name)).join(", "),
        conf.place(first),
      );
}

function logSlow(conf: PgConf): Note {
  const id = "pgconf-log-slow";
  const text = conf.text("log_min_duration_statement");
  const place = conf.place("log_min_duration_statement");
  if (text === "-1") return note(id, "warn", conf.shown("log_min_duration_statement"), place);
  if (/^0(?:ms|s|min)?$/.test(text))
    return note(
      id,
      "warn",
      `${conf.shown("log_min_duration_statement")}: every statement is written, with what it says about people`,
      place,
    );
  return note(id, "pass", conf.shown("log_min_duration_statement"), place);
}

function logPrefix(conf: PgConf): Note {
  const id = "pgconf-log-line-prefix";
  const text = conf.text("log_line_prefix");
  const place = conf.place("log_line_prefix");
  const wanted: readonly (readonly [RegExp, string])[] = [
    [/%[mtn]/, "time (%m)"],
    [/%u/, "role (%u)"],
    [/%d/, "database (%d)"],
    [/%[hrL]/, "client (%h)"],
  ];
  const missing = wanted.filter(([pattern]) => !pattern.test(text)).map(([, words]) => words);
  return missing.length === 0
    ? note(id, "pass", conf.shown("log_line_prefix"), place)
    : note(id, "warn", `${conf.shown("log_line_prefix")} lacks ${missing.join(", ")}`, place);
}

function logStatement(conf: PgConf): Note {
  const text = conf.text("log_statement").toLowerCase();
  const isLoud = text === "all" || text === "mod";
  return note(
    "pgconf-log-statement",
    isLoud ? "warn" : "pass",
    conf.shown("log_statement"),
    conf.place("log_statement"),
  );
}

function durability(conf: PgConf): readonly Note[] {
  const id = "pgconf-durability";
  const notes: Note[] = [];
  for (const name of ["fsync", "full_page_writes"])
    if (!conf.isOn(name))
      notes.push(
        note(id, "fail", `${conf.shown(name)}: a power cut can destroy every database`, conf.place(name)),
      );
  if (/^(?:off|false|no|0)$/i.test(conf.text("synchronous_commit")))
    notes.push(
      note(
        id,
        "warn",
        `${conf.shown("synchronous_commit")}: a power cut loses the last transactions`,
        conf.place("synchronous_commit"),
      ),
    );
  return orPass(notes, id, "what is committed is on disk", { file: conf.file, line: null });
}

function maxConnections(conf: PgConf): Note {
  const id = "pgconf-max-connections";
  const place = conf.place("max_connections");
  const room = roomOf(conf);
  if (room === null) return note(id, "fail", `${conf.shown("max_connections")} is no number`, place);
  if (room.connections > connectionsUsualMax)
    return note(
      id,
      "warn",
      `${conf.shown("max_connections")}: each connection is a process of PostgreSQL`,
      place,
    );
  if (room.connections < 10)
    return note(id, "fail", `${conf.shown("max_connections")} leaves ${room.connections} for Odoo`, place);
  return note(id, "pass", `${conf.shown("max_connections")}, ${room.connections} for ordinary roles`, place);
}
