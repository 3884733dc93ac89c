import { availableParallelism } from "node:os";
import type { Clock } from "../base/clock.ts";
import { Cache } from "../cache/cache.ts";
import { Squeeze } from "../cache/squeeze.ts";
import { Turns } from "../cache/turns.ts";
import type { CacheFigures } from "../cluster/messages.ts";
import type { EventSink } from "../observe/events.ts";
import type { Plan } from "../plan.ts";
import { fileEncoder } from "../reply/encode.ts";
import { inboundFields } from "../upstream/inbound.ts";

/** Pieces of files compressed at the same time: libuv has four threads, and the access log needs one. */
const filesAtOnceMax = 3;

/** Odoo's files in memory, with what compresses them better. */
export interface FileCache {
  readonly cache: Cache;
  figures(): CacheFigures;
  close(): void;
}

/** Makes it; `plan` answers the one that holds now. */
export function createFileCache(plan: () => Plan, sink: EventSink, clock: Clock): FileCache {
  const squeeze = new Squeeze((detail) => sink.emit({ type: "warning", what: "compression", detail }));
  const cache = new Cache({
    clock,
    settings: () => plan().settings.cache,
    makeEncoder: fileEncoder,
    turns: new Turns(Math.min(filesAtOnceMax, availableParallelism() - 1)),
    cleanFields: (fields, facts) => {
      const { authorityOf, site } = plan();
      return inboundFields(fields, facts, {
        authorityOf,
        sessionCookie: site.sessionCookie,
        headLength: null,
      });
    },
    squeeze: (content) => {
      if (plan().settings.compression) squeeze.add(content);
    },
    later: (ms, then) => {
      const timer = setTimeout(then, ms);
      timer.unref();
      return () => clearTimeout(timer);
    },
  });
  return {
    cache,
    figures: () => ({ ...cache.figures, toCompress: squeeze.waiting }),
    close() {
      cache.close();
      squeeze.close();
    },
  };
}
