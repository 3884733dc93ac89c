/** Something that is due at the end of this turn of the event loop. */
export interface Due {
  due(): void;
}

/** The order in which things are done at the end of a turn: who waits for an answer comes first, and Odoo has a worker free before it gets new work. */
export const turnOrder = { answer: 0, close: 1, request: 2 } as const;

const queues: readonly Due[][] = [[], [], []];
let isSet = false;

/**
 * Does it when all that had arrived in this turn has been read (`setImmediate`: behind libuv's poll). A write, a connect or a close
 * wakes the process at the other end, and where that one sleeps the waking costs more than the call. Between two pieces of our own
 * work it falls asleep again each time; back to back it is woken once for all. Under load that is a third of a request's
 * processor time; a turn with a single request in it loses nothing. Not for what is large: it would be in the way of what comes behind it.
 * `due` must not throw, and may ask for another turn's end.
 */
export function atTurnEnd(order: (typeof turnOrder)[keyof typeof turnOrder], one: Due): void {
  queues[order]?.push(one);
  if (isSet) return;
  isSet = true;
  setImmediate(endTurn);
}

function endTurn(): void {
  isSet = false;
  // Taken out first: what is added from inside belongs to the next turn, and nothing is done twice, whatever happens.
  for (const queue of queues) if (queue.length > 0) for (const one of queue.splice(0)) one.due();
}
