import type { ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import { startChild, stopChild } from "./children.ts";

/** Websockets that stay open and say nothing: an upstream that answers handshakes, and clients, each a process of its own. */
export interface IdleSockets {
  readonly busPort: number;
  /** Opens that many through the TLS port, from several loopback addresses; answers how many are open. */
  open(port: number, count: number): Promise<number>;
  /** How many are open now. */
  count(): Promise<number>;
  /** Closes all of them and answers when they are gone. */
  drop(): Promise<void>;
  close(): Promise<void>;
}

/** Most time for one question: opening ten thousand takes a while on a busy machine. */
const answerMsMax = 180_000;

interface Message {
  readonly port?: number;
  readonly open?: number;
}

function next(child: ChildProcess): Promise<Message> {
  return new Promise((resolve, reject) => {
    const bound = setTimeout(
      () => reject(new Error(`no word from the websockets for ${answerMsMax / 1_000} s`)),
      answerMsMax,
    );
    child.once("message", (message: Message) => {
      clearTimeout(bound);
      resolve(message);
    });
  });
}

export async function startSockets(dir: string): Promise<IdleSockets> {
  const start = (name: string) =>
    startChild(process.execPath, [fileURLToPath(new URL(`${name}.js`, import.meta.url))], {
      env: {},
      cwd: dir,
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
  const bus = start("idle-bus");
  const clients = start("idle-clients");
  const { port } = await next(bus);
  if (port === undefined) throw new Error("the websockets' upstream did not tell its port");
  const ask = async (message: object) => {
    const answer = next(clients);
    clients.send(message);
    return (await answer).open ?? 0;
  };
  return {
    busPort: port,
    open: (tlsPort, count) => ask({ port: tlsPort, count }),
    count: () => ask({}),
    drop: async () => void (await ask({ drop: true })),
    async close() {
      await stopChild(clients);
      await stopChild(bus);
    },
  };
}
