import { createHash } from "node:crypto";
import type { Socket } from "node:net";
import type { Delays } from "./timers.ts";

/** Limits measured on Odoo 19: message size, burst of frames, then one each `RATE_DELAY_MS`. */
const MESSAGE_BYTES_MAX = 1024 * 1024;
const BURST_FRAMES = 10;
const RATE_DELAY_MS = 200;
/** A silent connection is pinged after this long, and cut this long after an unanswered ping. */
const PING_AFTER_MS = 40_000;
const PONG_WITHIN_MS = 15_000;
const SOCKETS_MAX = 10_000;
const FRAGMENTS_MAX = 10_000;

/** RFC 6455 §4.2.2. */
export function acceptKey(key: string): string {
  return createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
}

/** All open WebSockets, so that messages and log-outs reach them. */
export interface BusHub {
  /** Takes over a socket after the 101. `outdated`: closed at once with 1000 OUTDATED_VERSION. */
  take(socket: Socket, received: Buffer, sid: string, outdated: boolean): void;
  /** Sends a bus message to every socket. */
  notify(type: string, payload: unknown): void;
  /** Closes the sockets of a session that ended with 4001. */
  endSession(sid: string): void;
  readonly openCount: number;
  /** Gone without a close frame, as when the gevent process is killed. */
  destroyAll(): void;
}

interface Peer {
  readonly socket: Socket;
  readonly sid: string;
  send(text: string): void;
  close(code: number, reason: string): void;
}

export function createBusHub(delays: Delays, nowMs: () => number): BusHub {
  const peers = new Set<Peer>();
  let serial = 0;

  function message(type: string, payload: unknown): string {
    serial += 1;
    return JSON.stringify([{ id: serial, message: { type, payload } }]);
  }

  function onText(peer: Peer, text: string): void {
    const event = readEvent(text);
    // Unknown events, broken JSON and missing names are ignored; `subscribe` has no reply of its own.
    if (event?.name === "demo_echo") peer.send(message("demo_echo", event.data));
    else if (event?.name === "demo_notify") {
      const shared = message("demo_notify", event.data);
      for (const other of peers) other.send(shared);
    }
  }

  return {
    take(socket, received, sid, outdated) {
      if (peers.size >= SOCKETS_MAX) return void socket.destroy();
      const peer = openPeer(socket, received, sid, delays, nowMs, onText);
      peers.add(peer);
      socket.once("close", () => peers.delete(peer));
      if (outdated) peer.close(1000, "OUTDATED_VERSION");
    },
    notify(type, payload) {
      const text = message(type, payload);
      for (const peer of peers) peer.send(text);
    },
    endSession(sid) {
      for (const peer of peers) if (peer.sid === sid) peer.close(4001, "SESSION_EXPIRED");
    },
    get openCount() {
      return peers.size;
    },
    destroyAll() {
      for (const peer of peers) peer.socket.destroy();
    },
  };
}

function readEvent(text: string): { readonly name: string; readonly data: unknown } | null {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null || !("event_name" in value)) return null;
    const name = value.event_name;
    return typeof name === "string" ? { name, data: "data" in value ? value.data : null } : null;
  } catch {
    return null;
  }
}

function frame(opcode: number, payload: Buffer): Buffer {
  const size = payload.length;
  const head = Buffer.alloc(size < 126 ? 2 : size < 65_536 ? 4 : 10);
  head[0] = 0x80 | opcode;
  if (size < 126) head[1] = size;
  else if (size < 65_536) {
    head[1] = 126;
    head.writeUInt16BE(size, 2);
  } else {
    head[1] = 127;
    head.writeBigUInt64BE(BigInt(size), 2);
  }
  return Buffer.concat([head, payload]);
}

interface Frame {
  readonly fin: boolean;
  readonly opcode: number;
  readonly payload: Buffer;
  readonly frameBytes: number;
}

