import type { Clock } from "../base/clock.ts";
import { type AlertName, alertNames } from "./conditions.ts";
import { Growth } from "./growth.ts";

/** How things stand at one moment, over all processes. Everything in it is ours: no text of a client or an authority. */
export interface AlertReading {
  /** What a question to Odoo's web port came to: `silent` takes connections and does not answer. */
  readonly odoo: "up" | "down" | "silent";
  /** How long requests have known that Odoo is away; null: they know nothing of it. */
  readonly odooAwayMs: number | null;
  readonly isBusUp: boolean;
  /** Somebody said that there is a bus port, or it was seen. */
  readonly isBusExpected: boolean;
  readonly members: readonly { readonly pool: string; readonly member: string; readonly up: boolean }[];
  /** null: the site is open. */
  readonly maintenance: { readonly hasEnd: boolean } | null;
  /** Why no exchanges should be sent here, in words of ours; empty: they should. */
  readonly notReady: string;
  readonly certificates: readonly {
    readonly name: string;
    readonly notBeforeMs: number;
    readonly notAfterMs: number;
  }[];
  /** Orders that failed since the last certificate. */
  readonly certificateFailures: number;
  readonly spoolBytes: number;
  readonly spoolBytesMax: number;
  /** What is wrong with the disk of STATE_DIR, in words of ours; empty: nothing. */
  readonly disk: string;
  readonly isReloadRefused: boolean;
  /** The whole gateway ended without being told to, and was started again. */
  readonly isRestarted: boolean;
  /** Since the start; none of them goes back. */
  readonly totals: {
    readonly exchanges: number;
    readonly failures: number;
    readonly serverErrors: number;
    /** But those of crawlers. */
    readonly shed: number;
    readonly loginFailures: number;
    /** But those made by hand. */
    readonly bans: number;
    /** Payment routes that were answered with 5xx. */
    readonly paymentErrors: number;
    readonly sessionsMoved: number;
    readonly logLinesDropped: number;
    readonly workersLost: number;
    readonly errors: number;
  };
}

/** A condition that holds. */
export interface Finding {
  readonly name: AlertName;
  readonly sinceWallMs: number;
  /** Figures behind the title; may be empty. */
  readonly detail: string;
}

const secondMs = 1_000;
const minuteMs = 60 * secondMs;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;

/** Least failures within the window of a rate: three requests at night are no rate. */
const failuresLeast = 10;
/** Most names that stand in one message. */
const namesMax = 5;

/** What is learnt about Odoo while it is closed on purpose, or while it is away, is no news. */
const ofOdoo: ReadonlySet<AlertName> = new Set<AlertName>([
  "OdooGatewayOdooAway",
  "OdooGatewayOdooFails",
  "OdooGatewayServerErrors",
  "OdooGatewaySheds",
  "OdooGatewayMemberDown",
  "OdooGatewayBusDown",
  "OdooGatewayPaymentsFail",
]);

/**
 * Which conditions hold. The thresholds are those of docs/prometheus/alerts.yml. Pure but for what it remembers: since when something
 * is so, and totals of up to an hour.
 */
