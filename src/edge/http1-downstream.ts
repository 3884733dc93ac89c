import type { Socket } from "node:net";
import type { Ip } from "../base/ip.ts";
import { atTurnEnd, type Due, turnOrder } from "../base/turn-end.ts";
import type { Attendant, Downstream, ReplyFraming } from "../exchange.ts";
import type { Likeness, Protocol, RawFields } from "../message/facts.ts";
import { answerHead } from "./answer-head.ts";
import type { InboundBody } from "./inbound-body.ts";
import type { RequestHead } from "./request-reader.ts";

/** What an exchange needs of the connection it came on. */
export interface Carrier {
  readonly socket: Socket;
  readonly peer: Ip;
  readonly secure: boolean;
  readonly localPort: number;
  readonly isReport: boolean;
  /** Every answer closes its connection now. */
  readonly isDraining: boolean;
  /** The answer is out, or cannot be finished. */
  over(): void;
  /** The client did not take what was written: it is cut when it goes on like that. */
  watchSending(): void;
  /** Ends the connection with a reset. */
  reset(): void;
  /** Hands the socket over, with the bytes that came behind the head; null when the request did not ask for it. */
  leave(): Buffer | null;
}

/** An answer of at most this many bytes is joined with its head into one write. */
const joinBytesMax = 64 * 1024;

/** One HTTP/1 exchange as the gateway sees it. */
export class Http1Downstream implements Downstream, Due {
  readonly protocol: Protocol;
  readonly method: string;
  readonly target: string;
  readonly fields: RawFields;
  readonly likeness: Likeness | null;
  readonly authority = null;
  readonly scheme = null;
  readonly peer: Ip;
  readonly secure: boolean;
  readonly localPort: number;
  readonly isReport: boolean;
  readonly body: InboundBody | null;
  readonly expectsContinue: boolean;
  readonly arrivedMs: number;
  readonly #carrier: Carrier;
  readonly #leaves: boolean;
  #closes: boolean;
  #attendant: Attendant | null = null;
  #drainListener: (() => void) | null = null;
  #framing: ReplyFraming["kind"] = "none";
  #endsWithConnection = false;
  #hasStarted = false;
  #ended = false;
  #over = false;
  /** A whole answer that leaves at the end of this turn: past the socket's queue, which costs as much as its copy. */
  #whole: Buffer | null = null;
  /** Writes that the system has not taken yet. */
  #unsent = 0;

  constructor(
    carrier: Carrier,
    head: RequestHead,
    body: InboundBody | null,
    arrivedMs: number,
    isLast: boolean,
  ) {
    this.#carrier = carrier;
    this.protocol = head.protocol;
    this.method = head.method;
    this.target = head.target;
    this.fields = head.fields;
    this.likeness = head.likeness;
    this.peer = carrier.peer;
    this.secure = carrier.secure;
    this.localPort = carrier.localPort;
    this.isReport = carrier.isReport;
    this.body = body;
    this.expectsContinue = head.expectsContinue;
    this.arrivedMs = arrivedMs;
    this.#leaves = head.leaves;
    this.#closes = isLast || head.leaves || head.framing.kind === "refused";
  }

  get hasStarted(): boolean {
    return this.#hasStarted;
  }

  /** No request behind this one is taken. */
  get closes(): boolean {
    return this.#closes;
  }

  /** What follows its head belongs to a tunnel, if there will be one. */
  get leaves(): boolean {
    return this.#leaves;
  }

