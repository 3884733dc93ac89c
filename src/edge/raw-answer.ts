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

/** The two records of a message that never became an exchange: there is no method, no path, nothing but who sent it. */
export function recordUnread(
  { connection, status, code, id, plan, sink, clock }: RawAnswerInput,
  protocol: "HTTP/1" | "HTTP/2",
  bytesOut: number,
): void {
  const client = plan.addressShown(connection.peer);
  sink.emit({
    type: "refused",
    id,
    client: connection.peer.text,
    code,
    detail: "the message could not be read",
  });
  sink.emit({
    type: "access",
    wallMs: clock.wallMs(),
    id,
    client,
    peer: client,
    protocol,
    method: "-",
    host: "-",
    target: "-",
    status,
    bytesIn: 0,
    bytesOut,
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
}

/** The bytes that answer a message over HTTP/1 that could not be read, and its two records. */
export function rawAnswer(input: RawAnswerInput): Buffer {
  const { connection, status, id, plan, clock } = input;
  const answer = errorAnswer({ status, facts: null, exchangeId: id, detail: "", retryAfterSeconds: null });
  recordUnread(input, "HTTP/1", answer.body.length);
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
