import type { Socket } from "node:net";
import { type ScriptedUpstream, startScripted } from "./upstream-scripted.ts";

/** One request as the upstream of files saw it. */
export interface SeenRequest {
  readonly method: string;
  readonly target: string;
  /** Field lines as received. */
  readonly lines: readonly string[];
  /** The value of a field, in any case; null when absent. */
  field(name: string): string | null;
  readonly socket: Socket;
}

/** What it answers. */
export interface FileAnswer {
  readonly status?: string;
  readonly fields?: readonly string[];
  readonly body?: string | Buffer;
  /** Left out: as long as the body. */
  readonly length?: number | null | undefined;
}

export interface FilesUpstream extends ScriptedUpstream {
  readonly seen: readonly SeenRequest[];
  /** How many requests named this target. */
  count(target: string): number;
  /** Resolves when `test` is true of what was seen. */
  until(test: (seen: readonly SeenRequest[]) => boolean): Promise<void>;
}

/** The fields of a file that is public for a year. */
export const immutable = ["Cache-Control: public, max-age=31536000, immutable"];
/** The fields of a module's static file. */
export const aWeek = ["Cache-Control: public, max-age=604800"];

/**
 * An upstream that answers files as a test says, one request a connection as Odoo does. `answer` may answer null and write to
 * the socket by itself.
 */
export async function startFiles(
  answer: (request: SeenRequest) => FileAnswer | null,
): Promise<FilesUpstream> {
  const seen: SeenRequest[] = [];
  const waiting: { test: (seen: readonly SeenRequest[]) => boolean; resolve: () => void }[] = [];
  const upstream = await startScripted((socket, received) => {
    const [start = "", ...lines] = received.toString("latin1").split("\r\n\r\n")[0]?.split("\r\n") ?? [];
    const [method = "", target = ""] = start.split(" ");
    const field = (name: string) => {
      const prefix = `${name.toLowerCase()}:`;
      const line = lines.find((one) => one.toLowerCase().startsWith(prefix));
      return line === undefined ? null : line.slice(prefix.length).trim();
    };
    const request = { method, target, lines, field, socket };
    seen.push(request);
    for (const wait of waiting.filter(({ test }) => test(seen))) wait.resolve();
    const said = answer(request);
    if (said !== null) send(socket, method, said);
  });
  return {
    ...upstream,
    seen,
    count: (target) => seen.filter((one) => one.target === target).length,
    until: (test) =>
      test(seen) ? Promise.resolve() : new Promise((resolve) => waiting.push({ test, resolve })),
  };
}

/** Writes an answer as Odoo's web port does, and closes. */
export function send(socket: Socket, method: string, answer: FileAnswer): void {
  const body = Buffer.from(answer.body ?? "");
  const status = answer.status ?? "200 OK";
  const length = answer.length === undefined ? body.length : answer.length;
  const head = [
    `HTTP/1.0 ${status}`,
    "Server: Werkzeug/2.2.2 Python/3.11.2",
    ...(answer.fields ?? []),
    ...(length === null || status.startsWith("304") ? [] : [`Content-Length: ${length}`]),
    "Connection: close",
    "",
    "",
  ].join("\r\n");
  socket.write(head, "latin1");
  if (method !== "HEAD" && !status.startsWith("304")) socket.write(body);
  socket.end();
}
