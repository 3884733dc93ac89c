import { type Answer, type AnswerHeader, bytes, json, page, redirect, websitePage } from "./answer.ts";
import {
  type DemoContext,
  type DemoRequest,
  type Handler,
  openSession,
  versionText,
  workerVersion,
} from "./context.ts";
import { readForm } from "./forms.ts";
import { accessDenied, jsonRpc, rpcResult, sessionExpired } from "./json-rpc.ts";
import { escapeHtml, formHtml, loginHtml, websiteHtml } from "./pages.ts";
import { type Session, sessionCookie } from "./sessions.ts";
import { checkPassword, type DemoUser, userById } from "./users.ts";

/** Odoo's key stretching: what a wrong password of a known user costs, ms. */
const WRONG_PASSWORD_MS = 250;

/** The 400 of a missing or wrong CSRF token. */
export function csrfRefused(context: DemoContext, cookies: readonly AnswerHeader[] = []): Answer {
  const html = websiteHtml(
    "400",
    "<h1>400</h1><p>Session expired (invalid CSRF token)</p>",
    workerVersion(context),
  );
  return websitePage(400, html, cookies);
}

const PAGE_HEADERS: readonly AnswerHeader[] = [
  ["X-Frame-Options", "SAMEORIGIN"],
  ["Content-Security-Policy", "frame-ancestors 'self'"],
  ["X-Content-Type-Options", "nosniff"],
];

function pageHeaders(context: DemoContext): readonly AnswerHeader[] {
  return context.version >= 19 ? [["Cache-Control", "no-cache"], ...PAGE_HEADERS] : PAGE_HEADERS;
}

