/** The gateway asks itself what no stranger may reach, over its own listener, before it says that it is ready. */
import { createServer, type Socket } from "node:net";
import type { Clock } from "../base/clock.ts";
import {
  commonLanguages,
  type GuardedRequest,
  managerRequests,
  managerSpellings,
  serviceRequests,
} from "../policy/guarded.ts";
import { Asker } from "./ask.ts";
import { Budget } from "./budget.ts";

/** The field that marks our own questions; its value is drawn anew for each look and holds no longer. */
export const selfCheckField = "x-odoo-gateway-self-check";

export interface SelfCheckOptions {
  /** Where our HTTPS listener can be reached. */
  readonly address: string;
  readonly port: number;
  /** Source address; null: the system's choice. */
  readonly from: string | null;
  readonly host: string;
  readonly authority: string;
  readonly token: string;
  /** DATABASE_SELECTOR=allow: looking at the selector is meant. */
  readonly selectorOpen: boolean;
  /** Did what stands in Odoo's place hear of anything; asked after each request. */
  readonly reached: () => boolean;
  readonly clock: Clock;
}

/** What came of it. */
export type SelfCheck =
  | { readonly kind: "refused"; readonly asked: number }
  | { readonly kind: "reached"; readonly request: GuardedRequest }
  /** The listener could not be asked; nothing is said about the policy. */
  | { readonly kind: "unasked"; readonly detail: string };

const bounds = { requestsMax: 80, wholeTimeoutMs: 15_000, requestTimeoutMs: 5_000 } as const;

/** Sends each guarded request that Node's parser hands over; the first that reaches Odoo's place ends it. */
export async function checkSelf(options: SelfCheckOptions): Promise<SelfCheck> {
  const { address, port, from, host, authority } = options;
  const asker = new Asker({
    budget: new Budget(options.clock, bounds),
    way: { address, port, from, tls: { host, authorities: null, protocols: ["http/1.1"] } },
    plainWay: null,
    authority,
    plainAuthority: authority,
    userAgent: "odoo-gateway-self-check",
    fields: [selfCheckField, options.token],
  });
  let asked = 0;
  try {
    for (const request of requests(authority, options.selectorOpen)) {
      const { method, target, contentType, body, odd } = request;
      const answer = await asker.ask({
        method,
        target,
        ...(contentType === null ? {} : { fields: ["Content-Type", contentType] }),
        ...(body === null ? {} : { body }),
        alone: odd,
      });
      if (options.reached()) return { kind: "reached", request };
      // A closed connection is a refusal; a listener that cannot be reached says nothing.
      if (!answer.ok && answer.error.kind !== "closed")
        return { kind: "unasked", detail: answer.error.detail };
      asked += 1;
    }
  } finally {
    asker.close();
  }
  return { kind: "refused", asked };
}

function requests(authority: string, selectorOpen: boolean): readonly GuardedRequest[] {
  const all = [
    ...managerRequests,
    ...managerSpellings(authority, commonLanguages),
    ...serviceRequests(commonLanguages),
  ];
  return all
    .filter(({ target }) => target.startsWith("/"))
    .filter(({ method, target }) => !selectorOpen || method !== "GET" || !target.endsWith("/selector"));
}

/** Stands in Odoo's place while we ask ourselves: hears of every connection, answers nothing of Odoo's. */
export interface Trap {
  readonly port: number;
  readonly reached: () => boolean;
  close(): void;
}

/** Opens the trap on loopback; null when no port can be had. */
export function openTrap(): Promise<Trap | null> {
  return new Promise((resolve) => {
    let reached = false;
    const open = new Set<Socket>();
    const server = createServer((socket) => {
      reached = true;
      open.add(socket);
      socket.on("error", () => socket.destroy());
      socket.on("close", () => open.delete(socket));
      socket.end("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
    });
    server.once("error", () => resolve(null));
    server.listen(0, "127.0.0.1", () => {
      const at = server.address();
      const port = typeof at === "object" && at !== null ? at.port : 0;
      resolve({
        port,
        reached: () => reached,
        close() {
          server.close();
          for (const socket of open) socket.destroy();
        },
      });
    });
  });
}
