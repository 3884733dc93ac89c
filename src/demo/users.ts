/** A user of the stand-in. */
export interface DemoUser {
  readonly uid: number;
  readonly login: string;
  readonly password: string;
  readonly name: string;
  /** Portal users land on /my and never see the web client. */
  readonly portal: boolean;
  /** May change settings: the log-in writes `web.base.url`. */
  readonly admin: boolean;
  /** The one-time code that is accepted; null: no second factor. */
  readonly totp: string | null;
  /** Bearer key for /json/2; null: none. */
  readonly apiKey: string | null;
}

/** The users everybody knows: the log-in page names them. */
export const DEMO_USERS: readonly DemoUser[] = [
  user(2, "admin", "Mitchell Admin", { admin: true, apiKey: "demo-api-key-admin" }),
  user(6, "demo", "Marc Demo", { apiKey: "demo-api-key-demo" }),
  user(7, "portal", "Joel Portal", { portal: true }),
  user(8, "carol", "Carol Two-Factor", { totp: "123456" }),
];

function user(uid: number, login: string, name: string, extra: Partial<DemoUser>): DemoUser {
  return {
    uid,
    login,
    password: login,
    name,
    portal: false,
    admin: false,
    totp: null,
    apiKey: null,
    ...extra,
  };
}

/** The user whose password this is, or null. */
export function checkPassword(users: readonly DemoUser[], login: string, password: string): DemoUser | null {
  return users.find((one) => one.login === login && one.password === password) ?? null;
}

export function userById(users: readonly DemoUser[], uid: number | null): DemoUser | null {
  return uid === null ? null : (users.find((one) => one.uid === uid) ?? null);
}
