import { isIP } from "node:net";
import { parseIp } from "../base/ip.ts";
import { err, ok, type Result } from "../base/result.ts";

/** The site that is to be looked at, as the operator named it. */
export interface Target {
  readonly secure: boolean;
  /** Lower case, without brackets. */
  readonly host: string;
  readonly port: number;
  /** For the Host field: `host`, `host:port`, `[v6]:port`. */
  readonly authority: string;
  /** Without path: `https://erp.example.com`. */
  readonly url: string;
}

/**
 * Reads the URL of a site: `https://name`, with a port if it is not the usual one. A bare name means https. A path, query,
 * user or password is refused: a look is at a whole site, and a password in a command line is read by others.
 */
export function readTarget(text: string): Result<Target, string> {
  const whole = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `https://${text}`;
  let url: URL;
  try {
    url = new URL(whole);
  } catch {
    return err(`"${text}" is no URL; give the site as https://erp.example.com`);
  }
  if (url.protocol !== "https:" && url.protocol !== "http:")
    return err(`"${text}" is neither https nor http; give the site as https://erp.example.com`);
  if (url.username !== "" || url.password !== "") return err("a user or password in the URL is not taken");
  if (url.pathname !== "/" || url.search !== "" || url.hash !== "")
    return err(`give the site without a path: ${url.protocol}//${url.host}`);
  const host = url.hostname
    .replace(/^\[|\]$/g, "")
    .replace(/\.$/, "")
    .toLowerCase();
  if (host === "") return err(`"${text}" names no host`);
  const secure = url.protocol === "https:";
  const port = url.port === "" ? (secure ? 443 : 80) : Number(url.port);
  if (port === 0) return err(`"${text}": a port is a number from 1 to 65535`);
  const authority = authorityOf(host, port, secure);
  return ok({ secure, host, port, authority, url: `${url.protocol}//${authority}` });
}

/** `host` for the scheme's own port, else `host:port`. */
export function authorityOf(host: string, port: number, secure: boolean): string {
  const name = isIP(host) === 6 ? `[${host}]` : host;
  return port === (secure ? 443 : 80) ? name : `${name}:${port}`;
}

/** Reads `address`, `address:port`, `[v6]` or `[v6]:port`. */
export function readAddress(
  text: string,
): Result<{ readonly address: string; readonly port: number | null }, string> {
  const bad = () =>
    err(`"${text}" is no address; give it as 203.0.113.10, 203.0.113.10:443 or [2001:db8::1]:443`);
  const [, bracketed, plain, digits] =
    /^(?:\[([^\]]+)\]|([^:]+|[^[]*:[^:]*:[^[]*))(?::([0-9]{1,5}))?$/.exec(text) ?? [];
  const ip = parseIp(bracketed ?? plain ?? "");
  if (ip !== null) {
    const port = digits === undefined ? null : Number(digits);
    return port === 0 || (port ?? 1) > 65_535 ? bad() : ok({ address: ip.text, port });
  }
  const bare = parseIp(text);
  return bare === null ? bad() : ok({ address: bare.text, port: null });
}
