import type { ExchangeId } from "../base/brands.ts";
import type { Clock } from "../base/clock.ts";
import { http } from "../base/node-http.ts";
import type { EventSink } from "../observe/events.ts";
import type { Plan } from "../plan.ts";
import { errorAnswer } from "../reply/pages.ts";
import type { Connection } from "./http1.ts";

export interface RawAnswerInput {
  readonly connection: Connection;
  readonly status: number;
  /** Stable code of the refusal. */
  readonly code: string;
  readonly id: ExchangeId;
  readonly plan: Plan;
  readonly sink: EventSink;
  readonly clock: Clock;
}

/**
 * The bytes that answer a message the parser refused, and its two records. It never became an exchange: there is no method, no
 * path, nothing but who sent it.
 */
export function rawAnswer(input: RawAnswerInput): Buffer {
  const { connection, status, code, id, plan, sink, clock } = input;
  const client = connection.peer.text;
  const answer = errorAnswer({ status, facts: null, exchangeId: id, detail: "", retryAfterSeconds: null });
  sink.emit({ type: "refused", id, client, code, detail: "the message could not be read" });
  sink.emit({
    type: "access",
    wallMs: clock.wallMs(),
    id,
    client,
    peer: client,
    protocol: "HTTP/1",
    method: "-",
    host: "-",
    target: "-",
    status,
    bytesIn: 0,
    bytesOut: answer.body.length,
    rule: code,
    verdict: "refuse",
    limit: null,
    failure: null,
    cache: null,
    totalMs: 0,
    upstreamMs: null,
    lane: null,
    queueMs: 0,
    userAgent: "",
  });
  const security = plan.security.classFor(null, connection.secure).own;
  const fields = [
    ...answer.fields,
    ...security,
    "Content-Length",
    String(answer.body.length),
    "Connection",
    "close",
  ];
  let head = `HTTP/1.1 ${status} ${http.STATUS_CODES[status] ?? ""}\r\nDate: ${new Date(clock.wallMs()).toUTCString()}\r\n`;
  for (let i = 0; i < fields.length; i += 2) head += `${fields[i]}: ${fields[i + 1]}\r\n`;
  return Buffer.concat([Buffer.from(`${head}\r\n`, "latin1"), answer.body]);
}