export class AlertWatch {
  readonly #clock: Clock;
  /** When it began to look. */
  readonly #begunMs: number;
  readonly #since = new Map<AlertName, number>();
  readonly #found = new Map<AlertName, Finding>();
  readonly #grown = {
    exchanges: new Growth(5 * minuteMs),
    failures: new Growth(5 * minuteMs),
    serverErrors: new Growth(5 * minuteMs),
    shed: new Growth(5 * minuteMs),
    loginFailures: new Growth(10 * minuteMs),
    bans: new Growth(hourMs),
    paymentErrors: new Growth(15 * minuteMs),
    sessionsMoved: new Growth(15 * minuteMs),
    logLinesDropped: new Growth(10 * minuteMs),
    workersLost: new Growth(15 * minuteMs),
    errors: new Growth(15 * minuteMs),
  };

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#begunMs = clock.nowMs();
  }

  /** `awayMs`: how long Odoo has to be away (ALERT_AFTER). */
  look(reading: AlertReading, awayMs: number): readonly Finding[] {
    const nowMs = this.#clock.nowMs();
    const { totals } = reading;
    const grown = {
      exchanges: Math.max(1, this.#grown.exchanges.read(nowMs, totals.exchanges)),
      failures: this.#grown.failures.read(nowMs, totals.failures),
      serverErrors: this.#grown.serverErrors.read(nowMs, totals.serverErrors),
      shed: this.#grown.shed.read(nowMs, totals.shed),
      loginFailures: this.#grown.loginFailures.read(nowMs, totals.loginFailures),
      bans: this.#grown.bans.read(nowMs, totals.bans),
      paymentErrors: this.#grown.paymentErrors.read(nowMs, totals.paymentErrors),
      sessionsMoved: this.#grown.sessionsMoved.read(nowMs, totals.sessionsMoved),
      logLinesDropped: this.#grown.logLinesDropped.read(nowMs, totals.logLinesDropped),
      workersLost: this.#grown.workersLost.read(nowMs, totals.workersLost),
      errors: this.#grown.errors.read(nowMs, totals.errors),
    };
    const isAway = reading.odoo === "down";
    const see = (name: AlertName, holds: boolean, forMs: number, detail = "", sinceMs = nowMs) => {
      // Odoo is stopped on purpose, or its being away says it all. What was found before stays until it is over.
      const isNoNews =
        ofOdoo.has(name) && (reading.maintenance !== null || (isAway && name !== "OdooGatewayOdooAway"));
      this.#see(name, holds && (!isNoNews || this.#found.has(name)), forMs, detail, sinceMs);
    };

    see("OdooGatewayOdooAway", isAway, awayMs, "", nowMs - (reading.odooAwayMs ?? 0));
    const isFailing = grown.failures >= failuresLeast && grown.failures / grown.exchanges > 0.05;
    const fails =
      reading.odoo === "silent"
        ? "it takes connections and says nothing"
        : `${grown.failures} of ${grown.exchanges} in 5 minutes`;
    see("OdooGatewayOdooFails", isFailing || reading.odoo === "silent", 5 * minuteMs, fails);
    const isBroken = grown.serverErrors >= failuresLeast && grown.serverErrors / grown.exchanges > 0.1;
    const errors = `${grown.serverErrors} of ${grown.exchanges} in 5 minutes`;
    see("OdooGatewayServerErrors", isBroken, 5 * minuteMs, errors);
    see("OdooGatewaySheds", grown.shed > 30, 5 * minuteMs, `${grown.shed} turned away in 5 minutes`);
    const down = downMembers(reading.members);
    see("OdooGatewayMemberDown", down.length > 0, 10 * minuteMs, named(down));
    see("OdooGatewayBusDown", reading.isBusExpected && !reading.isBusUp, 5 * minuteMs);
    see("OdooGatewayNotReady", reading.notReady !== "", 5 * minuteMs, reading.notReady);
    this.#seeCertificates(reading);
    const failed = reading.certificateFailures;
    see("OdooGatewayCertificateFails", failed > 2, 0, `${failed} tries failed`);
    see("OdooGatewayGuessing", grown.loginFailures > 100, 0, `${grown.loginFailures} in 10 minutes`);
    see("OdooGatewayManyBans", grown.bans > 50, 0, `${grown.bans} in an hour`);
    const payments = grown.paymentErrors;
    see("OdooGatewayPaymentsFail", payments > 3, 0, `${payments} in 15 minutes`);
    const moved = grown.sessionsMoved;
    see("OdooGatewaySessionMoved", moved > 0, 0, moved > 1 ? `${moved} in 15 minutes` : "");
    const isFull = reading.spoolBytes / reading.spoolBytesMax > 0.8;
    const spool = isFull ? "four fifths of SPOOL_MAX are taken" : reading.disk;
    see("OdooGatewaySpoolFull", spool !== "", 5 * minuteMs, spool);
    see("OdooGatewayReloadRefused", reading.isReloadRefused, 0);
    see("OdooGatewayLogLinesLost", grown.logLinesDropped > 0, 0, `${grown.logLinesDropped} in 10 minutes`);
    // One with an end opens the site by itself.
    see("OdooGatewayMaintenanceForgotten", reading.maintenance?.hasEnd === false, 6 * hourMs);
    // One that was started again is news for as long as a worker that was.
    const isRestarted = reading.isRestarted && nowMs - this.#begunMs < 15 * minuteMs;
    const lost = isRestarted ? "all of it, and it was started again" : `${grown.workersLost} in 15 minutes`;
    see("OdooGatewayWorkerLost", grown.workersLost > 0 || isRestarted, 0, lost);
    see("OdooGatewayInternalError", grown.errors > 0, 0, `${grown.errors} in 15 minutes`);
    return alertNames.flatMap((name) => this.#found.get(name) ?? []);
  }

  #seeCertificates({ certificates }: AlertReading): void {
    const wallMs = this.#clock.wallMs();
    const ending = certificates.filter(({ notBeforeMs, notAfterMs }) => {
      // Of one that lives a few days, the last quarter: it is renewed long before that.
      const leastMs = Math.min(7 * dayMs, (notAfterMs - notBeforeMs) / 4);
      return notAfterMs - wallMs < leastMs;
    });
    const hasEnded = ending.some(({ notAfterMs }) => notAfterMs <= wallMs);
    const detail = named(ending.map(({ name, notAfterMs }) => `${name} ${leftWords(notAfterMs - wallMs)}`));
    // At a start one that ends is just being renewed.
    this.#see("OdooGatewayCertificateEnds", ending.length > 0, hasEnded ? 0 : hourMs, detail);
  }

  #see(name: AlertName, holds: boolean, forMs: number, detail: string, sinceMs = this.#clock.nowMs()): void {
    if (!holds) {
      this.#since.delete(name);
      this.#found.delete(name);
      return;
    }
    const begunMs = Math.min(this.#since.get(name) ?? sinceMs, sinceMs);
    this.#since.set(name, begunMs);
    const nowMs = this.#clock.nowMs();
    if (nowMs - begunMs < forMs) return;
    const sinceWallMs = this.#found.get(name)?.sinceWallMs ?? this.#clock.wallMs() - (nowMs - begunMs);
    this.#found.set(name, { name, sinceWallMs, detail });
  }
}

/** Those that are down where others are up: where all are, other conditions say so. */
function downMembers(members: AlertReading["members"]): readonly string[] {
  const up = new Set(members.filter((one) => one.up).map(({ pool }) => pool));
  return members
    .filter((one) => !one.up && up.has(one.pool))
    .map(({ pool, member }) => `${member} (${pool})`);
}

function named(names: readonly string[]): string {
  const more = names.length - namesMax;
  return [...names.slice(0, namesMax), ...(more > 0 ? [`${more} more`] : [])].join(", ");
}

function leftWords(leftMs: number): string {
  if (leftMs <= 0) return "has ended";
  const days = Math.floor(leftMs / dayMs);
  if (days >= 1) return `in ${days} ${days === 1 ? "day" : "days"}`;
  const hours = Math.floor(leftMs / hourMs);
  return `in ${hours} ${hours === 1 ? "hour" : "hours"}`;
}
