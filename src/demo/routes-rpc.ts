import { type Answer, bytes, json, plainError } from "./answer.ts";
import { type DemoContext, type DemoRequest, type Handler, openSession, versionText } from "./context.ts";
import {
  accessDenied,
  isRecord,
  jsonRpc,
  type RpcCall,
  rpcError,
  rpcResult,
  sessionExpired,
} from "./json-rpc.ts";
import { ownPasswordCall } from "./routes-account.ts";
import { authenticate } from "./routes-login.ts";
import { checkPassword, type DemoUser, userById } from "./users.ts";
import { readXmlRpc, xmlFault, xmlResult } from "./xml-rpc.ts";

/** The outcome of a service call, before it is written as XML or JSON. */
type Outcome =
  | { readonly kind: "result"; readonly value: unknown }
  | { readonly kind: "denied" }
  | { readonly kind: "fault"; readonly message: string };

const denied: Outcome = { kind: "denied" };

function result(value: unknown): Outcome {
  return { kind: "result", value };
}

function unknownMethod(service: string, method: string): Outcome {
  const message = `Traceback (most recent call last):\n  File "/opt/odoo/odoo/http.py", line 376, in dispatch_rpc\nException: Method not found: ${service}.${method}\n`;
  return { kind: "fault", message };
}

export function versionInfo(context: DemoContext): Record<string, unknown> {
  const info = [context.version, 0, 0, "final", 0, ""];
  return {
    server_version: versionText(context),
    server_version_info: info,
    server_serie: versionText(context),
    protocol_version: 1,
  };
}

async function callCommon(
  method: string,
  args: readonly unknown[],
  request: DemoRequest,
  context: DemoContext,
): Promise<Outcome> {
  switch (method) {
    case "version":
      return result(versionInfo(context));
    case "about":
      return result("See http://openerp.com");
    case "login":
    case "authenticate": {
      const user = await authenticate(request, context, String(args[1]), String(args[2]), false);
      // A second factor refuses the password over RPC.
      return result(user === null || user.totp !== null ? false : user.uid);
    }
    default:
      return unknownMethod("common", method);
  }
}

async function callObject(
  method: string,
  args: readonly unknown[],
  request: DemoRequest,
  context: DemoContext,
): Promise<Outcome> {
  if (method !== "execute" && method !== "execute_kw") return unknownMethod("object", method);
  const user = userById(context.users, Number(args[1]));
  if (user === null || user.totp !== null) return denied;
  const found = await authenticate(request, context, user.login, String(args[2]), false);
  return found === null ? denied : result(modelResult(String(args[4])));
}

function modelResult(method: string): unknown {
  if (method === "search_count") return 3;
  if (method === "search") return [1, 2, 3];
  if (method.includes("read")) return [{ id: 1, name: "My Company" }];
  return true;
}

/** The methods of the `db` service that ask no password, closed list or not. */
function callDb(method: string, args: readonly unknown[], context: DemoContext): Outcome {
  switch (method) {
    case "list":
      return context.listDb ? result(["prod"]) : denied;
    case "db_exist":
      return result(args[0] === "prod" || args[0] === "postgres");
    case "server_version":
      return result(versionText(context));
    case "list_lang":
      return result([
        ["en_US", "English (US)"],
        ["fr_FR", "French / Français"],
      ]);
    case "list_countries":
      return args[0] === context.masterPassword
        ? result([
            ["fr", "France"],
            ["us", "United States"],
          ])
        : denied;
    case "dump":
    case "drop":
    case "create_database":
    case "rename":
    case "duplicate_database":
    case "restore":
    case "migrate_databases":
    case "change_admin_password":
      return context.listDb && args[0] === context.masterPassword ? result(true) : denied;
    default:
      return unknownMethod("db", method);
  }
}

async function callService(
  service: string,
  method: string,
  args: readonly unknown[],
  request: DemoRequest,
  context: DemoContext,
): Promise<Outcome> {
  if (service === "common") return callCommon(method, args, request, context);
  if (service === "object") return callObject(method, args, request, context);
  if (service === "db") return callDb(method, args, context);
  return unknownMethod(service, method);
}

/** `/xmlrpc/<service>` and `/xmlrpc/2/<service>`: any method runs it. */
export const xmlRpc: Handler = async (request, context) => {
  const second = request.path.startsWith("/xmlrpc/2/");
  const service = request.path.slice(request.path.lastIndexOf("/") + 1);
  const reply = (text: string): Answer => bytes(200, second ? "text/xml" : "text/xml; charset=utf-8", text);
  if (
    /^(?:application\/x-www-form-urlencoded|multipart\/form-data)/i.test(
      request.fields.get("CONTENT_TYPE") ?? "",
    )
  ) {
    return reply(xmlFault(1, "Traceback: no element found: line 1, column 0"));
  }
  const call = readXmlRpc(request.body.bytes);
  if (call === null) return reply(xmlFault(1, "Traceback: no element found: line 1, column 0"));
  const outcome = await callService(service, call.method, call.params, request, context);
  switch (outcome.kind) {
    case "result":
      return reply(xmlResult(outcome.value));
    case "denied":
      return reply(second ? xmlFault(3, "Access Denied") : xmlFault("AccessDenied", "Access Denied"));
    case "fault":
      return reply(xmlFault(1, outcome.message));
  }
};

