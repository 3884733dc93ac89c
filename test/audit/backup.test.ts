import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { auditBackup } from "../../src/audit/backup/audit-backup.ts";
import { type BackupDisk, entriesMax, type FileFacts, readBackups } from "../../src/audit/backup/read.ts";
import { processSurroundings } from "../../src/audit/surroundings.ts";
import { nowMs } from "../support/audit.ts";

const hourMs = 3_600_000;
const mebibyte = 2 ** 20;

/** A file by age in hours, size in MiB and mode. */
const file = (hours: number, mebibytes = 100, mode = 0o100600): FileFacts => ({
  isFolder: false,
  isFile: true,
  sizeBytes: mebibytes * mebibyte,
  changedMs: nowMs - hours * hourMs,
  mode,
});
const folder: FileFacts = { isFolder: true, isFile: false, sizeBytes: 0, changedMs: nowMs, mode: 0o040755 };

function diskOf(files: Readonly<Record<string, FileFacts>>): BackupDisk {
  return {
    readFolder: (path) => {
      const names = Object.keys(files).filter((one) => one.startsWith(`${path}/`));
      return [...new Set(names.map((one) => one.slice(path.length + 1).split("/", 1)[0] ?? ""))];
    },
    factsOf: (path) =>
      files[path] ?? (Object.keys(files).some((one) => one.startsWith(`${path}/`)) ? folder : null),
  };
}

/** `id: outcome` of each finding that is no pass. */
function said(files: Readonly<Record<string, FileFacts>>, path = "b"): readonly string[] {
  const backups = readBackups(path, diskOf(files));
  if (backups === null) return ["nothing"];
  return auditBackup(backups, nowMs)
    .filter(({ outcome }) => outcome !== "pass")
    .map(({ id, outcome }) => `${id}: ${outcome}`);
}

const good = {
  "b/prod-1121.dump.gpg": file(5),
  "b/prod-1120.dump.gpg": file(29),
  "b/filestore-1121.tar.zst.gpg": file(5),
  "b/restore-drill": file(500),
  "b/backup.log": file(0),
};

t.test("a day's dump with its filestore, encrypted, closed and once restored", async (t) => {
  t.same(said(good), []);
});

t.test("dumps that are missing, old, small or smaller than before", async (t) => {
  const dump = (facts: FileFacts) =>
    said({ ...good, "b/prod-1120.dump.gpg": file(60), "b/prod-1121.dump.gpg": facts });
  t.same(said({ "b/backup.log": file(0) }), ["backup-age: fail", "backup-drill: warn"]);
  t.same(dump(file(27)), ["backup-age: warn"]);
  t.same(dump(file(-3)), ["backup-age: warn"], "from the future");
  t.same(dump(file(5, 0.9)), ["backup-size: fail"]);
  t.same(dump(file(5, 40)), ["backup-size: warn"]);
  const old = { "b/a.dump.gpg": file(80), "b/filestore.tgz.gpg": file(80), "b/restore-test.txt": file(1) };
  t.same(said(old), ["backup-age: fail"]);
});

t.test("a dump without its filestore, or with an old one", async (t) => {
  const { "b/filestore-1121.tar.zst.gpg": _, ...alone } = good;
  t.same(said(alone), ["backup-complete: fail"]);
  t.same(said({ ...good, "b/filestore-1121.tar.zst.gpg": file(60) }), ["backup-complete: fail"]);
  t.same(said({ ...alone, "b/filestore/prod/ab/abcd": file(9_000) }), [], "a folder keeps its own time");
  t.same(said({ "b/prod.zip.age": file(1), "b/restore-drill": file(1) }), [], "Odoo's zip holds both");
  t.same(said({ "b/odoo.tar.gz.gpg": file(1), "b/restore-drill": file(1) }), ["backup-complete: skipped"]);
});

t.test("who may read it", async (t) => {
  const open = { ...good, "b/prod-1121.dump.gpg": file(5, 100, 0o100644) };
  t.same(said(open), ["backup-mode: warn"]);
  t.same(said({ "b/prod.zip": file(5, 100, 0o100644), "b/restore-drill": file(1) }), [
    "backup-mode: fail",
    "backup-encrypted: warn",
  ]);
  t.same(said({ ...open, b: { ...folder, mode: 0o040700 } }), [], "the folder is shut");
});

t.test("folders by date, a dump of many files, one file alone, and repositories", async (t) => {
  t.same(
    said({
      "b/2026-11-21/prod.sql.gz.gpg": file(3),
      "b/2026-11-21/filestore.tar.gpg": file(3),
      "b/restore_drill.md": file(3),
    }),
    [],
  );
  t.same(said({ "b/prod/toc.dat": file(3, 0.1), "b/filestore/x": file(3), "b/restore-drill": file(3) }), [
    "backup-size: skipped",
    "backup-encrypted: warn",
  ]);
  t.same(said(good, "b/prod-1121.dump.gpg"), ["backup-complete: skipped"]);
  t.same(said({ "b/config": file(1), "b/data/00": file(1), "b/snapshots/a": file(1) }), [
    "backup-age: skipped",
  ]);
  t.same(said({}), ["nothing"]);
});

t.test("a folder with more entries than are looked at says so", async (t) => {
  const many = Object.fromEntries(
    Array.from({ length: entriesMax + 5 }, (_, at) => [`b/x${at}.log`, file(1)]),
  );
  const backups = readBackups("b", diskOf(many));
  t.equal(backups?.isCut, true);
  if (backups !== null) t.match(auditBackup(backups, nowMs)[0]?.seen, /more entries than are looked at/);
});

t.test("a real folder: links in a circle end, and times, sizes and modes are the disk's", async (t) => {
  const path = mkdtempSync(join(tmpdir(), "odoo-gateway-backup-"));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  mkdirSync(join(path, "filestore"));
  writeFileSync(join(path, "prod.dump"), Buffer.alloc(2 * mebibyte));
  utimesSync(join(path, "prod.dump"), new Date(nowMs - hourMs), new Date(nowMs - hourMs));
  chmodSync(join(path, "prod.dump"), 0o600);
  symlinkSync(".", join(path, "again"));
  const { readFolder, factsOf } = processSurroundings();
  const backups = readBackups(path, { readFolder, factsOf });
  t.not(backups, null);
  const notes = backups === null ? [] : auditBackup(backups, nowMs);
  t.match(
    notes.map(({ id, outcome }) => `${id}: ${outcome}`),
    [
      "backup-age: pass",
      "backup-size: pass",
      "backup-complete: pass",
      "backup-mode: pass",
      "backup-encrypted: warn",
      "backup-drill: warn",
    ],
  );
});
