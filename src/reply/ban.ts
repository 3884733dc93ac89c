import { unreachable } from "../base/result.ts";
import type { BanReason } from "../guard/ban-table.ts";
import type { RequestFacts } from "../message/facts.ts";
import { programAnswer } from "./caller-shape.ts";
import { errorAnswer, type OwnAnswer, waitText } from "./pages.ts";

export interface BanInput {
  readonly facts: RequestFacts | null;
  readonly exchangeId: string;
  readonly reason: BanReason;
  readonly untilWallMs: number;
  readonly wallMs: number;
}

interface Words {
  readonly title: string;
  readonly because: string;
  readonly advice: string;
}

const waiting = "Please wait until then, or ask your administrator, who can end this earlier.";
const ownMistake = `If you have forgotten your password: ${waiting.charAt(0).toLowerCase()}${waiting.slice(1)}`;

/** For the person in an office who meets it: nothing here says which account, or whether a password was right. */
function wordsFor(reason: BanReason): Words {
  switch (reason) {
    case "pair":
      return {
        title: "Too many wrong passwords",
        because: "because one account was tried with wrong passwords or codes too often",
        advice: ownMistake,
      };
    case "address":
      return {
        title: "Too many wrong passwords",
        because: "because too many log-ins failed from there",
        advice: ownMistake,
      };
    case "scanner":
      return {
        title: "Not allowed for now",
        because: "because a program there asked for addresses that only attackers look for",
        advice: waiting,
      };
    case "operator":
      return { title: "Not allowed for now", because: "by the administrator's decision", advice: waiting };
    default:
      return unreachable(reason);
  }
}

/** 403 with Retry-After for a banned client, in the shape the caller reads: until when, and why. */
export function banAnswer({ facts, exchangeId, reason, untilWallMs, wallMs }: BanInput): OwnAnswer {
  const { title, because, advice } = wordsFor(reason);
  const retryAfterSeconds = Math.max(1, Math.ceil((untilWallMs - wallMs) / 1000));
  const until = new Date(untilWallMs).toISOString().slice(0, 16).replace("T", " ");
  const wait = waitText(retryAfterSeconds);
  const detail = `Nothing is accepted from your network address until ${until} UTC (${wait} from now), ${because}.\n${advice}`;
  const extraFields = ["Retry-After", String(retryAfterSeconds)];
  const program = facts === null ? null : programAnswer(403, facts, detail, exchangeId, extraFields);
  if (program !== null) return program;
  return errorAnswer({ status: 403, facts, exchangeId, detail, title, retryAfterSeconds: null, extraFields });
}
