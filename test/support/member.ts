import type { Socket } from "node:net";
import { type ScriptedUpstream, startScripted } from "./upstream-scripted.ts";

/** One of several Odoos: says its name, and does what a test wants with requests other than the health check. */
export interface TestMember {
  readonly name: string;
  readonly port: number;
  /** First lines of the requests it got, without probes. */
  readonly asked: readonly string[];
  /** Requests it has not answered yet, oldest first; filled with `holds`. */
  readonly held: HeldRequest[];
  /** Most requests it had at once. */
  readonly most: number;
  close(): Promise<void>;
}

export interface HeldRequest {
  readonly line: string;
  /** Answers 200 with the member's name. */
  answer(): void;
}

export interface MemberOptions {
  readonly port?: number;
  readonly host?: string;
  /** Keeps requests until the test answers them. */
  readonly holds?: boolean;
  /** Called instead of an answer. */
  readonly instead?: (socket: Socket, line: string) => void;
}

export function answerText(body: string): string {
  return `HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
}

/** Starts a member; its probes are always answered at once. */
export async function startMember(name: string, options: MemberOptions = {}): Promise<TestMember> {
  const asked: string[] = [];
  const held: HeldRequest[] = [];
  const busy = new Set<Socket>();
  let most = 0;
  const at = {
    ...(options.port === undefined ? {} : { port: options.port }),
    ...(options.host === undefined ? {} : { host: options.host }),
  };
  const scripted: ScriptedUpstream = await startScripted(
    (socket, received) => {
      const line = received.toString("latin1").split("\r\n")[0] ?? "";
      if (/^GET \/(?:web|websocket)\/health /.test(line)) return void socket.end(answerText("{}"));
      asked.push(line);
      busy.add(socket);
      most = Math.max(most, busy.size);
      socket.on("close", () => {
        busy.delete(socket);
        const at = held.indexOf(request);
        if (at >= 0) held.splice(at, 1);
      });
      const request: HeldRequest = {
        line,
        answer() {
          const at = held.indexOf(request);
          if (at >= 0) held.splice(at, 1);
          busy.delete(socket);
          socket.end(answerText(name));
        },
      };
      if (options.instead !== undefined) options.instead(socket, line);
      else if (options.holds === true) held.push(request);
      else request.answer();
    },
    { wholeBody: true, ...at },
  );
  return {
    name,
    port: scripted.port,
    asked,
    held,
    get most() {
      return most;
    },
    close: () => scripted.close(),
  };
}
