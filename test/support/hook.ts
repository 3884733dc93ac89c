import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer, type ServerOptions } from "node:https";
import type { AddressInfo } from "node:net";

export interface HookMessage {
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

/** A service that takes messages, on loopback. */
export class Hook {
  /** Every message, in the order it came. */
  readonly messages: HookMessage[] = [];
  /** How the next ones are answered; 200 unless said otherwise. */
  answer: (response: ServerResponse, request: IncomingMessage) => void = (response) => response.end("ok");
  readonly #server: Server;
  #onMessage: (() => void)[] = [];

  private constructor(tls: ServerOptions | null) {
    const take = (request: IncomingMessage, response: ServerResponse) => {
      let body = "";
      request.setEncoding("utf8").on("data", (text: string) => {
        body += text;
      });
      request.on("error", () => {});
      response.on("error", () => {});
      request.on("end", () => {
        this.messages.push({ path: request.url ?? "", headers: request.headers, body });
        this.answer(response, request);
        const waiting = this.#onMessage;
        this.#onMessage = [];
        for (const heard of waiting) heard();
      });
    };
    this.#server = tls === null ? createServer(take) : createTlsServer(tls, take);
    this.#server.on("tlsClientError", () => {});
  }

  static async start(tls: ServerOptions | null = null): Promise<Hook> {
    const hook = new Hook(tls);
    await new Promise<void>((resolve) => hook.#server.listen(0, "127.0.0.1", resolve));
    return hook;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  url(path = "/hunter2"): string {
    return `http://127.0.0.1:${this.port}${path}`;
  }

  /** What came as generic JSON, without tests. */
  get told(): readonly Readonly<Record<string, unknown>>[] {
    return this.messages.map(({ body }): Readonly<Record<string, unknown>> => JSON.parse(body));
  }

  /** Resolves as soon as `test` is true of what came. */
  async until(test: () => boolean): Promise<void> {
    while (!test()) await new Promise<void>((resolve) => this.#onMessage.push(resolve));
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }
}
