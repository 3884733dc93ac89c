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
  const { paths } = facts;
  if (paths.some((path) => path === "/web/health" || path === "/websocket/health")) return "health";
  if (isReport(facts)) return "report";
  if (isLogin || paths.some(isLoginPage)) return "login";
  if (isKnown) return paths.some((path) => below(path, "/my")) ? "api" : "user";
  if (paths.some((path) => apiPaths.some((start) => below(path, start)))) return "api";
  return isCrawler(firstField(facts.fields, "user-agent") ?? "") ? "crawler" : "site";
}

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

function isLoginPage(path: string): boolean {
  return path === "/web/login" || path === "/web/login/totp";
}

/**
 * What prints a PDF: the report routes, and portal documents with `report_type=pdf`. Not the bar codes: wkhtmltopdf asks for them while a
 * report holds its place, and they must not wait for it.
 */
function isReport({ paths, query }: LaneFacts): boolean {
  if (paths.some((path) => below(path, "/report") && !below(path, "/report/barcode"))) return true;
  return query.includes("report_type=pdf");
}

function below(path: string, start: string): boolean {
  return path.startsWith(start) && (path.length === start.length || path[start.length] === "/");
}
