import { randomBytes } from "node:crypto";
import { connect } from "node:net";
import type { Clock } from "../base/clock.ts";
import { oneBehind } from "../base/one-behind.ts";
import { firstField } from "../message/fields.ts";
import { acceptFor } from "../message/handshake.ts";
import type { EventSink } from "../observe/events.ts";
import { AnswerReader } from "./answer-reader.ts";
import type { Member, Pool } from "./pool.ts";

/** Looks at most this often after a refused bus connection. */
const lookIntervalMs = 2_000;
/** While fallen back: how often the bus port is tried again. */
const restoreIntervalMs = 30_000;
const probeTimeoutMs = 3_000;
/** The warning that no websocket can be had comes again after this long. */
const warningIntervalMs = 600_000;

/**
 * Odoo with `workers=0` serves websockets on its web port and nothing on the bus port. When the bus port refuses and the
 * web port answers a real handshake with 101, the bus pool goes to the web port, with a warning, until the bus port is back. When
 * it does not, a warning says that there are no websockets.
 */
export class BusWatch {
  readonly #bus: Pool;
  readonly #busMember: Member;
  readonly #webMember: Member;
  readonly #sink: EventSink;
  readonly #clock: Clock;
  #lastLookMs = Number.NEGATIVE_INFINITY;
  #lastWarningMs = Number.NEGATIVE_INFINITY;
  #fallen = false;
  #timer: NodeJS.Timeout | null = null;

  constructor(bus: Pool, webMember: Member, sink: EventSink, clock: Clock) {
    this.#bus = bus;
    this.#busMember = bus.member;
    this.#webMember = webMember;
    this.#sink = sink;
    this.#clock = clock;
  }

  get hasFallenBack(): boolean {
    return this.#fallen;
  }

  /** At start, and after the bus pool was refused. */
  async look(): Promise<void> {
    const nowMs = this.#clock.nowMs();
    if (nowMs - this.#lastLookMs < lookIntervalMs) return;
    this.#lastLookMs = nowMs;
    await this.lookNow();
  }

  /** When another process has found something else than before. */
  readonly lookNow = oneBehind(() => this.#look());

  async #look(): Promise<void> {
    if (await accepts(this.#busMember)) return this.#restore();
    if (this.#fallen || this.#busMember.name === this.#webMember.name) return;
    if (!(await answersHandshake(this.#webMember))) return this.#warn();
    this.#fallen = true;
    this.#bus.redirect(this.#webMember);
    this.#sink.emit({ type: "bus-fallback", bus: this.#busMember.name, web: this.#webMember.name });
    this.#timer = setInterval(() => void this.look(), restoreIntervalMs);
    this.#timer.unref();
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  /** Odoo answers, but no port of it takes websockets. While it is away as a whole, other words say so. */
  async #warn(): Promise<void> {
    const nowMs = this.#clock.nowMs();
    if (nowMs - this.#lastWarningMs < warningIntervalMs || !(await accepts(this.#webMember))) return;
    this.#lastWarningMs = nowMs;
    const [bus, web] = [this.#busMember.name, this.#webMember.name];
    this.#sink.emit({
      type: "warning",
      what: "bus",
      detail: `nothing takes connections on ${bus}, and ${web} serves no websockets: Discuss and notifications get 502; look whether Odoo's gevent process runs, at gevent_port and http_interface in odoo.conf, and at ODOO_BUS_URL`,
    });
  }

  #restore(): void {
    if (!this.#fallen) return;
    this.#fallen = false;
    this.stop();
    this.#bus.redirect(this.#busMember);
    this.#sink.emit({ type: "bus-restored", bus: this.#busMember.name });
  }
}

/** Does somebody accept connections there. */
export function accepts(member: Member): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: member.host, port: member.port });
    const done = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(probeTimeoutMs, () => done(false));
    socket.on("connect", () => done(true));
    socket.on("error", () => done(false));
  });
}

/** A real WebSocket handshake, as a browser would; Odoo's prefork port answers it with an error at once. */
function answersHandshake(member: Member): Promise<boolean> {
  return new Promise((resolve) => {
    const key = randomBytes(16).toString("base64");
    const socket = connect({ host: member.host, port: member.port });
    const done = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    const reader = new AnswerReader("GET", true, {
      head: (head) => {
        done(head.status === 101 && firstField(head.fields, "sec-websocket-accept") === acceptFor(key));
      },
      data: () => {},
      end: () => {},
      failure: () => done(false),
    });
    socket.setTimeout(probeTimeoutMs, () => done(false));
    socket.on("error", () => done(false));
    socket.on("close", () => done(false));
    socket.on("data", (chunk: Buffer) => reader.push(chunk));
    socket.on("connect", () => {
      socket.write(
        `GET /websocket HTTP/1.1\r\nHost: ${member.name}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
          `Sec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\nOrigin: http://${member.name}\r\n\r\n`,
      );
    });
  });
}
