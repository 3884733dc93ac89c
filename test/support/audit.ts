import { resolve } from "node:path";
import { type AuditRequest, type AuditResult, type AuditSurroundings, audit } from "../../src/audit/audit.ts";
import type { FileFacts } from "../../src/audit/backup/read.ts";
import { auditChecks } from "../../src/audit/catalogue/catalogue.ts";
import type { Modes } from "../../src/audit/context.ts";
import type { ServerFacts } from "../../src/audit/postgres/server.ts";

const allIds = new Set(auditChecks.map(({ id }) => id));

/** 21 November 2026. */
export const nowMs = Date.UTC(2026, 10, 21);

/** A disk in memory: paths below /etc. */
export function diskOf(
  files: Readonly<Record<string, string>>,
  modes: Readonly<Record<string, Modes>> = {},
  facts: Readonly<Record<string, FileFacts>> = {},
): AuditSurroundings {
  const byPath = new Map(Object.entries(files).map(([path, text]) => [resolve("/etc", path), text]));
  return {
    cwd: "/etc",
    readFile: (path) => {
      const text = byPath.get(path);
      return text === undefined
        ? { ok: false, error: { missing: true, detail: "there is no such file" } }
        : { ok: true, value: text };
    },
    readFolder: (path) => {
      const names = [...byPath.keys()]
        .filter((one) => one.startsWith(`${path}/`))
        .map((one) => one.slice(path.length + 1));
      return names.length === 0 ? null : [...new Set(names.map((one) => one.split("/", 1)[0] ?? ""))];
    },
    modesOf: (path) => modes[path] ?? null,
    factsOf: (path) => facts[path] ?? null,
    nowMs,
  };
}

const nothing: AuditRequest = {
  odooConf: null,
  compose: [],
  pgHba: null,
  postgresqlConf: null,
  pgDsn: null,
  nginx: [],
  systemd: [],
  fail2ban: [],
  backup: [],
  hosts: [],
  databases: [],
  machine: { cores: 4, memoryBytes: 16 * 2 ** 30, from: "given" },
  gateway: null,
  variables: new Map(),
};

/** Looks at files of a disk in memory. */
export function look(
  request: Partial<AuditRequest>,
  files: Readonly<Record<string, string>>,
  modes: Readonly<Record<string, Modes>> = {},
  facts: Readonly<Record<string, FileFacts>> = {},
): Promise<AuditResult> {
  return audit({ ...nothing, ...request }, diskOf(files, modes, facts), allIds);
}

/** `fail 12`: outcome and line of each finding of a check. */
export function seen({ findings }: AuditResult, id: string): readonly string[] {
  return findings
    .filter((one) => one.id === id)
    .map(({ outcome, place }) => `${outcome}${place?.line == null ? "" : ` ${place.line}`}`);
}

/** A PostgreSQL as every check would have it. */
export const goodServer: ServerFacts = {
  version: 170_002,
  settings: new Map([
    ["ssl", "on"],
    ["password_encryption", "scram-sha-256"],
    ["log_connections", "on"],
    ["log_disconnections", "on"],
    ["log_min_duration_statement", "1000"],
  ]),
  database: "prod",
  isPublicOpen: false,
  encrypted: true,
  proof: "scram-sha-256",
  role: {
    name: "odoo",
    isSuperuser: false,
    mayCreateDatabases: false,
    mayCreateRoles: false,
    mayReplicate: false,
    bypassesRowSecurity: false,
    powers: [],
    passwordKind: "scram-sha-256",
  },
  databases: [{ name: "prod", owner: "postgres", isOpen: true }],
};
