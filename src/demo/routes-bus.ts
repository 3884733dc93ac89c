import { type Answer, json, page, plainError } from "./answer.ts";
import { type DemoContext, type DemoRequest, type Handler, openSession, workerVersion } from "./context.ts";
import { jsonRpc, rpcResult, sessionExpired } from "./json-rpc.ts";
import { sessionCookie } from "./sessions.ts";
import { acceptKey } from "./websocket.ts";

/** Do the fields ask for a WebSocket: `Upgrade: websocket` with a Connection that lists `upgrade`. */
export function asksUpgrade(request: DemoRequest): boolean {
  const upgrade = (request.fields.get("HTTP_UPGRADE") ?? "").trim().toLowerCase();
  return upgrade === "websocket" && connectionHasUpgrade(request);
}

function connectionHasUpgrade(request: DemoRequest): boolean {
  const tokens = (request.fields.get("HTTP_CONNECTION") ?? "").toLowerCase().split(",");
  return tokens.some((token) => token.trim() === "upgrade");
}

const NEEDED = [
  "HOST",
  "CONNECTION",
  "UPGRADE",
  "SEC_WEBSOCKET_KEY",
  "SEC_WEBSOCKET_VERSION",
  "ORIGIN",
] as const;

/** The handshake as Odoo 19 checks it; Origin must exist but may be any. */
const websocket: Handler = (request, context) => {
  if (request.method !== "GET") return plainError(400, "Bad request");
  if (!asksUpgrade(request)) return plainError(400, "Invalid Upgrade or Connection header");
  // The prefork port has no socket to hand over.
  if (request.port === "web" && !context.threaded) return internalError();
  const missing = NEEDED.filter((name) => (request.fields.get(`HTTP_${name}`) ?? "") === "");
  if (missing.length > 0) {
    const names = missing.map((name) => name.toLowerCase().replaceAll("_", "-")).join(", ");
    return plainError(400, `Empty or missing header(s): ${names}`);
  }
  // Meant to be 426, is 500 on Odoo 19.
  if (request.fields.get("HTTP_SEC_WEBSOCKET_VERSION")?.trim() !== "13") return internalError();
  const key = (request.fields.get("HTTP_SEC_WEBSOCKET_KEY") ?? "").trim();
  if (!/^[A-Za-z0-9+/]{22}==$/.test(key))
    return plainError(400, "Sec-WebSocket-Key should be of length 16 once decoded");
  const { session } = openSession(request, context, false);
  return {
    kind: "upgrade",
    headers: [
      ["Upgrade", "websocket"],
      ["Connection", "Upgrade"],
      ["Sec-WebSocket-Accept", acceptKey(key)],
      ["Access-Control-Allow-Origin", "*"],
      ["Set-Cookie", sessionCookie(session.sid, context.wallMs())],
    ],
    take: (socket, received) => context.hub.take(socket, received, session.sid, isOutdated(request, context)),
  };
};

/** From 18 on; without a User-Agent the version is not looked at. */
function isOutdated(request: DemoRequest, context: DemoContext): boolean {
  if (context.version < 18 || !request.fields.has("HTTP_USER_AGENT")) return false;
  return request.params.get("version") !== workerVersion(context);
}

function internalError(): Answer {
  return page(
    500,
    "<!doctype html>\n<html lang=en>\n<title>500 Internal Server Error</title>\n<h1>Internal Server Error</h1>\n<p>The server encountered an internal error and was unable to complete your request. Either the server is overloaded or there is an error in the application.</p>\n",
  );
}

const CORS = [["Access-Control-Allow-Origin", "*"]] as const;

/** The first poll marks the session; a later one without it is "session expired" (code 100). */
const peek = jsonRpc((call, request, context) => {
  const { session, newCookies } = openSession(request, context, false);
  if (call.params["is_first_poll"] === true) session.polled = true;
  if (!session.polled) return sessionExpired(call);
  return rpcResult(call, { channels: [], notifications: [] }, [...CORS, ...newCookies]);
});

const noted = jsonRpc((call) => rpcResult(call, null, CORS));

export const BUS_ROUTES: readonly (readonly [path: string, handler: Handler])[] = [
  ["/websocket", websocket],
  ["/websocket/health", () => json({ status: "pass" }, [["Cache-Control", "no-store"]])],
  ["/websocket/peek_notifications", peek],
  ["/websocket/on_closed", noted],
  ["/websocket/update_bus_presence", noted],
  ["/bus/has_missed_notifications", noted],
];
