import { readFileSync, statSync, unlinkSync } from "node:fs";
import type { Clock } from "../base/clock.ts";
import type { Ip } from "../base/ip.ts";
import { emptyIpSet, type IpSet, parseIpSet } from "../base/ip-set.ts";
import type { Problem } from "../base/problem.ts";
import { err, ok, type Result } from "../base/result.ts";
import { isPassKey } from "./maintenance-pass.ts";
import { replaceFile } from "./replace-file.ts";

/** The file in STATE_DIR; there is none while maintenance is off. */
export const maintenanceFile = "maintenance.json";
/** Largest file that is read: a message and some networks fit many times. */
export const maintenanceBytesMax = 64 * 1024;
/** Most characters of the operator's message. */
export const maintenanceMessageCharsMax = 500;
/** Most networks that are let through. */
export const maintenanceNetworksMax = 64;
/** Longest announced end. */
export const maintenanceMsMax = 30 * 24 * 3_600_000;

/** The site is closed on purpose. */
export interface Closed {
  /** For people; empty takes our own sentence. */
  readonly message: string;
  /** It ends by itself at this moment; null: when an operator says so. */
  readonly untilWallMs: number | null;
  /** Clients that are let through. */
  readonly allow: IpSet;
  /** Browsers that have shown it are let through, too; null: there is none. */
  readonly passKey: string | null;
}

export interface MaintenanceOptions {
  /** Absolute path of the file; null: another process keeps it. */
  readonly path: string | null;
  readonly clock: Clock;
  /** Told when it is turned on, off, or has ended by itself. */
  readonly changed: (closed: Closed | null) => void;
}

/**
 * Is the site in maintenance. Kept in one small file that is replaced whole, so that a restart keeps it and a reader never
 * sees half of it. Where the file cannot be written the state holds in memory, and whoever changed it is told.
 */
export class Maintenance {
  readonly #options: MaintenanceOptions;
  #closed: Closed | null;

  constructor(options: MaintenanceOptions, closed: Closed | null) {
    this.#options = options;
    this.#closed = closed;
  }

  /** What holds now; null: the site is open. */
  get current(): Closed | null {
    const closed = this.#closed;
    if (closed === null) return null;
    if (closed.untilWallMs === null || closed.untilWallMs > this.#options.clock.wallMs()) return closed;
    this.turnOff();
    return null;
  }

  /** What this client is answered with; null: it goes through. One comparison while the site is open. */
  holds(client: Ip): Closed | null {
    if (this.#closed === null) return null;
    const closed = this.current;
    return closed === null || closed.allow.contains(client) ? null : closed;
  }

  /** Closes the site, or changes what is said meanwhile. Answers why a restart would forget it; null: it is written. */
  turnOn(closed: Closed): string | null {
    this.#closed = closed;
    this.#options.changed(closed);
    const { path } = this.#options;
    return path === null ? null : attempt(() => replaceFile(path, textOf(closed)));
  }

  /** Opens the site. Answers why a restart would close it again; null: it is written. */
  turnOff(): string | null {
    if (this.#closed !== null) {
      this.#closed = null;
      this.#options.changed(null);
    }
    const { path } = this.#options;
    return path === null ? null : attempt(() => unlinkSync(path), "ENOENT");
  }
}

/**
 * What the file says. No file, or an end that has passed: open. A file that is not what we wrote is a problem with its name:
 * whether the site should be closed is not guessed.
 */
export function loadMaintenance(path: string, wallMs: number): Result<Closed | null, Problem> {
  let text: string;
  try {
    if (statSync(path).size > maintenanceBytesMax) return torn(path);
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return ok(null);
    const thing = `cannot be read: ${textOfError(error)}`;
    return err({ place: path, thing, remedy: "make it readable for this user, or delete it" });
  }
  const closed = decode(text);
  if (closed === null) return torn(path);
  return ok(closed.untilWallMs !== null && closed.untilWallMs <= wallMs ? null : closed);
}

function torn(path: string): Result<never, Problem> {
  const remedy = "delete it, and turn maintenance on again if it is to last";
  return err({ place: path, thing: "is not what we wrote: torn or changed", remedy });
}

function textOf({ message, untilWallMs, allow, passKey }: Closed): string {
  const pass = passKey === null ? {} : { pass: passKey };
  return `${JSON.stringify({ maintenance: "on", message, until: untilWallMs, allow: allow.texts, ...pass })}\n`;
}

/** The state as one line of text, for another process; "" when the site is open. */
export function maintenanceText(closed: Closed | null): string {
  return closed === null ? "" : textOf(closed);
}

/** Reads `maintenanceText` back; null for the open site, and for anything else. */
export function readMaintenanceText(text: string): Closed | null {
  return text === "" ? null : decode(text);
}

function decode(text: string): Closed | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof value !== "object" || value === null) return null;
  const message: unknown = Reflect.get(value, "message");
  const until: unknown = Reflect.get(value, "until");
  const allow: unknown = Reflect.get(value, "allow");
  if (Reflect.get(value, "maintenance") !== "on") return null;
  if (typeof message !== "string" || message.length > maintenanceMessageCharsMax) return null;
  if (until !== null && (typeof until !== "number" || !Number.isSafeInteger(until))) return null;
  const pass: unknown = Reflect.get(value, "pass") ?? null;
  if (pass !== null && !isPassKey(pass)) return null;
  const networks = readNetworks(allow);
  return networks === null ? null : { message, untilWallMs: until, allow: networks, passKey: pass };
}

function readNetworks(value: unknown): IpSet | null {
  if (!Array.isArray(value) || value.length > maintenanceNetworksMax) return null;
  if (value.length === 0) return emptyIpSet;
  const set = parseIpSet(value.map(String));
  return set.ok ? set.value : null;
}

function attempt(work: () => void, fine?: string): string | null {
  try {
    work();
    return null;
  } catch (error) {
    return codeOf(error) === fine ? null : textOfError(error);
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
}

function textOfError(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
