import { closeSync, constants, type Dirent, opendirSync, openSync, realpathSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Problem } from "../base/problem.ts";
import { whoWeAre } from "../upstream/filestore.ts";

/** Entries of one folder that are looked at. */
const entriesMax = 1_000;
/** Databases of which a file is tried. */
const databasesMax = 50;

const databaseName = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/;
const folderName = /^[0-9a-f]{2,3}$/;
const fileName = /^[0-9a-f]{40}$/;

export interface FilestoreLook {
  readonly problems: readonly Problem[];
  /** What works and is probably not meant. */
  readonly warnings: readonly Problem[];
}

/**
 * Is ODOO_FILESTORE a filestore, and can a file of each database be read: told now and not at the first attachment. A folder that Odoo has yet to make, at its first file, is no problem.
 */
export function lookAtFilestore(directory: string): FilestoreLook {
  const problem = (thing: string, remedy: string): FilestoreLook => ({
    problems: [told(directory, thing, remedy)],
    warnings: [],
  });
  const entries = entriesOf(directory);
  if (typeof entries === "string") return withoutEntries(directory, entries, problem);
  if (entries.length === 0) {
    const remedy = "nothing to do with a new Odoo; otherwise the mount is missing, or of another volume";
    return { problems: [], warnings: [told(directory, "is empty", remedy)] };
  }
  if (folderOfFiles(directory, entries) !== null)
    return problem(
      "is the folder of one database",
      `name the one above it: ODOO_FILESTORE=${dirname(directory)}`,
    );
  const databases = entries.filter((one) => databaseName.test(one.name)).slice(0, databasesMax);
  const looks = databases.map((one) => lookAtDatabase(directory, one.name));
  const warnings = looks.filter((look) => typeof look !== "string");
  const isOne = looks.includes("good") || warnings.length > 0 || !looks.includes("other");
  if (isOne && looks.length > 0) return { problems: [], warnings };
  return databases.some(({ name }) => name === "filestore")
    ? problem("is Odoo's data_dir", `set ODOO_FILESTORE=${join(directory, "filestore")}`)
    : problem(
        "is no filestore: there is no <database>/<xx>/<sha1> in it",
        "name the folder filestore in Odoo's data_dir",
      );
}

function withoutEntries(
  directory: string,
  code: string,
  problem: (thing: string, remedy: string) => FilestoreLook,
): FilestoreLook {
  if (code === "ENOENT" && typeof entriesOf(dirname(directory)) !== "string") {
    const remedy = "Odoo makes it with its first file; otherwise look at the path and at the mount";
    return { problems: [], warnings: [told(directory, "is not there yet", remedy)] };
  }
  switch (code) {
    case "ENOENT":
      return problem(
        "does not exist",
        "name the folder filestore in Odoo's data_dir, and mount it (read-only)",
      );
    case "ENOTDIR":
      return problem("is no folder", "name the folder filestore in Odoo's data_dir");
    case "EACCES":
    case "EPERM":
      return problem(
        `cannot be read by ${whoWeAre()} (${code})`,
        "run the gateway with Odoo's user or group, or let it read the folder",
      );
    default:
      return problem(`cannot be read (${code})`, "look at the disk or its mount");
  }
}

/** "good": a file of it can be read. "none": it has none, or none yet. "other": no folder of a database. */
function lookAtDatabase(directory: string, name: string): Problem | "good" | "none" | "other" {
  const folder = join(directory, name);
  const unread = (code: string, what: string) =>
    told(
      directory,
      `holds ${what}, which cannot be read by ${whoWeAre()} (${code})`,
      "run the gateway with Odoo's user or group: its downloads would be 502",
    );
  const entries = entriesOf(folder);
  if (typeof entries === "string") return entries === "ENOTDIR" ? "other" : unread(entries, name);
  if (entries.length === 0) return "none";
  const found = folderOfFiles(folder, entries);
  if (found === null) {
    // Odoo's sessions lie in folders of two digits, too.
    return entries.every((one) => folderName.test(one.name) || one.name === "checklist") ? "none" : "other";
  }
  if (found.file === null) return unread(found.code, join(name, found.folder));
  const file = join(name, found.folder, found.file);
  if (!realpathOf(join(directory, file)).startsWith(`${realpathOf(directory)}/`))
    return told(
      directory,
      `holds ${file}, which lies elsewhere, behind a symbolic link`,
      "mount the folder itself: nothing outside ODOO_FILESTORE is sent",
    );
  const code = openTrouble(join(directory, file));
  return code === null ? "good" : unread(code, file);
}

/** The first `<xx>` with a file of that beginning, or that cannot be looked into; null: there is none. */
function folderOfFiles(
  directory: string,
  entries: readonly Dirent[],
): { readonly folder: string; readonly file: string | null; readonly code: string } | null {
  for (const { name } of entries) {
    if (!folderName.test(name)) continue;
    const files = entriesOf(join(directory, name));
    if (files === "EACCES" || files === "EPERM") return { folder: name, file: null, code: files };
    if (typeof files === "string") continue;
    const file = files.find((one) => fileName.test(one.name) && one.name.startsWith(name));
    if (file !== undefined) return { folder: name, file: file.name, code: "" };
  }
  return null;
}

/** The first entries of a folder, or why there are none to see: the system's code. */
function entriesOf(path: string): readonly Dirent[] | string {
  try {
    const folder = opendirSync(path);
    try {
      const entries: Dirent[] = [];
      while (entries.length < entriesMax) {
        const entry = folder.readSync();
        if (entry === null) break;
        entries.push(entry);
      }
      return entries;
    } finally {
      folder.closeSync();
    }
  } catch (error) {
    return codeOf(error);
  }
}

function openTrouble(path: string): string | null {
  try {
    if (!statSync(path).isFile()) return "it is no file";
    closeSync(openSync(path, constants.O_RDONLY | constants.O_NONBLOCK));
    return null;
  } catch (error) {
    return codeOf(error);
  }
}

function realpathOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : String(error);
}

function told(directory: string, thing: string, remedy: string): Problem {
  return { place: "environment", thing: `ODOO_FILESTORE ${directory} ${thing}`, remedy };
}