const jsonRpcService = jsonRpc(async (call, request, context) => {
  const { service, method, args } = call.params;
  const list: readonly unknown[] = Array.isArray(args) ? args : [];
  const outcome = await callService(String(service), String(method), list, request, context);
  switch (outcome.kind) {
    case "result":
      return rpcResult(call, outcome.value);
    case "denied":
      return accessDenied(call, context);
    case "fault":
      return rpcError(call, context, "builtins.Exception", outcome.message);
  }
});

/** `/web/dataset/call_kw…`: a session is needed; any user may try others' passwords with `authenticate`. */
export const callKw: Handler = jsonRpc(async (call, request, context) => {
  const { user } = openSession(request, context, false);
  if (user === null) return sessionExpired(call);
  const [, , , , pathModel, pathMethod] = request.path.split("/");
  const model = String(call.params["model"] ?? pathModel);
  const method = String(call.params["method"] ?? pathMethod);
  if (model === "res.users" && method === "authenticate") return tryOther(call, request, context);
  const own = ownPasswordCall(call, user, context);
  if (own !== null) return own;
  return rpcResult(call, modelResult(method));
});

async function tryOther(call: RpcCall, request: DemoRequest, context: DemoContext): Promise<Answer> {
  const args = call.params["args"];
  const credential: unknown = Array.isArray(args) ? (args.find((one) => isRecord(one)) ?? null) : null;
  if (context.version < 19 || !isRecord(credential))
    return rpcError(call, context, "builtins.TypeError", "bad arguments");
  const user = await authenticate(
    request,
    context,
    String(credential["login"]),
    String(credential["password"]),
    false,
  );
  return user === null
    ? accessDenied(call, context)
    : rpcResult(call, { uid: user.uid, auth_method: "password", mfa: "default" });
}

function bearerUser(request: DemoRequest, context: DemoContext): DemoUser | null {
  const key = /^bearer\s+(\S+)$/i.exec(request.fields.get("HTTP_AUTHORIZATION") ?? "")?.[1];
  return key === undefined ? null : (context.users.find((one) => one.apiKey === key) ?? null);
}

function readCredential(body: Buffer): { readonly login: string; readonly password: string } | null {
  try {
    const value: unknown = JSON.parse(body.toString("utf8"));
    const credential: unknown = isRecord(value) ? value["credential"] : null;
    if (!isRecord(credential)) return null;
    return { login: String(credential["login"]), password: String(credential["password"]) };
  } catch {
    return null;
  }
}

/** `/json/2/<model>/<method>` (19) and `/json/1/…` (18, 19): an API key as bearer. */
export const jsonTwo: Handler = (request, context) => {
  const user = bearerUser(request, context);
  if (user === null) {
    const challenge = [["WWW-Authenticate", "Bearer "]] as const;
    if (request.path.startsWith("/json/1")) return plainError(401, "Invalid apikey", challenge);
    const asked = request.fields.has("HTTP_AUTHORIZATION");
    const message = asked
      ? "Invalid apikey"
      : "User not authenticated, use an API Key with a Bearer Authorization header.";
    return json(
      {
        name: "werkzeug.exceptions.Unauthorized",
        message,
        arguments: [message, 401],
        context: {},
        debug: "Traceback",
      },
      challenge,
      401,
    );
  }
  if (request.path.endsWith("/res.users/authenticate")) {
    const credential = readCredential(request.body.bytes);
    const tried =
      credential === null ? null : checkPassword(context.users, credential.login, credential.password);
    return tried === null
      ? json({ message: "Access Denied" }, [], 403)
      : json({ uid: tried.uid, auth_method: "password" });
  }
  return json(modelResult(request.path.slice(request.path.lastIndexOf("/") + 1)));
};

const versionRoute: Handler = (_request, context) =>
  json({ version_info: [context.version, 0, 0, "final", 0, ""], version: versionText(context) });

const versionInfoRoute = jsonRpc((call, _request, context) => rpcResult(call, versionInfo(context)));

const identityCheck = jsonRpc((call, request, context) => {
  const { user } = openSession(request, context, false);
  return user === null ? sessionExpired(call) : rpcResult(call, true);
});

/** Routes by exact path; `since` is the first Odoo version that has it. */
export const RPC_ROUTES: readonly (readonly [path: string, handler: Handler, since?: number])[] = [
  ["/jsonrpc", jsonRpcService],
  ["/xmlrpc/common", xmlRpc],
  ["/xmlrpc/object", xmlRpc],
  ["/xmlrpc/db", xmlRpc],
  ["/xmlrpc/2/common", xmlRpc],
  ["/xmlrpc/2/object", xmlRpc],
  ["/xmlrpc/2/db", xmlRpc],
  ["/json/version", versionRoute, 19],
  ["/web/version", versionRoute, 19],
  ["/web/webclient/version_info", versionInfoRoute],
  ["/web/session/check", identityCheck],
];
