import { type ClientHttp2Session, connect as connectHttp2, constants } from "node:http2";
import { Agent } from "node:https";
import type { WorkersGateway } from "./process.ts";

export interface LoadResult {
  readonly asked: number;
  /** Everything but a 200. */
  readonly failures: readonly unknown[];
}

/**
 * Clients who ask for pages one after the other until `stop`: three with a kept connection, two with a new one each time, and a
 * browser over HTTP/2. `from` is an address without limits.
 */
export class Load {
  readonly #gateway: WorkersGateway;
  readonly #from: string;
  readonly #agents = [1, 2, 3].map(() => new Agent({ keepAlive: true, maxSockets: 1 }));
  readonly #loops: readonly Promise<void>[];
  readonly #failures: unknown[] = [];
  #asked = 0;
  #isOver = false;

  constructor(gateway: WorkersGateway, from: string) {
    this.#gateway = gateway;
    this.#from = from;
    const kept = this.#agents.map((agent) => this.#http1(agent));
    this.#loops = [...kept, this.#http1(), this.#http1(), this.#http2()];
  }

  get asked(): number {
    return this.#asked;
  }

  async stop(): Promise<LoadResult> {
    this.#isOver = true;
    await Promise.all(this.#loops);
    for (const agent of this.#agents) agent.destroy();
    return { asked: this.#asked, failures: this.#failures };
  }

  async #http1(agent?: Agent): Promise<void> {
    while (!this.#isOver) {
      this.#asked += 1;
      const kept = agent === undefined ? {} : { agent };
      const answer = await this.#gateway.ask("/web/login", { from: this.#from, ...kept }).catch(String);
      if (typeof answer === "string" || answer.status !== 200) this.#failures.push(answer);
    }
  }

  /** A browser's way: one connection until it hears GOAWAY, then another. */
  async #http2(): Promise<void> {
    let session: ClientHttp2Session | null = null;
    while (!this.#isOver) {
      if (session === null || session.closed || session.destroyed) session = this.#session();
      this.#asked += 1;
      const status = await pageOf(session, `odoo.test:${this.#gateway.httpsPort}`);
      if (status !== 200) this.#failures.push(status);
    }
    session?.close();
  }

  #session(): ClientHttp2Session {
    // `localAddress` goes through to tls.connect; the types of node:http2 do not name it.
    const tls = { servername: "odoo.test", rejectUnauthorized: false, localAddress: this.#from };
    const session = connectHttp2(`https://127.0.0.1:${this.#gateway.httpsPort}`, tls);
    session.on("error", () => {});
    session.on("goaway", () => session.close());
    return session;
  }
}

/** The status, or what came instead of an answer. */
function pageOf(session: ClientHttp2Session, authority: string): Promise<unknown> {
  const stream = session.request({ ":path": "/web/login", ":authority": authority });
  return new Promise((resolve) => {
    let got: unknown = "no answer";
    stream.on("response", (fields) => {
      got = fields[":status"];
    });
    // Never sent (RFC 9113 §8.7): GOAWAY was read before the frame left, and every browser asks again on the next connection.
    stream.on("error", (error) =>
      resolve(stream.rstCode === constants.NGHTTP2_REFUSED_STREAM ? 200 : String(error)),
    );
    stream.on("close", () => resolve(got));
    stream.resume();
  });
}
