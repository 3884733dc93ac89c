import { getHeapSpaceStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { collectPiecesBy } from "../base/pieces.ts";

type Collect = (options: { type: "major" | "minor"; execution: "sync"; flavor?: "last-resort" }) => void;

/** Bytes of the space for fresh objects, both halves, from which on it grows no more; V8 alone would double it once again. */
const youngBytesMax = 12 * 1024 * 1024;
const lookMs = 100;

/**
 * Gives back what starting needed (parsed policies, schemas, the self-check), a third of the process. V8 itself would wait until
 * the heap grows, which under little load it never does. Takes some 50 ms, once, before the first client is served.
 */
export function tidyHeap(): void {
  collector()?.({ type: "major", execution: "sync", flavor: "last-resort" });
}

/** Pieces of large bodies are collected among the fresh objects, in a third of a millisecond (base/pieces). */
export function collectPieces(): void {
  const collect = collector();
  if (collect !== undefined) collectPiecesBy(() => collect({ type: "minor", execution: "sync" }));
}

function collector(): Collect | undefined {
  setFlagsFromString("--expose-gc");
  const collect: Collect | undefined = runInNewContext("globalThis.gc");
  setFlagsFromString("--no-expose-gc");
  return collect;
}

/**
 * While it starts, a server runs everything once: V8's optimizing compilers would make code of it that is thrown away, on threads whose memory does not come back (a sixth of an idle
 * process). Until `optimizeFromNowOn` their filters let nothing pass. Switching the compilers off (`--no-opt`, `--no-maglev`) would give their patience to every function that was
 * called by then: the first 40,000 requests cost a third more.
 */
export function startUnoptimized(): void {
  filterOptimized("~");
}

/** Requests may come: what they run often is optimized. */
export function optimizeFromNowOn(): void {
  filterOptimized("*");
}

/** @param names functions that may be optimized: `*` all, `~` none. */
function filterOptimized(names: "*" | "~"): void {
  setFlagsFromString(`--turbo-filter=${names}`);
  setFlagsFromString(`--maglev-filter=${names}`);
}

/** Percent by which the heap of lasting objects may grow between two of its collections. */
const growthPercent = 100;

/**
 * Keeps what was compiled. V8 would throw away what was not run for a few seconds, and after a quiet moment the next visitors would find the gateway as slow as
 * after its start, for some thousand requests. What it gave back that way, `tidyHeap` has given back before.
 */
export function keepCompiled(): void {
  // After `tidyHeap` V8 takes 2 MB more for much, and under load collected everything twice a second.
  setFlagsFromString(`--heap-growing-percent=${growthPercent}`);
  setFlagsFromString("--no-flush-bytecode");
  // The collections V8 makes when nothing happens, which also take optimized code with them; off, told so that it holds in a running process.
  setFlagsFromString("--memory-reducer-gc-count=0");
}

/**
 * Keeps the space for fresh objects at 16 MiB or little more: what an exchange makes is gone when it is over. Eight times that space, which V8 takes on machines
 * with much memory, is no quicker, and emptying it stops everybody for 10 ms instead of 2 (docs/performance). It can only be told once the process runs.
 */
export function boundYoungHeap(): void {
  const look = setInterval(() => {
    const young = getHeapSpaceStatistics().find((space) => space.space_name === "new_space");
    if (young === undefined || young.space_size < youngBytesMax) return;
    setFlagsFromString("--semi-space-growth-factor=1");
    clearInterval(look);
  }, lookMs);
  look.unref();
}
