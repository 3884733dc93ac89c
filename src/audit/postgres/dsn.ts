/** Where PostgreSQL is and who asks, as libpq writes it (documentation, 34.1.1). Pure. */
import { err, ok, type Result } from "../../base/result.ts";

export const sslModes = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] as const;
export type SslMode = (typeof sslModes)[number];

export interface Dsn {
  /** A name or address; or a folder with PostgreSQL's socket when it begins with `/`. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** null: none given. Secret. */
  readonly password: string | null;
  readonly database: string;
  readonly sslMode: SslMode;
  /** PEM file of the authorities; null: the system's. */
  readonly rootCertificateFile: string | null;
}

const keys: ReadonlySet<string> = new Set([
  "host",
  "hostaddr",
  "port",
  "user",
  "password",
  "dbname",
  "sslmode",
  "sslrootcert",
  "application_name",
  "connect_timeout",
  "target_session_attrs",
]);

/**
 * Reads `postgresql://user@host:5432/name?sslmode=require` or `host=… dbname=…`. What is left out comes from PGHOST, PGPORT,
 * PGUSER, PGPASSWORD, PGDATABASE, PGSSLMODE, PGSSLROOTCERT and then from libpq's defaults (`systemUser` for the user). Answers one
 * sentence when it cannot be read; the sentence never repeats the text, which may hold a password.
 */
export function readDsn(
  text: string,
  env: Readonly<Record<string, string | undefined>>,
  systemUser: string,
): Result<Dsn, string> {
  const given = /^postgres(?:ql)?:\/\//.test(text) ? fromUri(text) : fromPairs(text);
  if (!given.ok) return given;
  for (const key of given.value.keys())
    if (!keys.has(key)) return err(`${JSON.stringify(key)} is no key this program knows`);
  const value = (key: string, variable: string): string | undefined => {
    const own = given.value.get(key);
    return own !== undefined && own !== "" ? own : env[variable] === "" ? undefined : env[variable];
  };
  const host = given.value.get("hostaddr") ?? value("host", "PGHOST") ?? "localhost";
  if (host.includes(",")) return err("several hosts: name the one to look at");
  const portText = value("port", "PGPORT") ?? "5432";
  const port = /^[0-9]{1,5}$/.test(portText) ? Number(portText) : 0;
  if (port < 1 || port > 65_535) return err("the port is none");
  const mode = value("sslmode", "PGSSLMODE") ?? "prefer";
  const sslMode = sslModes.find((one) => one === mode);
  if (sslMode === undefined) return err(`sslmode can be ${sslModes.join(", ")}`);
  const user = value("user", "PGUSER") ?? systemUser;
  const database = value("dbname", "PGDATABASE") ?? user;
  if (/\0/.test(user + database)) return err("a name holds a NUL");
  const rootCertificate = value("sslrootcert", "PGSSLROOTCERT") ?? null;
  return ok({
    host,
    port,
    user,
    password: value("password", "PGPASSWORD") ?? null,
    database,
    sslMode,
    // `system` is libpq's word for the authorities of the system.
    rootCertificateFile: rootCertificate === "system" ? null : rootCertificate,
  });
}

/** Without the password. */
export function shownDsn({ host, port, user, database }: Dsn): string {
  return host.startsWith("/")
    ? `${user}@${host} (socket ${port}), ${database}`
    : `postgresql://${user}@${host}:${port}/${database}`;
}

function fromUri(text: string): Result<ReadonlyMap<string, string>, string> {
  const [, authority = "", path = "", query = ""] =
    /^postgres(?:ql)?:\/\/([^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/s.exec(text) ?? [];
  const at = authority.lastIndexOf("@");
  const [user, ...password] = at === -1 ? [] : authority.slice(0, at).split(":");
  const place = authority.slice(at + 1);
  if (place.includes(",")) return err("several hosts: name the one to look at");
  const read = /^(\[[^\]]*\]|[^:[\]]*)(?::([0-9]*))?$/.exec(place);
  // A password with a slash ends up here too: nothing of it is repeated, and nobody else's server is asked.
  if (read === null)
    return err(
      "what stands where host and port belong is neither; write /, ? and @ of a password as %2F, %3F and %40, an IPv6 address in [ ]",
    );
  const [, host = "", port = ""] = read;
  const given = new Map<string, string>();
  const put = (key: string, raw: string | undefined): boolean => {
    if (raw === undefined || raw === "") return true;
    try {
      given.set(key, decodeURIComponent(raw));
      return true;
    } catch {
      return false;
    }
  };
  const isGood =
    put("user", user) &&
    put("password", password.length === 0 ? undefined : password.join(":")) &&
    put("host", host.replace(/^\[(.*)\]$/, "$1")) &&
    put("port", port) &&
    put("dbname", path) &&
    query.split("&").every((pair) => {
      const cut = pair.indexOf("=");
      return pair === "" || (cut > 0 && put(pair.slice(0, cut), pair.slice(cut + 1)));
    });
  return isGood ? ok(given) : err("it has an escape that cannot be read; write special characters as %XX");
}

function fromPairs(text: string): Result<ReadonlyMap<string, string>, string> {
  const given = new Map<string, string>();
  const pair = /\s*([a-z_]+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:[^\s'\\]|\\.)*))(?:\s|$)/sy;
  const trimmed = text.trim();
  while (pair.lastIndex < trimmed.length) {
    const found = pair.exec(trimmed);
    if (found === null)
      return err("it is neither postgresql://user@host/name nor pairs such as host=localhost dbname=prod");
    given.set(found[1] ?? "", (found[2] ?? found[3] ?? "").replaceAll(/\\(.)/gs, "$1"));
  }
  return ok(given);
}
