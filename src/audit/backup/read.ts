/** What lies in a folder of backups, by name, time and size; nothing is opened. Pure; the disk comes as an argument. */
import { basename, join } from "node:path";

export interface FileFacts {
  readonly isFolder: boolean;
  readonly isFile: boolean;
  readonly sizeBytes: number;
  readonly changedMs: number;
  readonly mode: number;
}

export interface BackupDisk {
  readonly readFolder: (path: string) => readonly string[] | null;
  /** null: there is no such file, or it cannot be looked at. */
  readonly factsOf: (path: string) => FileFacts | null;
}

/** database: a dump. both: Odoo's own zip. archive: it may hold either. drill: somebody has tried to restore. */
export type BackupKind = "database" | "filestore" | "both" | "archive" | "drill";

export interface BackupFile extends FileFacts {
  readonly path: string;
  readonly kind: BackupKind;
  readonly isEncrypted: boolean;
}

export interface Backups {
  readonly path: string;
  readonly isFolder: boolean;
  /** Mode of the folder or file that is named. */
  readonly mode: number;
  /** The newest first. */
  readonly files: readonly BackupFile[];
  /** A repository of restic or borg, whose files say nothing. */
  readonly repository: "restic" | "borg" | null;
  /** There were more entries than are looked at. */
  readonly isCut: boolean;
}

/** Most entries that are looked at, and how deep: a copied filestore has hundreds of thousands. */
export const entriesMax = 5_000;
const depthMax = 3;

const encrypted = /\.(?:gpg|pgp|asc|age|enc|aes)$/i;
const packed = /\.(?:gz|bz2|xz|zst|lz4|br)$/i;

/** null: there is nothing at that path, or it may not be read. */
export function readBackups(path: string, disk: BackupDisk): Backups | null {
  const own = disk.factsOf(path);
  if (own === null || (own.isFolder && disk.readFolder(path) === null)) return null;
  const files: BackupFile[] = [];
  let left = entriesMax;
  const add = (place: string, facts: FileFacts) => {
    const kind = kindOf(basename(place), facts.isFolder);
    if (kind !== null) files.push({ ...facts, path: place, kind, isEncrypted: encrypted.test(place) });
  };
  const descend = (folder: string, depth: number): void => {
    for (const name of [...(disk.readFolder(folder) ?? [])].sort().reverse()) {
      if (left <= 0) return;
      left -= 1;
      const place = join(folder, name);
      const facts = name.startsWith(".") ? null : disk.factsOf(place);
      if (facts === null) continue;
      // Its folders are named by hashes; and a dump of many files has one that tells.
      if (facts.isFile || (facts.isFolder && /filestore/i.test(name))) add(place, facts);
      else if (facts.isFolder && depth < depthMax) descend(place, depth + 1);
    }
  };
  if (own.isFolder) descend(path, 1);
  else add(path, own);
  const names = new Set(own.isFolder ? disk.readFolder(path) : []);
  const repository =
    !names.has("config") || !names.has("data")
      ? null
      : names.has("snapshots")
        ? "restic"
        : names.has("README")
          ? "borg"
          : null;
  return {
    path,
    isFolder: own.isFolder,
    mode: own.mode,
    files: files.sort((one, other) => other.changedMs - one.changedMs),
    repository,
    isCut: left <= 0,
  };
}

function kindOf(name: string, isFolder: boolean): BackupKind | null {
  if (/restore[-_. ]?(?:drill|test)/i.test(name)) return isFolder ? null : "drill";
  if (isFolder) return "filestore";
  const bare = name.replace(encrypted, "").replace(packed, "");
  if (/\.(?:log|txt|md5|sha\d+|sig|json|sh|tmp|part)$/i.test(bare)) return null;
  if (/\.zip$/i.test(bare)) return /filestore/i.test(bare) ? "filestore" : "both";
  if (/filestore|attachments|data[-_]?dir/i.test(bare)) return "filestore";
  if (/\.(?:dump|sql|pgdump|backup|pg|custom)$/i.test(bare) || bare === "toc.dat") return "database";
  return /\.(?:tar|tgz|tzst|7z)$/i.test(bare) ? "archive" : null;
}
