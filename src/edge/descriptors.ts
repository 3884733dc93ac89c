import { close, open, readFileSync } from "node:fs";
import { edgeBounds } from "./bounds.ts";

/** Files of our own: logs, journals, certificates, DNS, the event loop. */
const ownFiles = 64;

/** What each listener may take of the descriptors; the rest is for Odoo's side and for spool files. */
const shares = { tls: 0.5, plain: 0.15, report: 0.1 } as const;
const connectionsMin = 16;
/** Of what is left for Odoo's side: files of its filestore that are being sent. */
const filesShare = 0.1;
const filesMin = 16;

/**
 * Most connections one listener takes: `edgeBounds.connectionsMax`, and where the system gives fewer descriptors, its share of what is
 * left beside our own files, so that those who are in are served while those who come too late are closed at once.
 */
export function connectionsMax(
  kind: keyof typeof shares,
  descriptors: number | null = descriptorsMax(),
): number {
  if (descriptors === null) return edgeBounds.connectionsMax;
  const share = Math.floor((descriptors - ownFiles) * shares[kind]);
  return Math.max(connectionsMin, Math.min(edgeBounds.connectionsMax, share));
}

/** Most files of Odoo's filestore that are open at the same time: `most`, and where the system gives fewer descriptors, their share. */
export function filesMax(most: number, descriptors: number | null = descriptorsMax()): number {
  if (descriptors === null) return most;
  return Math.max(filesMin, Math.min(most, Math.floor((descriptors - ownFiles) * filesShare)));
}

/** How often is looked whether there is a descriptor left. */
const lookMs = 5_000;

/**
 * Tells when no descriptor is left. The system's event loop accepts and closes connections then without a word to us
 * (libuv's reserve descriptor), so that it is asked for one now and then. Answers how to end the watch.
 */
export function watchDescriptors(trouble: (detail: string) => void): () => void {
  const timer = setInterval(() => {
    open("/dev/null", "r", (error, fd) => {
      if (error === null) return close(fd, () => {});
      if (error.code !== "EMFILE" && error.code !== "ENFILE") return;
      trouble(
        `no file descriptor is left (${error.code}): connections are closed at once; raise LimitNOFILE`,
      );
    });
  }, lookMs);
  timer.unref();
  return () => clearInterval(timer);
}

/** The process's bound on open descriptors; null where it cannot be read (not Linux) or is none. */
function descriptorsMax(): number | null {
  try {
    const line = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "latin1"));
    return line === null ? null : Number(line[1]);
  } catch {
    return null;
  }
}
