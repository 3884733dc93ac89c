import type { Ban } from "../guard/ban-table.ts";
import type { JailDoor } from "../guard/jail.ts";
import type { RequestFacts } from "../message/facts.ts";
import { wantsHtml } from "../message/json-caller.ts";
import type { RunningExchange } from "../running.ts";
import type { AnswerFlow } from "../upstream/answer-buffer.ts";
import type { Answering } from "./answering.ts";

export interface GuessGateEnds {
  /** Odoo's side, to pause while the supervisor is asked. */
  readonly flow: AnswerFlow;
  /** The ban that holds now that the attempt is counted. */
  readonly banNow: () => Ban | null | Promise<Ban | null>;
  /** Answers with the ban's page. Not called when the exchange is over. */
  readonly banned: (ban: Ban) => void;
  readonly isOver: () => boolean;
}

/**
 * Holds back the page that answers a browser's attempt to log in until it is known whether a ban holds now. Odoo's page would come
 * without styles and scripts then, since nothing more is accepted, and with nothing about why. Whatever the attempt's outcome: after a ban no answer
 * tells a right password from a wrong one. At most what tells the outcome (`answerBytesMax`) and what was read with it is kept.
 */
export class GuessGate {
  readonly #ends: GuessGateEnds;
  /** What to do when the page may go out, in order; null: it may, or it never will. */
  #kept: (() => void)[] | null = [];
  #asked = false;

  constructor(ends: GuessGateEnds) {
    this.#ends = ends;
  }

  get isHolding(): boolean {
    return this.#kept !== null;
  }

  keep(step: () => void): void {
    this.#kept?.push(step);
  }

  /** The attempt has been counted: now it is decided. */
  judge(): void {
    if (this.#asked) return;
    this.#asked = true;
    const asked = this.#ends.banNow();
    if (!(asked instanceof Promise)) return this.#decide(asked);
    const { flow } = this.#ends;
    flow.pause();
    void asked.then((ban) => {
      flow.resume();
      this.#decide(ban);
    });
  }

  /** Odoo failed before the answer was whole: another page is shown. */
  drop(): void {
    this.#kept = null;
    this.#asked = true;
  }

  #decide(ban: Ban | null): void {
    const kept = this.#kept ?? [];
    this.#kept = null;
    if (this.#ends.isOver()) return;
    if (ban !== null) return this.#ends.banned(ban);
    for (const step of kept) step();
  }
}

/** guard/jail: a gate for a browser's attempt to log in; null: this answer does not wait. */
export function guessGate(
  x: RunningExchange,
  facts: RequestFacts,
  more: { readonly answer: Answering; readonly parts: { readonly jail: JailDoor } },
  flow: AnswerFlow,
): GuessGate | null {
  const { attempt } = x;
  if (attempt === null || x.ticket === null || facts.method !== "POST" || !wantsHtml(facts)) return null;
  return new GuessGate({
    flow,
    banNow: () => more.parts.jail.banAfter(attempt.address),
    banned: (ban) => more.answer.banned(x, ban),
    isOver: () => x.isOver,
  });
}
