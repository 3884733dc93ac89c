import { err, ok, type Result } from "../base/result.ts";
import type { RawFields } from "../message/facts.ts";
import { nameIs } from "../message/fields.ts";
import type { ByteRange } from "../message/validators.ts";

/** A file of Odoo's filestore that an answer names in place of its body. */
export interface NamedFile {
  readonly database: string;
  /** `<database>/<xx>/<sha1>`: below the filestore, of plain characters. */
  readonly path: string;
}

/** Without a filestore: what an operator can do. */
export const noFilestore =
  "the body is empty and a field names a file for the proxy to send: set ODOO_FILESTORE to the folder filestore in Odoo's data_dir, or x_sendfile = False in odoo.conf";

/**
 * With `x_sendfile` Odoo names a file of its disk in place of each attachment and bundle (odoo/http.py, Stream.get_response, 16 to 19). As an answer that would be an
 * empty file, which browsers keep for a year.
 */
export function isFileNamed(status: number, fields: RawFields): boolean {
  if (status !== 200 && status !== 206) return false;
  let isEmpty = false;
  let isNamed = false;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] ?? "";
    if (nameIs(name, "content-length")) isEmpty = Number(fields[i + 1]) === 0;
    else isNamed ||= isFileField(name);
  }
  return isEmpty && isNamed;
}

/** One of the two fields that name a file, in any case. */
export function isFileField(name: string): boolean {
  return nameIs(name, "x-sendfile") || nameIs(name, "x-accel-redirect");
}

/**
 * Odoo writes the name as it is, without escapes. A database is what Odoo lets anybody make (DBNAME_PATTERN, addons/web/controllers/database.py) and PostgreSQL's 63 bytes; the
 * folder is the first two digits of the sha1, three where OpenERP 7 wrote the file.
 */
const filePath = /^\/web\/filestore\/([A-Za-z0-9][A-Za-z0-9_.-]{0,62})\/([0-9a-f]{2,3})\/([0-9a-f]{40})$/;

/**
 * The file these fields name, or why that has no one meaning. `X-Accel-Redirect` says it relative to the filestore; what `X-Sendfile` says, an absolute path on Odoo's
 * own disk, has to end alike. `database`: the only one whose files may be named; null: any.
 */
export function readNamedFile(fields: RawFields, database: string | null): Result<NamedFile, string> {
  let redirect: string | null = null;
  let sendfile: string | null = null;
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const name = fields[i] ?? "";
    if (!isFileField(name)) continue;
    const isRedirect = nameIs(name, "x-accel-redirect");
    if ((isRedirect ? redirect : sendfile) !== null) return err("a field that names a file stands twice");
    if (isRedirect) redirect = fields[i + 1] ?? "";
    else sendfile = fields[i + 1] ?? "";
  }
  if (redirect === null)
    return err("X-Sendfile without X-Accel-Redirect, which Odoo writes from 16 on: set x_sendfile = False");
  const match = filePath.exec(redirect);
  const [, of = "", folder = "", sha1 = ""] = match ?? [];
  if (match === null || !sha1.startsWith(folder))
    return err(
      "X-Accel-Redirect is no /web/filestore/<database>/<xx>/<sha1> with a database of letters, digits, _ . and -: nothing else is sent",
    );
  const path = `${of}/${folder}/${sha1}`;
  if (sendfile !== null && !sendfile.endsWith(`/${path}`))
    return err("X-Sendfile and X-Accel-Redirect name two files");
  if (database !== null && of !== database)
    return err(
      `a file of the database "${of}" is named, and this site is set to "${database}" (DATABASE, hosts:): compare with dbfilter in odoo.conf`,
    );
  return ok({ database: of, path });
}

const contentRange = /^bytes ([0-9]{1,15})-([0-9]{1,15})\/([0-9]{1,15})$/;

/**
 * What of a file of `bytes` belongs to the answer: all of it, or what Content-Range says (RFC 9110 §14.4), which Odoo wrote when it had judged Range and If-Range. A string
 * is what is wrong: the file on this disk is not the one Odoo looked at.
 */
export function namedPart(status: number, fields: RawFields, bytes: number): ByteRange | string {
  const ranges: string[] = [];
  for (let i = 0; i + 1 < fields.length; i += 2)
    if (nameIs(fields[i] ?? "", "content-range")) ranges.push(fields[i + 1] ?? "");
  if (status !== 206)
    return ranges.length === 0 ? { first: 0, last: bytes - 1 } : "Content-Range in an answer that is no 206";
  const match = ranges.length === 1 ? contentRange.exec(ranges[0] ?? "") : null;
  if (match === null) return "206 without one Content-Range in bytes";
  const [first, last, size] = [Number(match[1]), Number(match[2]), Number(match[3])];
  if (size !== bytes)
    return `Odoo counts ${size} bytes, and the file here has ${bytes}: is it Odoo's own filestore?`;
  return first <= last && last < size ? { first, last } : "Content-Range lies outside the file";
}

/** The fields of the answer with the file as its body: without what named it. */
export function filledFields(fields: RawFields, bytes: number): string[] {
  const out: string[] = [];
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const name = fields[i] ?? "";
    if (!isFileField(name) && !nameIs(name, "content-length")) out.push(name, fields[i + 1] ?? "");
  }
  out.push("Content-Length", String(bytes));
  return out;
}
