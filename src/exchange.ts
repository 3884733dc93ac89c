import type { Socket } from "node:net";
import type { Ip } from "./base/ip.ts";
import type { Likeness, Protocol, RawFields } from "./message/facts.ts";
import type { BodySource } from "./upstream/body-source.ts";

/** How the end of what we send is found. */
export type ReplyFraming =
  | { readonly kind: "none" }
  | { readonly kind: "length"; readonly bytes: number }
  | { readonly kind: "stream" };

/** Who hears how an exchange goes on the client's side. */
export interface Attendant {
  /** The client left before the answer's end. */
  gone(): void;
  /** Every byte of the answer was handed to the system. */
  sent(): void;
  /** The body turned out malformed while it came; it can still be answered. */
  broken(status: number, code: string): void;
}

/**
 * The client's side of one exchange, the same for HTTP/1 and HTTP/2: what the edge hands to the gateway.
 * Exactly one of `answer` and `start` is called, once. After `gone` everything is ignored.
 */
export interface Downstream {
  readonly protocol: Protocol;
  readonly method: string;
  readonly target: string;
  readonly fields: RawFields;
  /** What equal fields of this connection have in common; null: nothing is known to be equal. */
  readonly likeness: Likeness | null;
  /** HTTP/2 `:authority` and `:scheme`; null on HTTP/1. */
  readonly authority: string | null;
  readonly scheme: string | null;
  readonly peer: Ip;
  readonly secure: boolean;
  readonly localPort: number;
  /** It came in by the report listener. */
  readonly isReport: boolean;
  /** The request body; null when the message cannot have one. */
  readonly body: BodySource | null;
  /** The client waits for 100 before it sends its body. */
  readonly expectsContinue: boolean;
  readonly arrivedMs: number;
  sendContinue(): void;
  /** 103 with these fields, in front of the answer (RFC 8297). HTTP/1 does not send it: there clients and proxies that do not know it take it for the answer. */
  sendHints(fields: readonly string[]): void;
  /**
   * A whole answer. `fields` without Content-Length; a frozen list is known again, and written once for all answers it is given to. `close`: end the
   * connection behind it (HTTP/2: only this stream ends).
   */
  answer(status: number, fields: readonly string[], body: Buffer | null, close: boolean): void;
  /** The head of an answer whose body follows by `write` and `end`. */
  start(status: number, fields: readonly string[], framing: ReplyFraming): void;
  /** False when the client reads too slowly; `onDrain` is called when it caught up. */
  write(chunk: Buffer): boolean;
  end(): void;
  /** Ends so that the client cannot take what it has for the whole (RFC 9112 §8: reset or missing last chunk). */
  cut(): void;
  /** Who is told; nobody is before. */
  attend(attendant: Attendant): void;
  onDrain(listener: () => void): void;
  /** Turns the connection into a tunnel after writing this head; null on HTTP/2 and without an upgrade. */
  upgrade(
    status: number,
    fields: readonly string[],
  ): { readonly socket: Socket; readonly head: Buffer } | null;
}
