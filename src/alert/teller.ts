import type { Clock } from "../base/clock.ts";
import { type AlertName, alertNames, type Condition, conditionOf } from "./conditions.ts";
import type { AlertMessage } from "./message.ts";
import type { Finding } from "./watch.ts";

/** Something that was told is told again no sooner than this, doubled with each time up to the most; a quiet time forgets it. */
export const tellAgainMs = 300_000;
export const tellAgainMsMax = 3_600_000;
/** What holds on is told again after this. */
export const remindMs = 86_400_000;
/** Most messages in an hour, all conditions together. */
export const messagesPerHourMax = 20;
const hourMs = 3_600_000;

/** What people have been told of one condition. */
interface Told {
  isFiring: boolean;
  /** It holds now. */
  holds: boolean;
  /** When it last began to hold, and what was found then. */
  finding: Finding;
  /** Beginnings that were not told. */
  untold: number;
  toldMs: number;
  /** How long after `toldMs` it may be told again. */
  pauseMs: number;
}

/**
 * Turns what holds into messages: what differs from what people were told, as soon as it may be told. Nothing is lost by waiting: who comes
 * and goes in a pause is told with the number of times, if he is there at its end.
 */
export class Teller {
  readonly #clock: Clock;
  readonly #told = new Map<AlertName, Told>();
  /** Moments of the messages of the last hour. */
  #sentMs: number[] = [];
  #isHeldBack = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** More was to be told than an hour bears; the rest comes later. */
  get isHeldBack(): boolean {
    return this.#isHeldBack;
  }

  /** What people were told and was not taken back, in words of now. */
  firing(): readonly AlertMessage[] {
    return alertNames.flatMap((name) => {
      const told = this.#told.get(name);
      return told?.isFiring === true ? [messageOf(told, "firing", 1, false, null)] : [];
    });
  }

  /** What is to be told now that these hold; critical ones first. */
  update(findings: readonly Finding[]): readonly AlertMessage[] {
    const nowMs = this.#clock.nowMs();
    this.#sentMs = this.#sentMs.filter((ms) => nowMs - ms < hourMs);
    this.#learn(findings);
    const messages: AlertMessage[] = [];
    this.#isHeldBack = false;
    const order = [...this.#told.values()].sort((a, b) => weight(b) - weight(a));
    for (const told of order) {
      const message = this.#due(told, nowMs);
      if (message === null) continue;
      if (this.#sentMs.length >= messagesPerHourMax) {
        this.#isHeldBack = true;
        continue;
      }
      this.#sentMs.push(nowMs);
      this.#tell(told, message, nowMs);
      messages.push(message);
    }
    return messages;
  }

  #learn(findings: readonly Finding[]): void {
    const now = new Map(findings.map((finding) => [finding.name, finding]));
    for (const [name, told] of this.#told) if (!now.has(name)) told.holds = false;
    for (const [name, finding] of now) {
      const told = this.#told.get(name);
      if (told === undefined) {
        const pauseMs = 0;
        this.#told.set(name, { isFiring: false, holds: true, finding, untold: 1, toldMs: 0, pauseMs });
        continue;
      }
      if (!told.holds) told.untold += 1;
      told.holds = true;
      told.finding = finding;
    }
  }

  #due(told: Told, nowMs: number): AlertMessage | null {
    const { isFiring, holds, untold, toldMs, pauseMs } = told;
    if (isFiring && !holds) return messageOf(told, "resolved", 1, false, this.#clock.wallMs());
    if (isFiring && nowMs - toldMs >= remindMs) return messageOf(told, "firing", 1 + untold, true, null);
    if (isFiring || !holds || nowMs - toldMs < pauseMs) return null;
    return messageOf(told, "firing", untold, false, null);
  }

  #tell(told: Told, message: AlertMessage, nowMs: number): void {
    told.isFiring = message.state === "firing";
    if (message.state !== "firing") return;
    const isAgain = told.pauseMs > 0 && nowMs - told.toldMs < 2 * tellAgainMsMax && !message.isReminder;
    told.pauseMs = isAgain ? Math.min(2 * told.pauseMs, tellAgainMsMax) : tellAgainMs;
    told.toldMs = nowMs;
    told.untold = 0;
  }
}

function weight({ finding }: Told): number {
  return conditionOf(finding.name).severity === "critical" ? 1 : 0;
}

function messageOf(
  { finding }: Told,
  state: "firing" | "resolved",
  times: number,
  isReminder: boolean,
  endedWallMs: number | null,
): AlertMessage {
  const { name, detail, sinceWallMs } = finding;
  const { severity, title, over, meaning, remedy }: Condition = conditionOf(name);
  const isOver = state === "resolved";
  return {
    name,
    state,
    severity,
    sinceWallMs,
    endedWallMs,
    times,
    isReminder,
    summary: isOver ? over : detail === "" ? title : `${title}: ${detail}`,
    meaning: isOver ? `It was told as: ${title}.` : meaning,
    remedy: isOver ? "Nothing." : remedy,
  };
}
