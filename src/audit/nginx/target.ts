/** A request target as nginx reads it, and as Odoo does. Pure. */

export interface NginxTarget {
  /** What locations are compared with: decoded, dots resolved, slashes merged. */
  readonly path: string;
  /** Without `?`. */
  readonly query: string;
  /** What is sent upstream when proxy_pass names no path: as it came. */
  readonly raw: string;
}

/** Reads origin-form and absolute-form (ngx_http_parse_request_line, ngx_http_parse_complex_uri); null: nginx answers 400. */
export function nginxTarget(target: string, mergeSlashes: boolean): NginxTarget | null {
  const origin = /^https?:\/\/[^/?#]*(.*)$/i.exec(target)?.[1] ?? target;
  const raw = origin === "" ? "/" : origin;
  if (!raw.startsWith("/")) return null;
  const beforeFragment = raw.split("#")[0] ?? "";
  const mark = beforeFragment.indexOf("?");
  const written = mark === -1 ? beforeFragment : beforeFragment.slice(0, mark);
  const decoded = decodeOnce(written);
  if (decoded === null || decoded.includes("\0")) return null;
  const path = resolveDots(mergeSlashes ? decoded.replaceAll(/\/{2,}/g, "/") : decoded);
  return path === null ? null : { path, query: mark === -1 ? "" : beforeFragment.slice(mark + 1), raw };
}

/** Odoo's reading of what it gets (measured on 16 to 19): decoded once, leading slashes and one trailing one dropped. */
export function odooPath(raw: string): string {
  const [written = ""] = raw.split(/[?#]/);
  const decoded = decodeOnce(written) ?? written;
  return `/${decoded.replace(/^\/+/, "").replace(/\/$/, "")}`;
}

function decodeOnce(text: string): string | null {
  if (/%(?![0-9A-Fa-f]{2})/.test(text)) return null;
  return text.replaceAll(/(?:%[0-9A-Fa-f]{2})+/g, (run) =>
    Buffer.from(run.replaceAll("%", ""), "hex").toString("utf8"),
  );
}

/** `.` and `..` taken out; null when they lead above the root. */
function resolveDots(path: string): string | null {
  if (!/\/\.{1,2}(?:\/|$)/.test(path)) return path;
  const kept: string[] = [];
  const parts = path.slice(1).split("/");
  for (const [index, part] of parts.entries()) {
    const isLast = index === parts.length - 1;
    if (part === "..") {
      if (kept.pop() === undefined) return null;
      if (isLast) kept.push("");
    } else if (part === ".") {
      if (isLast) kept.push("");
    } else kept.push(part);
  }
  return `/${kept.join("/")}`;
}
