import { type ChildProcess, fork } from "node:child_process";
import type { Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { afterAwake } from "./awake.ts";
import type { FromWorker, ListenerName, ToWorker, WorkerReport } from "./messages.ts";
import type { Owner, Seat } from "./owner.ts";
import type { WaitingConnection } from "./waiting-room.ts";

/** How long a worker may take to say how it stands. */
const reportMsMax = 1_000;
/** How long it may take to read and compile everything anew. */
const prepareMsMax = 30_000;
/** Looks it may leave without a word; with one more it is deaf, and others get what would be its connections. */
const silentLooksFine = 1;
/** The longest line of a worker's log that is put together from pieces; a longer one goes out as it comes. */
const lineLengthMax = 1024 * 1024;

const program = fileURLToPath(new URL("../main.js", import.meta.url));

export interface WorkerEvents {
  /** It speaks: is it of this program's version. */
  hello(protocol: number, version: string): void;
  ready(): void;
  /** Its process is gone, in order (status 0) or not. */
  ended(how: string, isInOrder: boolean): void;
  /** Connections it was to have, and that did not leave this process; told after its end. */
  unserved(connections: readonly WaitingConnection[]): void;
  /** Whole lines of its log. */
  lines(text: string): void;
}

/** A connection it was handed. Until it `isSent` it is still ours: Node sends one, and the next when that one has arrived. */
interface Handed extends WaitingConnection {
  isSent: boolean;
}

/** What was read and compiled anew there. */
export interface PreparedThere {
  readonly problems: readonly string[];
  /** Puts it in place, or drops it. */
  commit(go: boolean): void;
}

/** One worker's process as the supervisor sees it. */
export class WorkerProcess {
  readonly seat: Seat;
  /** Its part of what is for all (cluster/share). */
  readonly share: number;
  state: "starting" | "ready" | "retiring" = "starting";
  /** Why it ends, if it said so. */
  problems: readonly string[] = [];
  /** What it counted, as last told. */
  report: WorkerReport | null = null;
  cut = 0;
  /** Of the supervisor's reloads, the one it has read, or a later one. */
  revision = 0;
  /** How often it was looked after since it last said anything. */
  silentLooks = 0;
  readonly #child: ChildProcess;
  readonly #connections = new Map<number, Handed>();
  /** Closes the connection that is on its way, which Node would keep open for ever when the worker ends meanwhile. */
  #closeUnderWay: () => void = ignore;
  readonly #waiting = new Map<number, (message: FromWorker | null) => void>();
  #next = 0;
  #isGone = false;

  constructor(owner: Owner, share: number, events: WorkerEvents) {
    this.share = share;
    this.#child = fork(program, ["worker"], { stdio: ["ignore", "pipe", "inherit", "ipc"] });
    this.seat = owner.seat((message) => this.send(message));
    this.#child.on("message", (message) => this.#heard(message as FromWorker, events));
    // A channel that broke is followed by the end of the process.
    this.#child.on("error", () => {});
    this.#child.on("exit", (status, signal) => {
      const unserved = this.#end();
      events.ended(signal === null ? `with status ${status}` : `by ${signal}`, status === 0);
      // What it said last may stand unread, and makes Node send it what waits: a connection must not be handed on before.
      setImmediate(() => setImmediate(() => events.unserved(unserved)));
    });
    forwardLines(this.#child, events.lines);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get connections(): number {
    return this.#connections.size;
  }

  /** It said nothing when it was last looked after. */
  get isDeaf(): boolean {
    return this.silentLooks > silentLooksFine;
  }

  send(message: ToWorker): void {
    if (!this.#isGone && this.#child.connected) this.#child.send(message, ignore);
  }

  /** Hands an accepted connection over. */
  connect(name: ListenerName, socket: Socket, closed: () => void): void {
    this.#next += 1;
    const id = this.#next;
    const handed: Handed = { name, socket, closed, isSent: false };
    this.#connections.set(id, handed);
    // Its end is told next, and who takes this one then.
    if (this.#isGone || !this.#child.connected) return;
    const close = closerOf(socket);
    const message: ToWorker = { type: "connection", id, listener: name };
    this.#child.send(message, socket, () => {
      handed.isSent = true;
      this.#closeUnderWay = close;
    });
  }

  /** Asks how it stands; what it says, this or anything else, makes `silentLooks` 0. */
  look(): void {
    this.silentLooks += 1;
    void this.ask(false);
  }

  /** How it stands now; null when it does not say in time. */
  async ask(process = true): Promise<WorkerReport | null> {
    const answer = await this.#question(reportMsMax, (id) => ({ type: "report", id, process }));
    return answer?.type === "report" ? answer.report : null;
  }

  /** Lets it read and compile everything anew; null when it does not say in time. */
  async prepare(): Promise<PreparedThere | null> {
    const answer = await this.#question(prepareMsMax, (id) => ({ type: "prepare-reload", id }));
    // One that ended meanwhile has no plan; what takes its place reads the new files.
    if (answer === null && this.#isGone) return { problems: [], commit: () => {} };
    if (answer?.type !== "prepared") return null;
    const { id, problems } = answer;
    return { problems, commit: (go) => this.send({ type: "commit-reload", id, go }) };
  }

  /** Ends it at once, for this reason. */
  giveUp(why: string): void {
    this.problems = [why];
    this.kill();
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }

  #question(msMax: number, message: (id: number) => ToWorker): Promise<FromWorker | null> {
    if (this.#isGone) return Promise.resolve(null);
    this.#next += 1;
    const id = this.#next;
    return new Promise((resolve) => {
      const callOff = afterAwake(msMax, () => done(null));
      const done = (answer: FromWorker | null) => {
        callOff();
        this.#waiting.delete(id);
        resolve(answer);
      };
      this.#waiting.set(id, done);
      this.send(message(id));
    });
  }

  #heard(message: FromWorker, events: WorkerEvents): void {
    this.silentLooks = 0;
    switch (message.type) {
      case "hello":
        return events.hello(message.protocol, message.version);
      case "ready":
        return events.ready();
      case "problems":
        this.problems = message.problems;
        return;
      case "batch":
        return this.seat.take(message.items);
      case "closed":
        for (const id of message.ids) this.#closed(id);
        return;
      case "report":
        // Also when it comes too late for who asked.
        this.#keep(message.report);
        return this.#waiting.get(message.id)?.(message);
      case "prepared":
        return this.#waiting.get(message.id)?.(message);
      case "ended":
        this.#keep(message.report);
        this.cut = message.cut;
        return;
      default: {
        const never: never = message;
        return never;
      }
    }
  }

  #keep(report: WorkerReport): void {
    this.report = { ...report, process: report.process ?? this.report?.process ?? null };
  }

  #closed(id: number): void {
    const closed = this.#connections.get(id);
    this.#connections.delete(id);
    closed?.closed();
  }

  /** Answers the connections that somebody else can have. */
  #end(): readonly WaitingConnection[] {
    this.#isGone = true;
    this.seat.end();
    this.#closeUnderWay();
    const all = [...this.#connections.values()];
    this.#connections.clear();
    for (const { isSent, closed } of all) if (isSent) closed();
    for (const done of [...this.#waiting.values()]) done(null);
    return all.filter(({ isSent }) => !isSent);
  }
}

/** Several processes would write into one another's lines: each has a pipe of its own, and whole lines go on. */
function forwardLines(child: ChildProcess, lines: (text: string) => void): void {
  let rest = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    const end = text.lastIndexOf("\n") + 1;
    if (end === 0 && rest.length < lineLengthMax) {
      rest += text;
      return;
    }
    lines(rest + text.slice(0, end));
    rest = text.slice(end);
  });
  child.stdout?.on("end", () => {
    if (rest !== "") lines(`${rest}\n`);
  });
}

/**
 * Closes this process's hold on a connection that was sent away; once more is no harm. Node has no way to ask for that: behind a
 * connection that never arrives everything waits, and nothing of it is let go at the worker's end (internal/child_process).
 */
function closerOf(socket: Socket): () => void {
  const handle: unknown = Reflect.get(socket, "_handle");
  return () => {
    if (typeof handle !== "object" || handle === null || !("close" in handle)) return;
    if (typeof handle.close === "function") handle.close();
  };
}

function ignore(): void {
  // What could not be sent was meant for a process that is ending; its end is told by "exit".
}
