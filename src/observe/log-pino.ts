import { isatty } from "node:tty";
import { pino } from "pino";
import { type Clock, systemClock } from "../base/clock.ts";
import { unreachable } from "../base/result.ts";
import type { LogFormat, LogLevel } from "../settings/settings.ts";
import { accessLine } from "./access-line.ts";
import { combinedLine } from "./combined-line.ts";
import { type BufferedDestination, type LogDestination, openDestination } from "./destination.ts";
import type { AccessRecord, EventSink, GatewayEvent } from "./events.ts";
import { levelOf, lineOf } from "./line.ts";
import { createQuiet } from "./quiet.ts";
import { textLine } from "./text-line.ts";

/** Door of `pino`: it builds the JSON lines but that of an exchange (`access-line`); levels, buffering and loss are ours. */

const weight = { debug: 20, info: 30, warn: 40, error: 50, silent: 100 } as const;

export interface LogOptions {
  /** `silent` writes nothing. */
  readonly level: LogLevel;
  /**
   * `json`: one object a line. `text`: for a person; coloured on a terminal. `combined`: exchanges as nginx writes them, everything else
   * as objects, for `splitDestination`.
   */
  readonly format: LogFormat;
  /** Where lines go; standard output, buffered, when left out. */
  readonly destination?: LogDestination & Partial<Pick<BufferedDestination, "dropped" | "isStuck" | "close">>;
  readonly clock?: Clock;
}

export interface Log extends EventSink {
  /** Lines that could not be kept because nobody took them. */
  readonly dropped: number;
  /** After `close`: a write still hangs, and the process cannot end by itself. */
  readonly isStuck: boolean;
  /** Writes what waits, within two seconds, and ends. Nothing is written afterwards. */
  close(): Promise<void>;
}

/** The event log. `emit` neither throws nor waits; a destination that fails loses lines, and they are counted. */
export function createLog(options: LogOptions): Log {
  const clock = options.clock ?? systemClock;
  const destination = options.destination ?? openDestination(1);
  const colours = options.destination === undefined && isatty(1);
  const write = writerOf(options.format, destination, colours);
  const quiet = createQuiet();
  const least = weight[options.level];
  let isClosed = false;
  let failed = 0;
  const put = (event: GatewayEvent, suppressed: number) => {
    try {
      write(event, event.type === "access" ? event.wallMs : clock.wallMs(), suppressed);
    } catch {
      failed += 1;
    }
  };
  return {
    emit(event) {
      if (isClosed || weight[levelOf(event)] < least) return;
      const suppressed = quiet.admit(event, clock.nowMs());
      if (suppressed >= 0) put(event, suppressed);
    },
    get dropped() {
      return failed + (destination.dropped ?? 0);
    },
    get isStuck() {
      return destination.isStuck ?? false;
    },
    async close() {
      if (isClosed) return;
      for (const { event, suppressed } of quiet.rest()) put(event, suppressed);
      isClosed = true;
      await destination.close?.();
    },
  };
}

type Write = (event: GatewayEvent, wallMs: number, suppressed: number) => void;

function writerOf(format: LogFormat, stream: LogDestination, colours: boolean): Write {
  switch (format) {
    case "json":
      return objectWriter(stream, accessLine);
    case "combined":
      return objectWriter(stream, combinedLine);
    case "text":
      return textWriter(stream, colours);
    default:
      return unreachable(format);
  }
}

function objectWriter(stream: LogDestination, accessLineOf: (record: AccessRecord) => string): Write {
  let wallMs = 0;
  const logger = pino(
    {
      level: "debug",
      // The process and host are known to whoever collects the lines.
      base: null,
      formatters: { level: (label) => ({ level: label }) },
      // One moment an event: that of the event.
      timestamp: () => `,"time":"${new Date(wallMs).toISOString()}"`,
    },
    stream,
  );
  return (event, atMs, suppressed) => {
    if (event.type === "access") return stream.write(accessLineOf(event));
    const { level, fields } = lineOf(event);
    wallMs = atMs;
    logger[level](suppressed > 0 ? { ...fields, suppressed } : fields);
  };
}

function textWriter(stream: LogDestination, colours: boolean): Write {
  return (event, wallMs, suppressed) => stream.write(textLine(lineOf(event), wallMs, suppressed, colours));
}
