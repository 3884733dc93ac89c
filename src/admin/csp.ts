import type { CspEntry } from "../guard/csp-reports.ts";

/** What browsers reported, as an operator sees it. */
export interface CspFigures {
  /** What the policy does with what it does not allow; `off`: nobody is asked for reports. */
  readonly mode: "report" | "enforce" | "off";
  readonly preset: string;
  /** Since when is counted. */
  readonly sinceWallMs: number;
  /** CSP_SCRIPT_SRC as it holds now. */
  readonly scriptSources: readonly string[];
  /** `allowed`: the policy of now lets it pass. */
  readonly entries: readonly (CspEntry & { readonly allowed: boolean })[];
  /** More clients of an entry are not told apart. */
  readonly clientsMax: number;
  readonly ignored: number;
  readonly turnedAway: number;
}

/** What the admin listener may do with reports of the content security policy. */
export interface AdminCsp {
  figures(): CspFigures;
  /** Answers how many entries were forgotten. */
  clear(): number;
}

/** No page of another site can send this field without being asked first, and we do not answer the asking. */
export const cspField = "x-odoo-gateway";

/** `GET /csp` lists what was reported; `POST /csp/clear` with the field `X-Odoo-Gateway: csp` forgets it. */
export function answerCsp(
  csp: AdminCsp,
  method: string,
  path: string,
  field: string | readonly string[] | undefined,
): { readonly status: number; readonly body: object } {
  if (path === "/csp") {
    if (method !== "GET" && method !== "HEAD") return { status: 405, body: { error: "only GET and HEAD" } };
    return { status: 200, body: shown(csp.figures()) };
  }
  if (method !== "POST") return { status: 405, body: { error: "only POST" } };
  if (field !== "csp") return { status: 403, body: { error: "send the field X-Odoo-Gateway: csp" } };
  return { status: 200, body: { cleared: csp.clear() } };
}

function shown({ sinceWallMs, entries, ...rest }: CspFigures): object {
  return {
    ...rest,
    since: moment(sinceWallMs),
    entries: entries.map(({ firstWallMs, lastWallMs, ...entry }) => ({
      ...entry,
      first: moment(firstWallMs),
      last: moment(lastWallMs),
    })),
  };
}

function moment(wallMs: number): string {
  return new Date(wallMs).toISOString();
}