/** Scheme and host are cut: a redirect stays on the site. */
export function localRedirect(target: string): string {
  const path = target.replace(/^[a-zA-Z][a-zA-Z0-9+.-]*:/, "").replace(/^[/\\]{2,}[^/\\?#]*/, "");
  return path.startsWith("/") ? path : `/${path}`;
}

export function homePath(context: DemoContext, user: DemoUser): string {
  if (user.portal) return "/my";
  return context.version >= 18 ? "/odoo" : "/web";
}

/** Password check with Odoo's cost; a known administrator's log-in writes `web.base.url`. */
export async function authenticate(
  request: DemoRequest,
  context: DemoContext,
  login: string,
  password: string,
  overHttp: boolean,
): Promise<DemoUser | null> {
  const user = checkPassword(context.users, login, password);
  if (context.latency) {
    const known = context.users.some((one) => one.login === login);
    await context.delays.wait(known ? WRONG_PASSWORD_MS : 12);
  }
  if (user?.admin === true && overHttp) {
    context.settings.webBaseUrl = `${request.effective.scheme}://${request.effective.host}`;
  }
  return user;
}

function renewed(context: DemoContext, session: Session, uid: number | null): readonly AnswerHeader[] {
  const next = context.sessions.rotate(session, uid);
  return [["Set-Cookie", sessionCookie(next.sid, context.wallMs())]];
}

const login: Handler = async (request, context) => {
  const { session, user, newCookies } = openSession(request, context, true);
  const form = readForm(request);
  const target = form.get("redirect") ?? "";
  if (request.method === "GET" || request.method === "HEAD") {
    if (user !== null && target !== "") return redirect(303, localRedirect(target), newCookies);
  } else if (!context.sessions.csrfValid(session, form.get("csrf_token") ?? "")) {
    return csrfRefused(context, newCookies);
  }
  let problem = "";
  const name = form.get("login") ?? "";
  if (request.method === "POST") {
    const found = await authenticate(request, context, name, form.get("password") ?? "", true);
    if (found !== null) return loggedIn(request, context, session, found, target);
    problem = form.get("type") === "webauthn" ? "Unknown passkey" : "Wrong login/password";
  }
  const oauth = request.params.get("oauth_error");
  if (oauth !== null) problem = "Access Denied";
  const fields = { csrfToken: context.sessions.csrfToken(session), redirect: target, login: name, problem };
  return websitePage(200, loginHtml(fields, workerVersion(context)), [
    ...pageHeaders(context),
    ...newCookies,
  ]);
};

function loggedIn(
  request: DemoRequest,
  context: DemoContext,
  session: Session,
  user: DemoUser,
  target: string,
): Answer {
  if (user.totp !== null) {
    const next = context.sessions.rotate(session, null);
    next.pendingUid = user.uid;
    const cookie: AnswerHeader = ["Set-Cookie", sessionCookie(next.sid, context.wallMs())];
    return redirect(303, `/web/login/totp?redirect=${encodeURIComponent(target)}`, [cookie]);
  }
  const home = target === "" ? homePath(context, user) : localRedirect(target);
  // Measured: a log-in written in the query string of an empty POST has its query in the Location.
  const inQuery = request.params.has("password") && target === "" ? `?${request.query}` : "";
  return redirect(303, home + inQuery, renewed(context, session, user.uid));
}

const totp: Handler = (request, context) => {
  const { session, newCookies } = openSession(request, context, true);
  const user = userById(context.users, session.pendingUid);
  if (user === null) return redirect(303, "/web/login", newCookies);
  const form = readForm(request);
  let notice = "";
  if (request.method === "POST") {
    if (!context.sessions.csrfValid(session, form.get("csrf_token") ?? "")) return csrfRefused(context);
    if (form.get("totp_token") === user.totp) {
      const cookies = [...renewed(context, session, user.uid)];
      if (form.has("remember"))
        cookies.push(["Set-Cookie", "td_id=demo; Max-Age=7776000; HttpOnly; Path=/; SameSite=Lax"]);
      return redirect(303, localRedirect(form.get("redirect") || homePath(context, user)), cookies);
    }
    notice = '<p class="alert alert-danger">Verification failed, please double-check the 6-digit code</p>';
  }
  const token = context.sessions.csrfToken(session);
  const action = `/web/login/totp?redirect=${encodeURIComponent(form.get("redirect") ?? "")}`;
  const html = formHtml(
    "Two-factor Authentication",
    escapeHtml(action),
    token,
    "totp_token",
    notice,
    workerVersion(context),
  );
  return websitePage(200, html, pageHeaders(context));
};

const sessionAuthenticate = jsonRpc(async (call, request, context) => {
  const user = await authenticate(
    request,
    context,
    String(call.params["login"]),
    String(call.params["password"]),
    true,
  );
  if (user === null) return accessDenied(call, context);
  const { session } = openSession(request, context, false);
  if (user.totp !== null) {
    const next = context.sessions.rotate(session, null);
    next.pendingUid = user.uid;
    return rpcResult(call, { uid: null }, [["Set-Cookie", sessionCookie(next.sid, context.wallMs())]]);
  }
  return rpcResult(call, sessionInfo(context, user), renewed(context, session, user.uid));
});

/** What the web client learns about its session. */
export function sessionInfo(context: DemoContext, user: DemoUser): Record<string, unknown> {
  return {
    uid: user.uid,
    is_system: user.admin,
    is_admin: user.admin,
    is_internal_user: !user.portal,
    db: "prod",
    server_version: versionText(context),
    name: user.name,
    username: user.login,
    websocket_worker_version: workerVersion(context),
  };
}

const logout: Handler = (request, context) => {
  const { session } = openSession(request, context, false);
  const target = request.params.get("redirect");
  return redirect(303, target === null ? "/odoo" : localRedirect(target), renewed(context, session, null));
};

const destroySession = jsonRpc((call, request, context) => {
  const { session } = openSession(request, context, false);
  return rpcResult(call, null, renewed(context, session, null));
});

/** Neither cookie nor CSRF token is asked; the answer is 500 in every case. */
const loginUpload: Handler = async (request, context) => {
  const form = readForm(request);
  const user = await authenticate(
    request,
    context,
    form.get("login") ?? "",
    form.get("password") ?? "",
    true,
  );
  const text =
    user === null
      ? "Access Denied"
      : user.admin
        ? "No file sent."
        : "Only administrators can upload a module";
  return bytes(500, "text/html; charset=utf-8", text);
};

const resetPassword: Handler = (request, context) => {
  const { session, newCookies } = openSession(request, context, true);
  const form = readForm(request);
  const guessed = context.users.find((one) => one.login === request.params.get("signup_email"));
  if (guessed !== undefined)
    return redirect(303, `/web/login?login=${encodeURIComponent(guessed.login)}`, newCookies);
  let notice = "";
  if (request.method === "POST") {
    if (!context.sessions.csrfValid(session, form.get("csrf_token") ?? ""))
      return csrfRefused(context, newCookies);
    const known = context.users.some((one) => one.login === form.get("login"));
    notice = known
      ? '<p class="alert alert-success">Password reset instructions sent to your email address.</p>'
      : '<p class="alert alert-danger">No account found for this login</p>';
  }
  const token = context.sessions.csrfToken(session);
  const html = formHtml(
    "Reset Password",
    "/web/reset_password",
    token,
    "login",
    notice,
    workerVersion(context),
  );
  return websitePage(200, html, [...pageHeaders(context), ...newCookies]);
};

const signup: Handler = (request, context) => {
  const { session, newCookies } = openSession(request, context, true);
  const form = readForm(request);
  let notice = "";
  if (request.method === "POST") {
    if (!context.sessions.csrfValid(session, form.get("csrf_token") ?? ""))
      return csrfRefused(context, newCookies);
    // Nothing is stored: a new visitor becomes the portal user.
    const portal = context.users.find((one) => one.portal);
    const taken = context.users.some((one) => one.login === form.get("login"));
    if (!taken && portal !== undefined) return redirect(303, "/my", renewed(context, session, portal.uid));
    notice = '<p class="alert alert-danger">Another user is already registered using this email address.</p>';
  }
  const html = formHtml(
    "Sign up",
    "/web/signup",
    context.sessions.csrfToken(session),
    "login",
    notice,
    workerVersion(context),
  );
  return websitePage(200, html, [...pageHeaders(context), ...newCookies]);
};

const oauthSignin: Handler = (request) => {
  if (!request.params.has("state")) return page(500, "<h1>Internal Server Error</h1>");
  return redirect(303, "/web/login?oauth_error=2");
};

const sessionInfoRoute = jsonRpc((call, request, context) => {
  const { user } = openSession(request, context, false);
  return user === null ? sessionExpired(call) : rpcResult(call, sessionInfo(context, user));
});

const passkeyStart: Handler = (request, context) => {
  const { newCookies } = openSession(request, context, false);
  return json({ jsonrpc: "2.0", id: null, result: { challenge: "c3RhbmQtaW4", timeout: 60000 } }, newCookies);
};

export const LOGIN_ROUTES: readonly (readonly [path: string, handler: Handler])[] = [
  ["/web/login", login],
  ["/web/login/totp", totp],
  ["/web/session/authenticate", sessionAuthenticate],
  ["/web/session/get_session_info", sessionInfoRoute],
  ["/web/session/logout", logout],
  ["/web/session/destroy", destroySession],
  ["/web/reset_password", resetPassword],
  ["/web/signup", signup],
  ["/auth_oauth/signin", oauthSignin],
  ["/auth/passkey/start-auth", passkeyStart],
  ["/base_import_module/login_upload", loginUpload],
];
