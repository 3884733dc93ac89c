import { type Ip, ipKey64, parseIp } from "../base/ip.ts";
import { parseDurationMs } from "../base/units.ts";
import { queryProblem } from "./query.ts";

/** What the admin listener may do with bans. Addresses as text are `ipKey64`. */
export interface AdminBans {
  list(): readonly {
    readonly address: string;
    readonly untilWallMs: number;
    readonly reason: string;
    readonly times: number;
  }[];
  /** Answers the end of the ban, and why it has no effect; null: it has. */
  add(ip: Ip, lengthMs: number): { readonly untilWallMs: number; readonly warning: string | null };
  /** Answers whether there was one. */
  remove(address: string): boolean;
}

/** The longest ban an operator may set by hand. */
export const operatorBanMsMax = 365 * 24 * 3_600_000;
const operatorBanDefault = "24h";
/** No page of another site can send this field without being asked first, and we do not answer the asking. */
export const bansField = "x-odoo-gateway";

export interface BansAnswer {
  readonly status: number;
  readonly body: object;
}

/**
 * `GET /bans` lists, `POST /bans?address=A&for=2h` bans, `DELETE /bans?address=A` lifts. Changes need the field
 * `X-Odoo-Gateway: bans`: without a password, that is what keeps a page in an administrator's browser from asking. A ban that has
 * no effect as things are says so in `warning`.
 */
export function answerBans(
  bans: AdminBans,
  method: string,
  target: string,
  field: string | readonly string[] | undefined,
): BansAnswer {
  if (method === "GET" || method === "HEAD") {
    const list = bans.list().map(({ address, untilWallMs, reason, times }) => ({
      address,
      until: new Date(untilWallMs).toISOString(),
      reason,
      times,
    }));
    return { status: 200, body: { bans: list } };
  }
  if (method !== "POST" && method !== "DELETE")
    return { status: 405, body: { error: "only GET, POST and DELETE" } };
  if (field !== "bans") return { status: 403, body: { error: "send the field X-Odoo-Gateway: bans" } };
  const query = new URLSearchParams(target.split("?", 2)[1] ?? "");
  const stray = queryProblem(
    query,
    method === "POST" ? { address: "once", for: "once" } : { address: "once" },
  );
  if (stray !== null) return { status: 400, body: { error: stray } };
  const text = query.get("address") ?? "";
  const ip = parseIp(text.endsWith("/64") ? text.slice(0, -3) : text);
  if (ip === null) return { status: 400, body: { error: "address must be one IPv4 or IPv6 address" } };
  const address = ipKey64(ip);
  if (method === "DELETE") {
    const lifted = bans.remove(address);
    return {
      status: lifted ? 200 : 404,
      body: lifted ? { lifted: address } : { error: `${address} is not banned` },
    };
  }
  const lengthMs = parseDurationMs(query.get("for") ?? operatorBanDefault);
  if (lengthMs === null || lengthMs <= 0 || lengthMs > operatorBanMsMax)
    return { status: 400, body: { error: 'for must be a duration from 1ms to 1y, like "2h"' } };
  const { untilWallMs, warning } = bans.add(ip, lengthMs);
  const more = warning === null ? {} : { warning };
  return { status: 200, body: { address, until: new Date(untilWallMs).toISOString(), ...more } };
}
