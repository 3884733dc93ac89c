import { createHmac, randomBytes } from "node:crypto";

/** One browser's session. */
export interface Session {
  readonly sid: string;
  uid: number | null;
  /** Password was right, the second factor is still missing. */
  pendingUid: number | null;
  /** Marked by the first bus poll. */
  polled: boolean;
}

export interface Sessions {
  /** The session of that cookie, or a new one. */
  open(sid: string | null): { readonly session: Session; readonly fresh: boolean };
  /** A new id for the same browser, as at log-in and log-out; the old id is gone. */
  rotate(session: Session, uid: number | null): Session;
  csrfToken(session: Session): string;
  csrfValid(session: Session, token: string): boolean;
  /** Called with the id of a session that ended: its WebSockets are closed with 4001. */
  onEnd: (sid: string) => void;
}

/** Beyond this the oldest session is forgotten. */
const SESSIONS_MAX = 10_000;
const CSRF_EXPIRES_SECONDS = 4_102_444_800;

/** @param version Odoo 16 and 17 use 40 hexadecimal digits, 18 and 19 84 characters. */
export function createSessions(version: number): Sessions {
  const secret = randomBytes(16);
  const table = new Map<string, Session>();

  function add(uid: number | null): Session {
    const sid = version < 18 ? randomBytes(20).toString("hex") : randomBytes(63).toString("base64url");
    const session: Session = { sid, uid, pendingUid: null, polled: false };
    table.set(sid, session);
    if (table.size > SESSIONS_MAX) {
      const oldest = table.keys().next();
      if (oldest.done !== true) table.delete(oldest.value);
    }
    return session;
  }

  function csrfToken(session: Session): string {
    const mac = createHmac("sha1", secret).update(session.sid).digest("hex");
    return `${mac}o${CSRF_EXPIRES_SECONDS}`;
  }

  const sessions: Sessions = {
    open(sid) {
      const known = sid === null ? undefined : table.get(sid);
      return known === undefined ? { session: add(null), fresh: true } : { session: known, fresh: false };
    },
    rotate(session, uid) {
      table.delete(session.sid);
      sessions.onEnd(session.sid);
      return add(uid);
    },
    csrfToken,
    csrfValid: (session, token) => token === csrfToken(session),
    onEnd: () => undefined,
  };
  return sessions;
}

/** The value of a Set-Cookie line as Odoo writes it: HttpOnly, neither Secure nor SameSite. */
export function sessionCookie(sid: string, wallMs: number): string {
  const expires = new Date(wallMs + 365 * 86_400_000).toUTCString();
  return `session_id=${sid}; Expires=${expires}; Max-Age=604800; HttpOnly; Path=/`;
}

export function languageCookie(wallMs: number, locale = "en_US"): string {
  return `frontend_lang=${locale}; Expires=${new Date(wallMs + 365 * 86_400_000).toUTCString()}; Path=/`;
}

/** One cookie's value; the first of duplicates wins, as in Werkzeug. */
export function readCookie(header: string | undefined, name: string): string | null {
  for (const part of (header ?? "").split(";")) {
    const equals = part.indexOf("=");
    if (equals > 0 && part.slice(0, equals).trim() === name) return part.slice(equals + 1).trim();
  }
  return null;
}
