import { remembered } from "../base/remembered.ts";
import type { RequestFacts } from "../message/facts.ts";
import { firstField } from "../message/fields.ts";
import { isCrawler } from "./crawlers.ts";
import type { LaneName } from "./lanes.ts";

type LaneFacts = Pick<RequestFacts, "paths" | "query" | "fields">;

/**
 * The lane of a request. `isLogin`: a password or code is tried in it; `isKnown`: its session was seen to log in. What a client
 * only claims (a cookie nobody knows, a User-Agent) leads to no higher lane than a stranger's.
 */
export function laneOf(facts: LaneFacts, isLogin: boolean, isKnown: boolean): LaneName {
  const at = placeOf(facts.paths);
  if (at.isHealth) return "health";
  if (at.isReport || facts.query.includes("report_type=pdf")) return "report";
  if (isLogin || at.isLoginPage) return "login";
  if (isKnown) return at.isPortal ? "api" : "user";
  if (at.isApi) return "api";
  return isCrawler(firstField(facts.fields, "user-agent") ?? "") ? "crawler" : "site";
}

/** What the path alone says. */
interface Place {
  readonly isHealth: boolean;
  /**
   * Prints a PDF: the report routes; portal documents say so in their query (`report_type=pdf`). Not the bar codes: wkhtmltopdf asks for
   * them while a report holds its place, and they must not wait for it.
   */
  readonly isReport: boolean;
  readonly isLoginPage: boolean;
  readonly isPortal: boolean;
  readonly isApi: boolean;
}

const placeOf = remembered(
  (paths: readonly string[]): Place => ({
    isHealth: paths.some((path) => path === "/web/health" || path === "/websocket/health"),
    isReport: paths.some((path) => below(path, "/report") && !below(path, "/report/barcode")),
    isLoginPage: paths.some((path) => path === "/web/login" || path === "/web/login/totp"),
    isPortal: paths.some((path) => below(path, "/my")),
    isApi: paths.some((path) => apiPaths.some((start) => below(path, start))),
  }),
);

/** Programs' doors, and those of web clients whose session was not seen yet. */
const apiPaths = [
  "/xmlrpc",
  "/jsonrpc",
  "/json",
  "/web/dataset",
  "/web/session",
  "/odoo",
  "/web/action",
  "/my",
];

function below(path: string, start: string): boolean {
  return path.startsWith(start) && (path.length === start.length || path[start.length] === "/");
}