/** One frame from the front of `data`; null: not whole yet; a number: the code to close with. */
function readFrame(data: Buffer): Frame | number | null {
  if (data.length < 2) return null;
  const first = data.readUInt8(0);
  const second = data.readUInt8(1);
  const opcode = first & 0x0f;
  const fin = (first & 0x80) !== 0;
  if ((first & 0x70) !== 0 || ![0, 1, 2, 8, 9, 10].includes(opcode)) return 1002;
  if ((second & 0x80) === 0) return 1002;
  let size = second & 0x7f;
  if (opcode >= 8 && (size > 125 || !fin)) return 1002;
  let at = 2;
  if (size === 126) {
    if (data.length < 4) return null;
    size = data.readUInt16BE(2);
    at = 4;
  } else if (size === 127) {
    if (data.length < 10) return null;
    const long = data.readBigUInt64BE(2);
    if (long > BigInt(MESSAGE_BYTES_MAX)) return 1009;
    size = Number(long);
    at = 10;
  }
  if (size > MESSAGE_BYTES_MAX) return 1009;
  if (data.length < at + 4 + size) return null;
  const mask = data.subarray(at, at + 4);
  const payload = Buffer.from(data.subarray(at + 4, at + 4 + size));
  for (let i = 0; i < payload.length; i += 1)
    payload.writeUInt8(payload.readUInt8(i) ^ mask.readUInt8(i & 3), i);
  return { fin, opcode, payload, frameBytes: at + 4 + size };
}

function openPeer(
  socket: Socket,
  received: Buffer,
  sid: string,
  delays: Delays,
  nowMs: () => number,
  onText: (peer: Peer, text: string) => void,
): Peer {
  const utf8 = new TextDecoder("utf-8", { fatal: true });
  let held = received;
  let fragments: Buffer[] = [];
  let fragmentOpcode = 0;
  let fragmentBytes = 0;
  let closing = false;
  const frameTimesMs: number[] = [];
  let cancelAlarm = (): void => undefined;

  const peer: Peer = {
    socket,
    sid,
    send(text) {
      if (!closing && socket.writable) socket.write(frame(1, Buffer.from(text)));
    },
    close(code, reason) {
      if (closing) return;
      closing = true;
      const payload = Buffer.alloc(2 + Buffer.byteLength(reason));
      payload.writeUInt16BE(code, 0);
      payload.write(reason, 2);
      socket.end(frame(8, payload));
      expect(() => socket.destroy(), PONG_WITHIN_MS);
    },
  };

  function expect(then: () => void, withinMs: number): void {
    cancelAlarm();
    cancelAlarm = delays.alarm(then, withinMs);
  }

  function armPing(): void {
    expect(() => {
      socket.write(frame(9, Buffer.alloc(0)));
      expect(() => socket.destroy(), PONG_WITHIN_MS);
    }, PING_AFTER_MS);
  }

  /** The eleventh message within two seconds is one too many. */
  function tooFast(): boolean {
    const now = nowMs();
    const oldest = frameTimesMs[0];
    if (frameTimesMs.length >= BURST_FRAMES && oldest !== undefined) {
      if (now - oldest < RATE_DELAY_MS * BURST_FRAMES) return true;
      frameTimesMs.shift();
    }
    frameTimesMs.push(now);
    return false;
  }

  function onFrame(one: Frame): void {
    if (one.opcode === 8) {
      const code = one.payload.length >= 2 ? one.payload.readUInt16BE(0) : 1000;
      peer.close(code, "");
      return;
    }
    if (one.opcode === 9) return void socket.write(frame(10, one.payload));
    if (one.opcode === 10) return;
    if ((one.opcode === 0) === (fragments.length === 0)) {
      peer.close(1002, "");
      return;
    }
    if (one.opcode !== 0) fragmentOpcode = one.opcode;
    fragments.push(one.payload);
    fragmentBytes += one.payload.length;
    if (fragmentBytes > MESSAGE_BYTES_MAX || fragments.length > FRAGMENTS_MAX) {
      peer.close(1009, "");
      return;
    }
    if (!one.fin) return;
    const whole = Buffer.concat(fragments);
    fragments = [];
    fragmentBytes = 0;
    if (tooFast()) {
      peer.close(1013, "");
      return;
    }
    let text = "";
    try {
      text = fragmentOpcode === 1 ? utf8.decode(whole) : whole.toString("latin1");
    } catch {
      peer.close(1007, "");
      return;
    }
    onText(peer, text);
  }

  function drainFrames(): void {
    while (!closing) {
      const one = readFrame(held);
      if (one === null) return;
      if (typeof one === "number") {
        peer.close(one, "");
        return;
      }
      held = held.subarray(one.frameBytes);
      onFrame(one);
    }
  }

  socket.on("data", (chunk: Buffer) => {
    if (closing) return;
    armPing();
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    drainFrames();
  });
  socket.on("end", () => socket.end());
  socket.once("close", () => cancelAlarm());
  armPing();
  drainFrames();
  socket.resume();
  return peer;
}
