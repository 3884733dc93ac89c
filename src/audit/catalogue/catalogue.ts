import { backupChecks } from "./backup.ts";
import { composeChecks } from "./compose.ts";
import { confChecks } from "./conf.ts";
import type { AuditCheck } from "./entry.ts";
import { fail2banChecks } from "./fail2ban.ts";
import { nginxChecks } from "./nginx.ts";
import { odooChecks } from "./odoo.ts";
import { hbaChecks, pgChecks, pgConfChecks } from "./postgres.ts";
import { systemdChecks } from "./systemd.ts";

/** The groups of the documentation, each with what it reads. */
export const auditGroups: readonly (readonly [title: string, checks: readonly AuditCheck[]])[] = [
  ["odoo.conf (--odoo-conf)", confChecks],
  ["Compose files (--compose)", composeChecks],
  ["pg_hba.conf (--pg-hba)", hbaChecks],
  ["postgresql.conf (--postgresql-conf)", pgConfChecks],
  ["A running PostgreSQL (--pg-dsn)", pgChecks],
  ["The database of an Odoo (--pg-dsn)", odooChecks],
  ["nginx sites (--nginx)", nginxChecks],
  ["Units of systemd (--systemd)", systemdChecks],
  ["Jails and filters of fail2ban (--fail2ban)", fail2banChecks],
  ["Backups (--backup)", backupChecks],
];

/** Every check of the inside view, in the order of the report. */
export const auditChecks: readonly AuditCheck[] = auditGroups.flatMap(([, checks]) => checks);
