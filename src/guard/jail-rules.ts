import type { Settings } from "../settings/settings.ts";

/** So many marks within the window. */
export interface Threshold {
  readonly marks: number;
  readonly windowMs: number;
}

/** What turns failures into bans. */
export interface JailRules {
  /** Failures of one account from one address; null: not counted. */
  readonly pair: Threshold | null;
  /** Failures of one address over all accounts. */
  readonly address: Threshold;
  /** The address rule holds only while most of its attempts fail, so that an office behind one address is none. */
  readonly mostlyFailing: boolean;
  /** Failures of one account over all addresses, from which on strangers are slowed; null: never. */
  readonly account: Threshold | null;
  /** Requests only scanners make. */
  readonly scanner: Threshold;
  /** The first ban; each further one of the same address is twice as long, up to `banMsMax`. */
  readonly banMs: number;
  readonly banMsMax: number;
}

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
/** A scanner sends hundreds of these; a person with an odd bookmark, or an office with one infected machine, does not reach it soon. */
const scanner: Threshold = { marks: 20, windowMs: 10 * minuteMs };

const standard: JailRules = {
  pair: { marks: 5, windowMs: 10 * minuteMs },
  address: { marks: 20, windowMs: 10 * minuteMs },
  mostlyFailing: true,
  account: { marks: 20, windowMs: 10 * minuteMs },
  scanner,
  banMs: 2 * hourMs,
  banMsMax: 7 * 24 * hourMs,
};

/** fail2ban as the nginx guides set it up for Odoo: 5 failures of one address in 10 minutes, 2 hours. */
const guide: JailRules = {
  ...standard,
  pair: null,
  address: { marks: 5, windowMs: 10 * minuteMs },
  mostlyFailing: false,
  account: null,
};

/** Odoo's deployment documentation ("Blocking brute force attacks"): 10 in 60 seconds, 15 minutes. */
const official: JailRules = {
  ...guide,
  address: { marks: 10, windowMs: minuteMs },
  banMs: 15 * minuteMs,
};

/** The rules a setting stands for; null: nobody is banned. */
export function jailRules(kind: Settings["loginBans"]): JailRules | null {
  switch (kind) {
    case "standard":
      return standard;
    case "guide":
      return guide;
    case "official":
      return official;
    case "off":
      return null;
  }
}
