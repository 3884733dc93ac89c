import type { MemberState, QueueState } from "../road/ways.ts";
import type { LaneSnapshot } from "../upstream/lanes.ts";

/** What waits for Odoo over several processes; those that ended count with what they did since their start. */
export function sumQueues(now: readonly QueueState[], past: readonly QueueState[]): QueueState {
  const total = (pick: (one: QueueState) => number) => now.reduce((sum, one) => sum + pick(one), 0);
  const isKnown = now.some(({ capacity }) => capacity !== null);
  const away = now.flatMap(({ awayMs }) => (awayMs === null ? [] : [awayMs]));
  return {
    capacity: isKnown ? total(({ capacity }) => capacity ?? 0) : null,
    learnt: now.some(({ learnt }) => learnt),
    inFlight: total((one) => one.inFlight),
    waiting: total((one) => one.waiting),
    lanes: sumLanes(now, past.map(ended)),
    held: total((one) => one.held),
    awayMs: away.length === 0 ? null : Math.max(...away),
  };
}

/**
 * Members as several processes see them: each marks for itself. A member is up when all who serve use it, so that one that
 * only some of them reach is told.
 */
export function sumMembers(parts: readonly (readonly MemberState[])[]): readonly MemberState[] {
  const rows = new Map<string, MemberState>();
  for (const one of parts.flat()) {
    const key = `${one.name} ${one.member}`;
    const before = rows.get(key);
    const inFlight = (before?.inFlight ?? 0) + one.inFlight;
    // Who is worse off has the word.
    const said = before === undefined || (before.up && !one.up) ? one : before;
    rows.set(key, { ...said, inFlight });
  }
  return [...rows.values()];
}

/** Nothing of a process that is gone is under way. */
function ended(queue: QueueState): QueueState {
  const lanes = queue.lanes.map((lane) => ({
    ...lane,
    inFlight: 0,
    waiting: 0,
    capacity: lane.capacity === null ? null : 0,
  }));
  return { ...queue, inFlight: 0, waiting: 0, held: 0, lanes };
}

function sumLanes(now: readonly QueueState[], past: readonly QueueState[]): readonly LaneSnapshot[] {
  const rows = new Map<string, LaneSnapshot>();
  for (const lane of [...now, ...past].flatMap(({ lanes }) => lanes)) {
    const before = rows.get(lane.lane);
    rows.set(lane.lane, before === undefined ? lane : addLanes(before, lane));
  }
  return [...rows.values()];
}

function addLanes(a: LaneSnapshot, b: LaneSnapshot): LaneSnapshot {
  return {
    lane: a.lane,
    inFlight: a.inFlight + b.inFlight,
    waiting: a.waiting + b.waiting,
    capacity: sumKnown(a.capacity, b.capacity),
    admitted: a.admitted + b.admitted,
    waited: a.waited + b.waited,
    shed: a.shed + b.shed,
    longestWaitMs: Math.max(a.longestWaitMs, b.longestWaitMs),
  };
}

/** Of the processes that know one. */
function sumKnown(a: number | null, b: number | null): number | null {
  return a === null || b === null ? (a ?? b) : a + b;
}
