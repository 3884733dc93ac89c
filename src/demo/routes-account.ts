import { type Answer, redirect, websitePage } from "./answer.ts";
import { type DemoContext, type DemoRequest, type Handler, openSession, workerVersion } from "./context.ts";
import { readForm } from "./forms.ts";
import { accessDenied, isRecord, type RpcCall, rpcError, rpcResult } from "./json-rpc.ts";
import { websiteHtml } from "./pages.ts";
import { csrfRefused } from "./routes-login.ts";
import type { DemoUser } from "./users.ts";

/** A password field as the portal shows it, marked when what was in it was wrong. */
function passwordField(name: string, isWrong: boolean): string {
  return `<input type="password" name="${name}" class="form-control form-control-sm${isWrong ? " is-invalid" : ""}" required="required"/>`;
}

function accountPage(context: DemoContext, request: DemoRequest, content: string): Answer {
  const { session, newCookies } = openSession(request, context, true);
  const token = `<input type="hidden" name="csrf_token" value="${context.sessions.csrfToken(session)}"/>`;
  return websitePage(
    200,
    websiteHtml("My account", `<h1>My account</h1><form>${token}${content}</form>`, workerVersion(context)),
    newCookies,
  );
}

/** A route for people who are logged in, whose POST needs their token. */
function ownAccount(post: (user: DemoUser, form: ReadonlyMap<string, string>) => string | null): Handler {
  return (request, context) => {
    const { session, user, newCookies } = openSession(request, context, true);
    if (user === null) return redirect(303, "/web/login", newCookies);
    if (request.method !== "POST") return accountPage(context, request, passwordField("old", false));
    const form = readForm(request);
    if (!context.sessions.csrfValid(session, form.get("csrf_token") ?? "")) return csrfRefused(context);
    const content = post(user, form);
    return content === null
      ? redirect(303, "/web/login?message=Account+deleted")
      : accountPage(context, request, content);
  };
}

/** `/my/security`, op=password: nothing is stored. */
const security = ownAccount((user, form) => {
  if (form.get("op") !== "password" || form.get("old") !== user.password) return passwordField("old", true);
  return '<div class="alert alert-success">Password Updated!</div>';
});

/** `/my/deactivate_account`: nothing is deleted. */
const deactivate = ownAccount((user, form) =>
  form.get("validation") === user.login && form.get("password") === user.password
    ? null
    : passwordField("password", true),
);

export const ACCOUNT_ROUTES: readonly (readonly [path: string, handler: Handler])[] = [
  ["/my/security", security],
  ["/my/deactivate_account", deactivate],
];

/** The web client's calls that check the caller's own password; null: another call. */
export function ownPasswordCall(call: RpcCall, user: DemoUser, context: DemoContext): Answer | null {
  const { model, method, args, kwargs } = call.params;
  if (model === "res.users" && method === "change_password") {
    const old: unknown = Array.isArray(args) ? args[0] : null;
    return old === user.password ? rpcResult(call, true) : accessDenied(call, context);
  }
  if (model === "res.users.identitycheck" && method === "run_check") {
    const given: unknown = isRecord(kwargs) ? kwargs["context"] : null;
    if (isRecord(given) && given["password"] === user.password) return rpcResult(call, false);
    const text = "Incorrect Password, try again or click on Forgot Password to reset your password.";
    return rpcError(call, context, "odoo.exceptions.UserError", text);
  }
  return null;
}
