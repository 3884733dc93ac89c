import { closeSync, fsyncSync, openSync, renameSync, writeSync } from "node:fs";
import { dirname } from "node:path";

/** Written beside, synced, put in place (0600): also after a power cut there is the old file or the new one. Throws what the disk says. */
export function replaceFile(path: string, text: string): void {
  const beside = `${path}.new`;
  const fd = openSync(beside, "w", 0o600);
  try {
    const bytes = Buffer.from(text);
    if (writeSync(fd, bytes) !== bytes.length) throw new Error("the disk is full");
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(beside, path);
  const folder = openSync(dirname(path), "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
