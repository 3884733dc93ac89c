import { bytes, json, page, plainError, redirect } from "./answer.ts";
import type { Handler } from "./context.ts";
import { readForm } from "./forms.ts";
import { accessDenied, jsonRpc, rpcResult } from "./json-rpc.ts";
import { managerHtml } from "./pages.ts";
import { csrfRefused } from "./routes-login.ts";

/** `/web/database/manager` and `selector`: a page for any safe method, closed list or not. */
const manager: Handler = (request, context) => {
  if (!["GET", "HEAD", "OPTIONS", "TRACE"].includes(request.method)) return csrfRefused(context);
  return page(200, managerHtml(context.listDb, ""));
};

/** create, duplicate, drop, backup, restore, change_password: POST, no CSRF token asked. */
const action: Handler = (request, context) => {
  if (request.method !== "POST")
    return plainError(405, "The method is not allowed for the requested URL.", [["Allow", "OPTIONS, POST"]]);
  const form = readForm(request);
  const name = request.path.slice(request.path.lastIndexOf("/") + 1);
  const right = form.get("master_pwd") === context.masterPassword;
  if (!context.listDb) return page(200, managerHtml(false, ""));
  if (!right) return page(200, managerHtml(true, `Database ${name} error: Access Denied`));
  if (name === "backup") {
    return {
      ...bytes(200, "application/octet-stream", "stand-in backup\n", [
        ["Content-Disposition", "attachment; filename=prod.zip"],
      ]),
      length: null,
    };
  }
  return redirect(303, name === "create" ? "/odoo" : "/web/database/manager");
};

const list = jsonRpc((call, _request, context) =>
  context.listDb ? rpcResult(call, ["prod"]) : accessDenied(call, context),
);

const health: Handler = (request) => {
  const status = request.params.has("db_server_status")
    ? { status: "pass", db_server_status: true }
    : { status: "pass" };
  return json(status, [["Cache-Control", "no-store"]]);
};

export const DATABASE_ROUTES: readonly (readonly [path: string, handler: Handler])[] = [
  ["/web/database/manager", manager],
  ["/web/database/selector", manager],
  ["/web/database/create", action],
  ["/web/database/duplicate", action],
  ["/web/database/drop", action],
  ["/web/database/backup", action],
  ["/web/database/restore", action],
  ["/web/database/change_password", action],
  ["/web/database/list", list],
  ["/web/health", health],
];
