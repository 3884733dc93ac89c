import { formatBytes } from "../../base/units.ts";
import { type Note, note, quoted } from "../note.ts";
import type { BackupFile, Backups } from "./read.ts";

const hourMs = 3_600_000;
/** One run a day, and two hours for it. */
const ageMsMax = 26 * hourMs;
/** Three runs are missing. */
const ageMsFatal = 74 * hourMs;
const sizeBytesLeast = 1024 * 1024;
/** A quarter of a year, and ten days. */
const drillMsMax = 100 * 24 * hourMs;

/** What the files of backups tell: how old, how large, of what, for whom to read. */
export function auditBackup(backups: Backups, nowMs: number): readonly Note[] {
  const place = { file: backups.path, line: null };
  if (backups.repository !== null)
    return [
      note(
        "backup-age",
        "skipped",
        `a repository of ${backups.repository}, whose files tell nothing; ask ${backups.repository === "restic" ? "restic snapshots" : "borg list"}`,
        place,
      ),
    ];
  const dumps = backups.files.filter(
    ({ kind }) => kind === "database" || kind === "both" || kind === "archive",
  );
  const [newest] = dumps;
  if (newest === undefined)
    return [
      note("backup-age", "fail", `no dump of a database in ${quoted(backups.path)}${cut(backups)}`, place),
      ...drill(backups, nowMs),
    ];
  return [
    age(newest, nowMs, backups),
    size(newest, dumps),
    complete(newest, backups),
    mode(newest, backups),
    encryption(newest),
    ...drill(backups, nowMs),
  ];
}

const placeOf = ({ path }: BackupFile) => ({ file: path, line: null });

function age(newest: BackupFile, nowMs: number, backups: Backups): Note {
  const id = "backup-age";
  const oldMs = nowMs - newest.changedMs;
  const words = `the newest dump is ${shownAge(oldMs)} old${cut(backups)}`;
  if (oldMs < -hourMs)
    return note(id, "warn", "the newest dump is from the future: a clock is wrong", placeOf(newest));
  if (oldMs > ageMsFatal) return note(id, "fail", words, placeOf(newest));
  return note(id, oldMs > ageMsMax ? "warn" : "pass", words, placeOf(newest));
}

function size(newest: BackupFile, dumps: readonly BackupFile[]): Note {
  const id = "backup-size";
  // A dump of many files is judged by none of them.
  if (newest.path.endsWith("toc.dat")) return note(id, "skipped", "the dump is a folder", placeOf(newest));
  if (newest.sizeBytes < sizeBytesLeast)
    return note(id, "fail", `the newest dump has ${formatBytes(newest.sizeBytes)} only`, placeOf(newest));
  const ending = /\.[^.]+$/.exec(newest.path)?.[0] ?? "";
  const before = dumps.find(
    (one) =>
      one !== newest && one.kind === newest.kind && one.path.endsWith(ending) && stem(one) === stem(newest),
  );
  if (before !== undefined && newest.sizeBytes < before.sizeBytes / 2)
    return note(
      id,
      "warn",
      `the newest dump has ${formatBytes(newest.sizeBytes)}, the one before ${formatBytes(before.sizeBytes)}`,
      placeOf(newest),
    );
  return note(id, "pass", `the newest dump has ${formatBytes(newest.sizeBytes)}`, placeOf(newest));
}

/** The name without its date. */
function stem({ path }: BackupFile): string {
  return (path.split(/[\\/]/).at(-1) ?? "").replaceAll(/[0-9]+/g, "#");
}

function complete(newest: BackupFile, { files, isFolder }: Backups): Note {
  const id = "backup-complete";
  if (newest.kind === "both")
    return note(id, "pass", "Odoo's own zip holds database and filestore", placeOf(newest));
  const filestore = files.find(({ kind }) => kind === "filestore");
  if (filestore === undefined)
    return newest.kind === "archive" || !isFolder
      ? note(
          id,
          "skipped",
          newest.kind === "archive" ? "an archive that may hold both" : "one file is named; name the folder",
          placeOf(newest),
        )
      : note(id, "fail", "there is a dump of the database, and no filestore", placeOf(newest));
  const apartMs = Math.abs(newest.changedMs - filestore.changedMs);
  // A folder that is copied into keeps its own time.
  return !filestore.isFolder && apartMs > ageMsMax
    ? note(id, "fail", `dump and filestore are ${shownAge(apartMs)} apart`, placeOf(filestore))
    : note(
        id,
        "pass",
        filestore.isFolder
          ? "a folder filestore lies beside; how old it is, is not known"
          : "database and filestore are there",
        placeOf(filestore),
      );
}

function mode(newest: BackupFile, backups: Backups): Note {
  const id = "backup-mode";
  const shown = `mode ${(newest.mode & 0o7777).toString(8).padStart(4, "0")}`;
  if (newest.mode === 0) return note(id, "skipped", "this system has no file modes", placeOf(newest));
  const isShut = backups.isFolder && (backups.mode & 0o007) === 0;
  if ((newest.mode & 0o004) === 0 || isShut)
    return note(id, "pass", isShut ? "the folder is closed to others" : shown, placeOf(newest));
  return note(
    id,
    newest.isEncrypted ? "warn" : "fail",
    `${shown}: every user of the machine can read it`,
    placeOf(newest),
  );
}

function encryption(newest: BackupFile): Note {
  return newest.isEncrypted
    ? note("backup-encrypted", "pass", "by its name it is encrypted", placeOf(newest))
    : note("backup-encrypted", "warn", "by its name it is not encrypted", placeOf(newest));
}

function drill({ files, isFolder, path }: Backups, nowMs: number): readonly Note[] {
  if (!isFolder) return [];
  const id = "backup-drill";
  const last = files.find(({ kind }) => kind === "drill");
  if (last === undefined)
    return [
      note(id, "warn", "no file restore-drill says when a backup was last restored", {
        file: path,
        line: null,
      }),
    ];
  const oldMs = nowMs - last.changedMs;
  return [
    note(
      id,
      oldMs > drillMsMax ? "warn" : "pass",
      `the last restore was ${shownAge(oldMs)} ago`,
      placeOf(last),
    ),
  ];
}

function cut({ isCut }: Backups): string {
  return isCut ? " (the folder has more entries than are looked at)" : "";
}

function shownAge(ms: number): string {
  const hours = Math.max(0, Math.floor(ms / hourMs));
  return hours < 72 ? `${hours} h` : `${Math.floor(hours / 24)} days`;
}
