import { parseIpSet } from "../base/ip-set.ts";
import { parseDurationMs } from "../base/units.ts";
import type { Closed } from "../guard/maintenance.ts";
import { queryProblem } from "./query.ts";

/** What the admin listener may do with maintenance. */
export interface AdminMaintenance {
  /** What holds now; null: the site is open. */
  current(): Closed | null;
  /** Answers why a restart would forget it; null: it would not. */
  turnOn(closed: Closed): string | null;
  turnOff(): string | null;
  wallMs(): number;
  /** A key for browsers that are to be let through. */
  newPassKey(): string;
  /** What a page's address needs behind it to show that key. */
  linkOf(passKey: string): string;
  readonly bounds: {
    readonly messageCharsMax: number;
    readonly networksMax: number;
    readonly msMax: number;
  };
}

export interface MaintenanceReply {
  readonly status: number;
  readonly body: object;
}

/**
 * `GET /maintenance` tells, `POST /maintenance?message=M&for=30m&until=…&allow=N&allow=N&link=yes` closes the site, `DELETE /maintenance` opens
 * it. Changes need the field `X-Odoo-Gateway: maintenance` (admin/bans says why). What a restart would forget is said in `warning`.
 */
export function answerMaintenance(
  maintenance: AdminMaintenance,
  method: string,
  target: string,
  field: string | readonly string[] | undefined,
): MaintenanceReply {
  if (method === "GET" || method === "HEAD") return told(maintenance, maintenance.current(), null);
  if (method !== "POST" && method !== "DELETE") return problem(405, "only GET, POST and DELETE");
  if (field !== "maintenance") return problem(403, "send the field X-Odoo-Gateway: maintenance");
  if (method === "DELETE") {
    const wasOn = maintenance.current() !== null;
    const trouble = maintenance.turnOff();
    const warning = trouble === null ? null : `a restart would close the site again: ${trouble}`;
    const reply = told(maintenance, null, warning);
    return { ...reply, body: { ...reply.body, wasOn } };
  }
  const order = readOrder(maintenance, new URLSearchParams(target.split("?", 2)[1] ?? ""));
  if (typeof order === "string") return problem(400, order);
  const trouble = maintenance.turnOn(order);
  return told(maintenance, order, trouble === null ? null : `a restart would open the site: ${trouble}`);
}

function readOrder(
  { bounds, wallMs, newPassKey }: AdminMaintenance,
  query: URLSearchParams,
): Closed | string {
  const stray = queryProblem(query, {
    message: "once",
    for: "once",
    until: "once",
    allow: "often",
    link: "once",
  });
  if (stray !== null) return stray;
  const message = query.get("message") ?? "";
  if (message.length > bounds.messageCharsMax)
    return `message must not be longer than ${bounds.messageCharsMax} characters`;
  if (/[\u0000-\u001f\u007f]/.test(message)) return "message must be one line without control characters";
  const until = readEnd(query.get("for"), query.get("until"), wallMs(), bounds.msMax);
  if (typeof until === "string") return until;
  const networks = query.getAll("allow");
  if (networks.length > bounds.networksMax) return `at most ${bounds.networksMax} networks can be allowed`;
  const allow = parseIpSet(networks);
  if (!allow.ok) return `allow: ${allow.error.join("; ")}`;
  const link = query.get("link") ?? "no";
  if (link !== "yes" && link !== "no") return "link must be yes or no";
  return { message, untilWallMs: until, allow: allow.value, passKey: link === "yes" ? newPassKey() : null };
}

function readEnd(
  length: string | null,
  moment: string | null,
  nowWallMs: number,
  msMax: number,
): number | null | string {
  if (length !== null && moment !== null) return "say for or until, not both";
  if (length !== null) {
    const ms = parseDurationMs(length);
    if (ms === null || ms <= 0 || ms > msMax) return 'for must be a duration up to 30d, like "30m"';
    return nowWallMs + ms;
  }
  if (moment === null) return null;
  const at = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?(?:Z|[+-]\d\d:\d\d)$/.test(moment)
    ? Date.parse(moment)
    : Number.NaN;
  if (Number.isNaN(at)) return 'until must be a moment with its zone, like "2026-12-01T18:00Z"';
  if (at <= nowWallMs) return "until has passed";
  return at - nowWallMs > msMax ? "until must be within 30 days" : at;
}

function told({ linkOf }: AdminMaintenance, closed: Closed | null, warning: string | null): MaintenanceReply {
  const more = warning === null ? {} : { warning };
  if (closed === null) return { status: 200, body: { maintenance: "off", ...more } };
  const { message, untilWallMs, allow, passKey } = closed;
  const until = untilWallMs === null ? null : new Date(untilWallMs).toISOString();
  const link = passKey === null ? {} : { link: linkOf(passKey) };
  return { status: 200, body: { maintenance: "on", message, until, allow: allow.texts, ...link, ...more } };
}

function problem(status: number, error: string): MaintenanceReply {
  return { status, body: { error } };
}
