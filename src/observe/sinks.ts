import type { EventSink } from "./events.ts";

/** One sink that hands every event to several, in order. A sink must not throw (its contract). */
export function teeSinks(...sinks: readonly EventSink[]): EventSink {
  return {
    emit(event) {
      for (const sink of sinks) sink.emit(event);
    },
  };
}
