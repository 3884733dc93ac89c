import { type Answer, page, plainError, redirect } from "./answer.ts";
import type { DemoContext, DemoRequest, Handler } from "./context.ts";
import { ACCOUNT_ROUTES } from "./routes-account.ts";
import { asksUpgrade, BUS_ROUTES } from "./routes-bus.ts";
import { DATABASE_ROUTES } from "./routes-database.ts";
import { FAULT_ROUTES } from "./routes-fault.ts";
import { assets, content, FILE_ROUTES, image, staticFile } from "./routes-files.ts";
import { LOGIN_ROUTES } from "./routes-login.ts";
import { callKw, jsonTwo, RPC_ROUTES } from "./routes-rpc.ts";
import { changeLanguage, notFound, payment, report, WEB_ROUTES, webClient } from "./routes-web.ts";
import { breaksOdoo, mergeSlashes, readLanguage } from "./target.ts";

/** Body limit of Odoo's `web.max_file_upload_size`, by declared length; the body is read to its end first. */
const UPLOAD_BYTES_MAX = 128 * 1024 * 1024;

const EXACT = new Map<string, { readonly handler: Handler; readonly since: number }>();
for (const [path, handler, since] of [
  ...WEB_ROUTES,
  ...LOGIN_ROUTES,
  ...ACCOUNT_ROUTES,
  ...RPC_ROUTES,
  ...DATABASE_ROUTES,
  ...FILE_ROUTES,
  ...BUS_ROUTES,
  ...FAULT_ROUTES,
] as readonly (readonly [string, Handler, number?])[]) {
  EXACT.set(path, { handler, since: since ?? 0 });
}

interface PrefixRoute {
  readonly prefix: string;
  readonly handler: Handler;
  readonly since: number;
}

const PREFIXES: readonly PrefixRoute[] = [
  { prefix: "/web/assets/", handler: assets, since: 0 },
  { prefix: "/web/image/", handler: image, since: 0 },
  { prefix: "/web/content/", handler: content, since: 0 },
  { prefix: "/web/dataset/call_kw", handler: callKw, since: 0 },
  { prefix: "/web/dataset/call_button", handler: callKw, since: 0 },
  { prefix: "/json/2/", handler: jsonTwo, since: 19 },
  { prefix: "/json/1/", handler: jsonTwo, since: 18 },
  { prefix: "/doc-bearer/", handler: jsonTwo, since: 19 },
  { prefix: "/odoo/", handler: webClient, since: 18 },
  { prefix: "/scoped_app/", handler: webClient, since: 18 },
  { prefix: "/report/", handler: report, since: 0 },
  { prefix: "/payment/", handler: payment, since: 0 },
  { prefix: "/website/lang/", handler: changeLanguage, since: 0 },
];

interface Route {
  readonly handler: Handler;
  readonly static: boolean;
}

const STATIC: Route = { handler: staticFile, static: true };

/** The handler of a path without language segment and without trailing slash. */
function findRoute(path: string, context: DemoContext): Route | null {
  const exact = EXACT.get(path);
  if (exact !== undefined)
    return exact.since <= context.version ? { handler: exact.handler, static: false } : null;
  if (path === "/web/image") return { handler: image, static: false };
  if (/^\/[\w-]+\/static\/./.test(path)) return STATIC;
  const found = PREFIXES.find((one) => path.startsWith(one.prefix) && one.since <= context.version);
  return found === undefined ? null : { handler: found.handler, static: false };
}

function internalError(): Answer {
  return page(
    500,
    "<!doctype html>\n<html lang=en>\n<title>500 Internal Server Error</title>\n<h1>Internal Server Error</h1>\n<p>The server encountered an internal error and was unable to complete your request. Either the server is overloaded or there is an error in the application.</p>\n",
  );
}

function isSafe(method: string): boolean {
  return method !== "POST";
}

/** The way through the application: Odoo's reading of the path, then the handler. */
export async function route(request: DemoRequest, rawPath: string, context: DemoContext): Promise<Answer> {
  const answer = await dispatch(request, rawPath, context);
  if (answer.kind === "plain" && answer.website && request.port === "bus") return internalError();
  return answer;
}

async function dispatch(request: DemoRequest, rawPath: string, context: DemoContext): Promise<Answer> {
  if ((request.fields.get("HTTP_HOST") ?? "") === "" && request.port === "web") return internalError();
  if (breaksOdoo(rawPath)) return internalError();
  const declared = Number(request.fields.get("CONTENT_LENGTH") ?? 0);
  if (declared > UPLOAD_BYTES_MAX && !rawPath.startsWith("/web/database/") && context.version >= 17) {
    return plainError(413, "The data value transmitted exceeds the capacity limit.");
  }
  const merged = mergeSlashes(rawPath);
  const language = readLanguage(rawPath, context.languages);
  if (language === null && rawPath.includes("//") && findRoute(merged, context) !== null) {
    return redirect(308, absolute(request, merged));
  }
  const direct = rawPath.includes("//") ? null : findRoute(merged, context);
  if (direct !== null) return run(direct, request, merged, context);
  if (language === null) return notFound(request, context);
  const rest = mergeSlashes(language.rest);
  const query = request.query === "" ? "" : `?${request.query}`;
  if (isSafe(request.method)) {
    if (language.kind === "default") return redirect(303, rest + query);
    if (language.kind === "alias") return redirect(301, `/${language.code}${rest}${query}`);
    if (rawPath.includes("//")) return redirect(301, `/${language.code}${rest}${query}`);
  } else if (language.kind === "alias") return notFound(request, context);
  const found = findRoute(rest, context);
  return found === null ? notFound(request, context) : run(found, request, rest, context);
}

/** The one absolute Location of Odoo: Werkzeug's slash merging. */
function absolute(request: DemoRequest, path: string): string {
  const query = request.query === "" ? "" : `?${request.query}`;
  return `${request.effective.scheme}://${request.effective.host}${encodeURI(path)}${query}`;
}

function run(
  found: Route,
  request: DemoRequest,
  path: string,
  context: DemoContext,
): Answer | Promise<Answer> {
  // Odoo refuses upgrades anywhere but on websocket routes; static files never look.
  if (!found.static && path !== "/websocket" && asksUpgrade(request)) {
    return plainError(400, "Cannot upgrade to websocket on this route");
  }
  return found.handler(request.path === path ? request : { ...request, path }, context);
}
