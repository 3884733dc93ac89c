import { endOfSeriesMs, seriesOf } from "../../base/odoo-series.ts";
import { formatBytes } from "../../base/units.ts";
import type { AuditContext } from "../context.ts";
import { type Note, note, quoted } from "../note.ts";
import type { OdooFacts } from "./read.ts";

/** Odoo's own limit of an upload where nothing is set (odoo/http.py, DEFAULT_MAX_CONTENT_LENGTH). */
const uploadBytesUsual = 128 * 1024 * 1024;

/** What the system parameters and installed modules say. */
export function settings(facts: OdooFacts, context: AuditContext, nowMs: number): readonly Note[] {
  return [
    version(facts, nowMs),
    demoData(facts),
    auditLog(facts),
    ...baseUrl(facts, context),
    reportUrl(facts),
    uploadLimit(facts, context),
  ];
}

function version({ version: text }: OdooFacts, nowMs: number): Note {
  const id = "odoo-version";
  const series = seriesOf(text);
  if (series === null) return note(id, "skipped", `${quoted(text)} is no version this program knows`);
  const end = endOfSeriesMs(series);
  const day = new Date(end).toISOString().slice(0, 7);
  return nowMs >= end
    ? note(id, "fail", `Odoo ${series} has had no fixes since about ${day}`)
    : note(id, "pass", `Odoo ${series}, with fixes until about ${day}`);
}

function demoData({ hasDemoData }: OdooFacts): Note {
  return hasDemoData
    ? note("odoo-demo-data", "fail", "the database was made with demonstration data")
    : note("odoo-demo-data", "pass", "no demonstration data");
}

function auditLog({ modules }: OdooFacts): Note {
  return modules.has("auditlog")
    ? note("odoo-audit-log", "pass", "auditlog is installed")
    : note("odoo-audit-log", "warn", "auditlog is not installed");
}

function baseUrl({ parameters }: OdooFacts, { hosts }: AuditContext): readonly Note[] {
  const id = "odoo-base-url";
  const text = parameters.get("web.base.url") ?? "";
  const url = URL.canParse(text) ? new URL(text) : null;
  const shown = `web.base.url = ${quoted(text)}`;
  if (url === null || url.protocol !== "https:") return [note(id, "fail", `${shown} is no https address`)];
  if (hosts.length > 0 && !hosts.includes(url.hostname))
    return [note(id, "fail", `${shown}, and that host is not served (${hosts.slice(0, 5).join(", ")})`)];
  if (/^(?:|false|0)$/i.test(parameters.get("web.base.url.freeze") ?? ""))
    return [
      note(
        id,
        "warn",
        `${shown}, but web.base.url.freeze is not set: the next administrator's log-in changes it`,
      ),
    ];
  return [note(id, "pass", `${shown}, and it stays`)];
}

function reportUrl({ parameters }: OdooFacts): Note {
  const text = parameters.get("report.url") ?? "";
  return text === ""
    ? note("odoo-report-url", "warn", "report.url is not set: PDFs fetch their styles from web.base.url")
    : note("odoo-report-url", "pass", `report.url = ${quoted(text)}`);
}

function uploadLimit({ parameters }: OdooFacts, { gateway }: AuditContext): Note {
  const id = "odoo-upload-limit";
  const text = parameters.get("web.max_file_upload_size");
  const bytes = text === undefined ? uploadBytesUsual : Number(text);
  if (!Number.isSafeInteger(bytes) || bytes < 0)
    return note(id, "fail", `web.max_file_upload_size = ${quoted(text ?? "")} is no number of bytes`);
  const shown = `Odoo takes uploads of ${formatBytes(bytes)}${text === undefined ? " (web.max_file_upload_size is not set)" : ""}`;
  if (gateway === null)
    return note(
      id,
      "skipped",
      `${shown}; the gateway's settings are not here (environment, .env, gateway.yaml)`,
    );
  return bytes > gateway.bodyBytesMax
    ? note(id, "fail", `${shown}, the gateway ${formatBytes(gateway.bodyBytesMax)} (BODY_MAX)`)
    : note(id, "pass", `${shown}, the gateway ${formatBytes(gateway.bodyBytesMax)}`);
}
