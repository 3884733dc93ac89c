import type { PortName } from "./context.ts";

/** One request as a port received it: what a test asks about. */
export interface RecordedRequest {
  readonly port: PortName;
  /** Serial number of the TCP connection on that port, from 1: two requests with one number shared it. */
  readonly connection: number;
  /** As received, not upper-cased. */
  readonly method: string;
  readonly target: string;
  readonly version: string;
  /** Field lines as received, in order, latin-1. */
  readonly lines: readonly string[];
  readonly bodyBytes: number;
  readonly bodySha256: string;
  /** The path Odoo routed, after its own reading. */
  readonly path: string;
  /** Whom Odoo takes for the client. */
  readonly client: string;
}

/** Keeps the latest requests; beyond `keepMax` the oldest are forgotten. */
export interface Recorder {
  readonly requests: RecordedRequest[];
  add(request: RecordedRequest): void;
}

export function createRecorder(
  keepMax: number,
  onRequest: () => ((request: RecordedRequest) => void) | null,
): Recorder {
  const requests: RecordedRequest[] = [];
  return {
    requests,
    add(request) {
      if (keepMax > 0) {
        if (requests.length >= keepMax) requests.splice(0, requests.length - keepMax + 1);
        requests.push(request);
      }
      onRequest()?.(request);
    },
  };
}

/** A field's values, in order, by case-insensitive name (helper for tests). */
export function fieldValues(request: RecordedRequest, name: string): string[] {
  const wanted = name.toLowerCase();
  const values: string[] = [];
  for (const line of request.lines) {
    const colon = line.indexOf(":");
    if (colon > 0 && line.slice(0, colon).toLowerCase() === wanted) values.push(line.slice(colon + 1).trim());
  }
  return values;
}
