import { type Answer, type AnswerHeader, json, plainError } from "./answer.ts";
import type { DemoContext, DemoRequest, Handler } from "./context.ts";

/** A decoded JSON-RPC call; the top-level `method` is ignored by Odoo. */
export interface RpcCall {
  readonly id: unknown;
  readonly params: Readonly<Record<string, unknown>>;
}

type RpcHandler = (call: RpcCall, request: DemoRequest, context: DemoContext) => Answer | Promise<Answer>;

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A route of type JSON: the media type is checked, the answer is always 200. */
export function jsonRpc(handler: RpcHandler): Handler {
  return (request, context) => {
    const type = (request.fields.get("CONTENT_TYPE") ?? "").split(";")[0]?.trim().toLowerCase() ?? "";
    if (type !== "application/json" && type !== "application/json-rpc") return wrongType(request, context);
    const call = readCall(request.body.bytes);
    return call === null ? plainError(400, "Invalid JSON-RPC data") : handler(call, request, context);
  };
}

function wrongType(request: DemoRequest, context: DemoContext): Answer {
  const text = `Request inferred type is compatible with http but '${request.path}' is type='jsonrpc'.`;
  if (context.version < 19) return plainError(400, text);
  return plainError(415, text, [["Accept", "application/json, application/json-rpc"]]);
}

function readCall(body: Buffer): RpcCall | null {
  try {
    const value: unknown = JSON.parse(body.toString("utf8"));
    if (!isRecord(value)) return null;
    const params = value["params"];
    return { id: value["id"] ?? null, params: isRecord(params) ? params : {} };
  } catch {
    return null;
  }
}

export function rpcResult(call: RpcCall, result: unknown, headers: readonly AnswerHeader[] = []): Answer {
  return json({ jsonrpc: "2.0", id: call.id, result }, headers);
}

/** An error as Odoo writes it, traceback with server paths included: strangers see it too. */
export function rpcError(call: RpcCall, context: DemoContext, name: string, message: string): Answer {
  const debug = `Traceback (most recent call last):\n  File "/opt/odoo/odoo/http.py", line 2212, in _transactioning\n${name}: ${message}\n`;
  const data = { name, message, arguments: [message], context: {}, debug };
  const code = context.version >= 19 ? 0 : 200;
  return json({ jsonrpc: "2.0", id: call.id, error: { code, message: "Odoo Server Error", data } });
}

export function accessDenied(call: RpcCall, context: DemoContext): Answer {
  return rpcError(call, context, "odoo.exceptions.AccessDenied", "Access Denied");
}

export function sessionExpired(call: RpcCall): Answer {
  const message = "Session expired";
  const data = {
    name: "odoo.http.SessionExpiredException",
    message,
    arguments: [message],
    context: {},
    debug: "",
  };
  return json({ jsonrpc: "2.0", id: call.id, error: { code: 100, message: "Odoo Session Expired", data } });
}
