import type { Clock } from "../base/clock.ts";
import { unreachable } from "../base/result.ts";
import type { Ban } from "../guard/ban-table.ts";
import type { Exhausted, Grant } from "../guard/limiter.ts";
import type { RequestFacts } from "../message/facts.ts";
import { firstField } from "../message/fields.ts";
import { redactTarget } from "../message/redact.ts";
import type { EventSink } from "../observe/events.ts";
import { banAnswer } from "../reply/ban.ts";
import { errorAnswer } from "../reply/pages.ts";
import type { RunningExchange } from "../running.ts";
import { failureAnswer } from "../upstream/failure.ts";
import type { BodyTrouble } from "../upstream/request-body.ts";

/** The answers that end an exchange before Odoo is asked, each with its event. */
export class Answering {
  readonly #parts: { readonly sink: EventSink; readonly clock: Clock };

  constructor(parts: { readonly sink: EventSink; readonly clock: Clock }) {
    this.#parts = parts;
  }

  error(
    x: RunningExchange,
    status: number,
    detail: string,
    more: {
      readonly retryAfterSeconds?: number | null;
      readonly bodyBytesMax?: number;
      readonly extraFields?: readonly string[];
      readonly jsonRpc?: boolean;
      readonly close?: boolean;
    } = {},
  ): void {
    const answer = errorAnswer({
      status,
      facts: x.facts,
      exchangeId: x.id,
      detail,
      retryAfterSeconds: more.retryAfterSeconds ?? null,
      bodyBytesMax: more.bodyBytesMax ?? null,
      extraFields: more.extraFields ?? [],
      jsonRpc: more.jsonRpc ?? false,
    });
    x.reply(answer, more.close ?? false);
  }

  /** A client's fault: its status, an event, a closed connection. */
  refuse(
    x: RunningExchange,
    status: number,
    code: string,
    detail: string,
    more: { readonly extraFields?: readonly string[] } = {},
  ): void {
    const client = x.facts?.client.text ?? x.down.peer.text;
    if (code === "host-unknown" || code === "host-unknown-plain") {
      const host = x.down.authority ?? firstField(x.down.fields, "host") ?? "";
      this.#parts.sink.emit({ type: "unknown-host", client, host });
    }
    this.refused(x, code, detail);
    this.error(x, status, detail, { extraFields: more.extraFields ?? [], close: true });
  }

  refused(x: RunningExchange, code: string, detail: string): void {
    x.rule = code;
    x.verdict = "refuse";
    const client = x.facts?.client.text ?? x.down.peer.text;
    this.#parts.sink.emit({ type: "refused", id: x.id, client, code, detail });
  }

  denied(x: RunningExchange, facts: RequestFacts, rule: string): void {
    x.rule = rule;
    const target = redactTarget(facts.target);
    this.#parts.sink.emit({ type: "denied", id: x.id, client: facts.client.text, rule, target });
  }

  /** `detail`: what the client reads; empty: the sentence of 429. */
  exhausted(
    x: RunningExchange,
    facts: RequestFacts,
    limit: string,
    retryAfterSeconds: number,
    detail = "",
  ): void {
    x.limit = limit;
    x.verdict = "limited";
    this.#parts.sink.emit({
      type: "limited",
      id: x.id,
      client: facts.client.text,
      limit,
      rule: x.rule,
      retryAfterSeconds,
    });
    this.error(x, 429, detail, { retryAfterSeconds });
  }

  /** What the limiter said: a grant to settle, or null and 429. */
  granted(x: RunningExchange, facts: RequestFacts, answer: Grant | Exhausted): Grant | null {
    if (answer.ok && !x.isOver) return answer;
    if (answer.ok) answer.settle("unsent");
    else this.exhausted(x, facts, answer.limit, answer.retryAfterSeconds);
    return null;
  }

  tooLarge(x: RunningExchange, bytesMax: number): void {
    x.verdict = "refuse";
    this.#parts.sink.emit({
      type: "refused",
      id: x.id,
      client: x.facts?.client.text ?? x.down.peer.text,
      code: "body-too-large",
      detail: `the body is larger than ${bytesMax} bytes`,
    });
    this.error(x, 413, "", { bodyBytesMax: bytesMax, close: true });
  }

  banned(x: RunningExchange, ban: Ban): void {
    x.rule = `ban-${ban.reason}`;
    x.verdict = "banned";
    if (x.plan.settings.banAnswer === "drop") {
      x.status = 499;
      return x.cut();
    }
    const { facts, id: exchangeId } = x;
    const wallMs = this.#parts.clock.wallMs();
    x.reply(banAnswer({ ...ban, facts, exchangeId, wallMs }), true);
  }

  bodyTrouble(x: RunningExchange, trouble: BodyTrouble, bytesMax: number): void {
    switch (trouble) {
      case "too-large":
        return this.tooLarge(x, bytesMax);
      case "too-slow":
        return this.refuse(x, 408, "body-too-slow", "The request's body came too slowly.");
      case "client-left":
        // A body that was broken off has its answer already.
        return x.isOver ? undefined : x.end(499);
      case "no-room": {
        x.failure = "spool-full";
        const answer = failureAnswer("spool-full");
        return this.error(x, answer.status, answer.sentence, {
          retryAfterSeconds: answer.retryAfterSeconds,
          close: true,
        });
      }
      default:
        return unreachable(trouble);
    }
  }
}
