import { AnswerReader } from "./answer-reader.ts";
import type { PoolMember } from "./pool-member.ts";

/** Longest wait for a probe's answer. */
export const probeTimeoutMs = 2_000;

/**
 * `up`: it answered. `down`: nobody listens, it hung up without a word, or says 5xx. `silent`: it took the connection and did not
 * answer in time, which a busy Odoo does as well as a broken one.
 */
export type ProbeAnswer = "up" | "down" | "silent";

/** Odoo 15 and newer (the bus: 16) answer these without session and database; older ones say 404, which is an answer too. */
export const healthPaths = { web: "/web/health", bus: "/websocket/health" } as const;

/** Asks a member how it is, on a connection of its own. Never throws. */
export function probe(
  member: PoolMember,
  path: string,
  timeoutMs: number = probeTimeoutMs,
): Promise<ProbeAnswer> {
  return new Promise((resolve) => {
    const socket = member.open();
    const done = (answer: ProbeAnswer) => {
      socket.destroy();
      resolve(answer);
    };
    const reader = new AnswerReader("GET", false, {
      head: ({ status }) => done(status < 500 ? "up" : "down"),
      data: () => {},
      end: () => {},
      failure: () => done("down"),
    });
    const timer = setTimeout(() => done(socket.connecting ? "down" : "silent"), timeoutMs);
    timer.unref();
    socket.on("connect", () => {
      socket.write(`GET ${path} HTTP/1.1\r\nHost: ${member.name}\r\nConnection: close\r\n\r\n`);
    });
    socket.on("data", (chunk: Buffer) => reader.push(chunk));
    socket.on("error", () => done("down"));
    socket.on("close", () => {
      clearTimeout(timer);
      done("down");
    });
  });
}
