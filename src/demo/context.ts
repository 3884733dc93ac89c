import type { Answer, AnswerHeader } from "./answer.ts";
import type { Assets } from "./assets.ts";
import type { Effective } from "./forwarded.ts";
import type { WsgiFields } from "./http-parse.ts";
import { languageCookie, readCookie, type Session, type Sessions, sessionCookie } from "./sessions.ts";
import type { SeenBody } from "./socket-reader.ts";
import type { Delays } from "./timers.ts";
import { type DemoUser, userById } from "./users.ts";
import type { BusHub } from "./websocket.ts";

export type PortName = "web" | "bus";
export type OdooVersion = 16 | 17 | 18 | 19;

/** A request as Odoo's application sees it, language segment already taken off the path. */
export interface DemoRequest {
  readonly port: PortName;
  /** Upper case: Odoo compares methods without case. */
  readonly method: string;
  readonly target: string;
  readonly version: string;
  /** Field lines as received, latin-1, without line ends. */
  readonly lines: readonly string[];
  readonly fields: WsgiFields;
  /** Without trailing slash (but `/`). */
  readonly path: string;
  readonly query: string;
  readonly params: URLSearchParams;
  readonly body: SeenBody;
  readonly effective: Effective;
}

/** What handlers share. */
export interface DemoContext {
  readonly version: OdooVersion;
  readonly listDb: boolean;
  readonly languages: readonly string[];
  readonly users: readonly DemoUser[];
  readonly masterPassword: string;
  /** Odoo's measured response times are imitated. */
  readonly latency: boolean;
  /** With `x_sendfile` bundles and attachments lie here, and are named instead of sent; null: without. */
  readonly filestore: string | null;
  /** One port serves everything, WebSockets too (`workers = 0`). */
  readonly threaded: boolean;
  readonly sessions: Sessions;
  readonly assets: Assets;
  readonly hub: BusHub;
  readonly delays: Delays;
  readonly wallMs: () => number;
  /** `web.base.url`: the scheme and host of the last log-in by an administrator. */
  readonly settings: { webBaseUrl: string };
}

export type Handler = (request: DemoRequest, context: DemoContext) => Answer | Promise<Answer>;

/** The request's session and the cookie lines the answer needs. */
export interface OpenSession {
  readonly session: Session;
  readonly user: DemoUser | null;
  /** Set-Cookie lines for a visitor without a known session; empty otherwise. */
  readonly newCookies: readonly AnswerHeader[];
}

/** Opens the session named by the cookie. `website` adds the language cookie for a new visitor. */
export function openSession(request: DemoRequest, context: DemoContext, website: boolean): OpenSession {
  const sid = readCookie(request.fields.get("HTTP_COOKIE"), "session_id");
  const { session, fresh } = context.sessions.open(sid);
  const newCookies: AnswerHeader[] = [];
  if (fresh) {
    if (website) newCookies.push(["Set-Cookie", languageCookie(context.wallMs())]);
    newCookies.push(["Set-Cookie", sessionCookie(session.sid, context.wallMs())]);
  }
  return { session, user: userById(context.users, session.uid), newCookies };
}

/** The user whose session the cookie names, without starting a session. */
export function currentUser(request: DemoRequest, context: DemoContext): DemoUser | null {
  if (readCookie(request.fields.get("HTTP_COOKIE"), "session_id") === null) return null;
  return openSession(request, context, false).user;
}

/** `X-Odoo-…` version texts: `19.0`, and the bus worker's `19.0-2`. */
export function versionText(context: DemoContext): string {
  return `${context.version}.0`;
}

export function workerVersion(context: DemoContext): string {
  return `${context.version}.0-2`;
}