  /** The connection is gone. */
  gone(): void {
    if (this.#over) return;
    this.#over = true;
    this.body?.gone();
    this.#attendant?.gone();
  }

  breakOff(status: number, code: string): void {
    this.#closes = true;
    this.#attendant?.broken(status, code);
    // Whoever collects it is told that no more comes, and lets go of what he has.
    this.body?.gone();
  }

  drained(): void {
    this.#drainListener?.();
  }

  sendContinue(): void {
    if (!this.#over) this.#carrier.socket.write("HTTP/1.1 100 Continue\r\n\r\n", "latin1");
  }

  sendHints(): void {}

  answer(status: number, fields: readonly string[], body: Buffer | null, close: boolean): void {
    if (this.#over) return;
    // What is sent without being read is not trusted to end where it says.
    if (close || this.body?.isOpen === true || this.body?.isUnread === true) this.#closes = true;
    const length = status === 204 || status === 304 ? null : (body?.length ?? 0);
    const head = this.#head(status, fields, length === null ? "" : lengthLine(length));
    this.#hasStarted = true;
    this.#ended = true;
    if (body === null || body.length === 0 || this.method === "HEAD") this.#writeText(head);
    else if (body.length <= joinBytesMax) {
      this.#whole = joined(head, body);
      atTurnEnd(turnOrder.answer, this);
    } else {
      const { socket } = this.#carrier;
      socket.cork();
      this.#writeText(head);
      this.#write(body);
      socket.uncork();
    }
  }

  start(status: number, fields: readonly string[], framing: ReplyFraming): void {
    if (this.#over) return;
    this.#endsWithConnection = framing.kind === "stream" && this.protocol === "HTTP/1.0";
    if (this.#endsWithConnection) this.#closes = true;
    this.#framing = framing.kind;
    let framed = framing.kind === "length" ? lengthLine(framing.bytes) : "";
    if (framing.kind === "stream" && !this.#endsWithConnection) framed = "Transfer-Encoding: chunked\r\n";
    const head = this.#head(status, fields, framed);
    this.#hasStarted = true;
    // What comes in the same turn as the head leaves with it.
    this.#gather();
    this.#writeText(head);
  }

  write(chunk: Buffer): boolean {
    if (this.#over || chunk.length === 0) return true;
    if (this.#framing !== "stream" || this.#endsWithConnection) return this.#write(chunk);
    const { socket } = this.#carrier;
    socket.cork();
    this.#writeText(`${chunk.length.toString(16)}\r\n`);
    this.#write(chunk);
    const took = this.#writeText("\r\n");
    socket.uncork();
    return took;
  }

  end(): void {
    if (this.#over || this.#ended) return;
    this.#ended = true;
    if (this.#framing === "stream" && !this.#endsWithConnection) this.#writeText("0\r\n\r\n");
    else if (this.#unsent === 0) this.#sent();
  }

  cut(): void {
    // Where the end of the connection is the end of the answer, only a reset tells the two apart (RFC 9112 §8).
    if (this.#endsWithConnection) this.#carrier.reset();
    this.#carrier.socket.destroy();
  }

  attend(attendant: Attendant): void {
    this.#attendant = attendant;
  }

  onDrain(listener: () => void): void {
    this.#drainListener = listener;
  }

  upgrade(
    status: number,
    fields: readonly string[],
  ): { readonly socket: Socket; readonly head: Buffer } | null {
    if (this.#over || !this.#leaves) return null;
    const text = answerHead(status, fields);
    const head = this.#carrier.leave();
    if (head === null) return null;
    this.#over = true;
    const { socket } = this.#carrier;
    socket.write(text, "latin1");
    return { socket, head };
  }

  #head(status: number, fields: readonly string[], framed: string): string {
    if (this.#carrier.isDraining) this.#closes = true;
    let lines = framed;
    // RFC 9110 §7.8: an Upgrade field (426) goes with the connection option of that name.
    if (this.#closes) lines += status === 426 ? "Connection: close, upgrade\r\n" : "Connection: close\r\n";
    else if (this.protocol === "HTTP/1.0") lines += "Connection: keep-alive\r\n";
    return answerHead(status, fields, lines);
  }

  /** What is written from here on leaves at the end of this turn, in one piece. */
  #gather(): void {
    this.#carrier.socket.cork();
    atTurnEnd(turnOrder.answer, this);
  }

  due(): void {
    const whole = this.#whole;
    if (whole === null) return this.#carrier.socket.uncork();
    this.#whole = null;
    this.#write(whole);
  }

  readonly #leave = (): void => this.due();

  #write(bytes: Buffer): boolean {
    const { socket } = this.#carrier;
    this.#unsent += 1;
    const took = socket.write(bytes, this.#onWritten);
    if (took) return true;
    this.#carrier.watchSending();
    // As much as one write takes gains nothing from waiting; what Odoo still has would be taken for a slow client's.
    if (socket.writableCorked > 0) process.nextTick(this.#leave);
    return false;
  }

  #writeText(text: string): boolean {
    this.#unsent += 1;
    const took = this.#carrier.socket.write(text, "latin1", this.#onWritten);
    if (!took) this.#carrier.watchSending();
    return took;
  }

  readonly #onWritten = (error?: Error | null): void => {
    this.#unsent -= 1;
    // A failed write is followed by the connection's close.
    if (error === null || error === undefined) {
      if (this.#ended && this.#unsent === 0) this.#sent();
    }
  };

  #sent(): void {
    if (this.#over) return;
    this.#over = true;
    this.#attendant?.sent();
    this.#carrier.over();
  }
}

function joined(head: string, body: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(head.length + body.length);
  bytes.write(head, 0, "latin1");
  body.copy(bytes, head.length);
  return bytes;
}

function lengthLine(bytes: number): string {
  return `Content-Length: ${bytes}\r\n`;
}
