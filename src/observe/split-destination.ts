import type { BufferedDestination } from "./destination.ts";

/**
 * Two destinations as one, for a log whose access lines are no JSON: lines that begin an object go to `events`, all others to `access`. So it
 * is with the lines of several processes, too, which come as text.
 */
export function splitDestination(
  access: BufferedDestination,
  events: BufferedDestination,
): BufferedDestination {
  return {
    write(lines) {
      let begin = 0;
      while (begin < lines.length) {
        const end = lines.indexOf("\n", begin) + 1 || lines.length;
        (lines[begin] === "{" ? events : access).write(lines.slice(begin, end));
        begin = end;
      }
    },
    get dropped() {
      return access.dropped + events.dropped;
    },
    get isStuck() {
      return access.isStuck || events.isStuck;
    },
    async close() {
      await Promise.all([access.close(), events.close()]);
    },
  };
}
