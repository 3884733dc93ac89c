import type { RequestFacts } from "../message/facts.ts";
import { wantsHtml } from "../message/json-caller.ts";
import type { EventSink, FailureKind } from "../observe/events.ts";
import type { Relay } from "../relay.ts";
import { holdPage } from "../reply/hold-page.ts";
import type { RunningExchange } from "../running.ts";
import { failureAnswer } from "../upstream/failure.ts";
import type { Shed } from "../upstream/lanes.ts";
import type { Answering } from "./answering.ts";

/** Odoo did not answer, or was not asked for want of a worker: what the client and the log are told. */
export class NoAnswer {
  readonly #sink: EventSink;
  readonly #answer: Answering;

  constructor(sink: EventSink, answer: Answering) {
    this.#sink = sink;
    this.#answer = answer;
  }

  tryFailed({ id }: RunningExchange, failure: FailureKind, detail: string, member: string): void {
    this.#sink.emit({ type: "upstream-failed", id, failure, member, detail });
  }

  /** The upstream leg failed: a page when nothing went out yet, else a cut. */
  failed(x: RunningExchange, facts: RequestFacts, kind: FailureKind, relay: Relay | null): void {
    x.failure = kind;
    if (relay?.hasStarted === true) {
      relay.close();
      return x.cut();
    }
    if ((kind === "connect-refused" || kind === "connect-failed") && mayAskAgain(facts)) {
      const retryAfterSeconds = 5 + Math.floor(Math.random() * 5);
      return x.reply(holdPage({ reason: "restarting", retryAfterSeconds, exchangeId: x.id }), false);
    }
    const answer = failureAnswer(kind);
    this.#answer.error(x, answer.status, answer.sentence, { retryAfterSeconds: answer.retryAfterSeconds });
  }

  /** Odoo has no worker for it, and others came first. */
  shed(x: RunningExchange, facts: RequestFacts, shed: Shed, queueMs: number): void {
    const { lane, reason, retryAfterSeconds } = shed;
    x.verdict = "shed";
    this.#sink.emit({
      type: "shed",
      id: x.id,
      client: facts.client.text,
      lane,
      reason,
      queueMs: Math.round(queueMs),
      rule: x.rule,
    });
    if (mayAskAgain(facts))
      return x.reply(holdPage({ reason: "busy", retryAfterSeconds, exchangeId: x.id }), false);
    this.#answer.error(x, 503, "The application has more to do than it can at the moment.", {
      retryAfterSeconds,
    });
  }
}

/** A page that may load itself again: nothing is sent a second time. */
function mayAskAgain(facts: RequestFacts): boolean {
  return facts.method === "GET" && facts.upgrade === null && wantsHtml(facts);
}
