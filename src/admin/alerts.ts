import type { AlertState, TestResult } from "../alert/alerts.ts";
import type { Result } from "../base/result.ts";

/** What the admin listener may do with alerts. */
export interface AdminAlerts {
  state(): AlertState;
  /** Ten seconds at most; an error is why there was nobody to send it to. */
  test(): Promise<Result<readonly TestResult[], string>>;
}

/** No page of another site can send this field without being asked first, and we do not answer the asking. */
export const alertsField = "x-odoo-gateway";

/**
 * `GET /alerts` tells where messages go (without what is secret of it), what became of them and what people were told; `POST /alerts/test`
 * with the field `X-Odoo-Gateway: alerts` sends a test to each address and answers what came back.
 */
export async function answerAlerts(
  alerts: AdminAlerts,
  method: string,
  path: string,
  field: string | readonly string[] | undefined,
): Promise<{ readonly status: number; readonly body: object }> {
  if (path === "/alerts") {
    if (method !== "GET" && method !== "HEAD") return { status: 405, body: { error: "only GET and HEAD" } };
    return { status: 200, body: shown(alerts.state()) };
  }
  if (method !== "POST") return { status: 405, body: { error: "only POST" } };
  if (field !== "alerts") return { status: 403, body: { error: "send the field X-Odoo-Gateway: alerts" } };
  const tested = await alerts.test();
  return tested.ok
    ? { status: 200, body: { results: tested.value } }
    : { status: 409, body: { error: tested.error } };
}

function shown({ hooks, firing, counts }: AlertState) {
  const moment = (wallMs: number) => new Date(wallMs).toISOString();
  return {
    hooks: hooks.map(({ last, ...one }) => ({
      ...one,
      last: last === null ? null : { at: moment(last.wallMs), words: last.words, ok: last.ok },
    })),
    firing: firing.map(({ name, severity, sinceWallMs, summary, remedy }) => ({
      name,
      severity,
      since: moment(sinceWallMs),
      summary,
      remedy,
    })),
    messages: counts,
  };
}
