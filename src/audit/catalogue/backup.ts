/** What is looked at in files of backups. docs/checks/inside.md is made from it. */
import { type AuditCheck, check } from "./entry.ts";

export const backupChecks: readonly AuditCheck[] = [
  check(
    "backup-age",
    "There is a backup of the last day",
    "A job that fails in silence is noticed on the day the backup is needed.",
    "Look at the job's own log; run it daily, and this check after it.",
    "guide 1, guide 2, guide 4",
  ),
  check(
    "backup-size",
    "The backup is no empty shell",
    "A dump that broke off, or of the wrong database, is small; the smallest database of Odoo makes more than a megabyte.",
    "pg_restore --list FILE says whether it can be read; let the job end with an error below 1 MiB.",
    "guide 1",
  ),
  check(
    "backup-complete",
    "Database and filestore are saved together",
    "Attachments lie in the filestore: without it every document and image of the restored database is gone.",
    "Save data_dir/filestore/NAME right after the dump, or use Odoo's own zip.",
    "guide 2, guide 4; guide 1's script leaves it out",
  ),
  check(
    "backup-mode",
    "Only its owner reads the backup",
    "A backup is the whole database with all its passwords, without any log-in.",
    "chmod 700 the folder, and umask 077 in the job.",
    "guide 1, guide 2",
  ),
  check(
    "backup-encrypted",
    "The backup is encrypted",
    "Who gets at the disk, or the storage it is copied to, reads everything.",
    "gpg --encrypt --recipient KEY, or age -r KEY, with the private key on another machine; then remove the plain file.",
    "guide 1",
  ),
  check(
    "backup-drill",
    "A restore was tried this quarter",
    "A backup that was never restored is a hope.",
    "Restore the newest backup to a staging machine, log in, open an attachment; then touch restore-drill in the folder of the backups.",
    "guide 2",
  ),
];
