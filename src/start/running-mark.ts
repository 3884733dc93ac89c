import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** In STATE_DIR, while people are told (ALERT_URL) and nobody has asked the gateway to stop. */
export const runningMarkFile = "running";

/** Did the gateway before this one end without being told to: by a bug, for want of memory, with its machine. */
export class RunningMark {
  readonly #path: string;
  #isSet = false;
  #wasThere = false;

  constructor(stateDir: string) {
    this.#path = join(stateDir, runningMarkFile);
  }

  /** One was there when this process set it first, of a process that is none any more. */
  get wasThere(): boolean {
    return this.#wasThere;
  }

  /** Sets it, or takes it away. A disk that cannot be written has none; that is a condition of its own. */
  set(isOn: boolean): void {
    if (isOn === this.#isSet) return;
    this.#isSet = isOn;
    try {
      if (!isOn) return rmSync(this.#path, { force: true });
      this.#wasThere = isOfTheDead(this.#path);
      writeFileSync(this.#path, `${process.pid}\n`, { mode: 0o600 });
    } catch {
      // Nothing is told by it then.
    }
  }
}

/** In a container every gateway has the same number, which is ours. */
function isOfTheDead(path: string): boolean {
  let pid: number;
  try {
    pid = Number(readFileSync(path, "latin1").slice(0, 20));
  } catch {
    return false;
  }
  try {
    return !Number.isSafeInteger(pid) || pid < 1 || pid === process.pid || !process.kill(pid, 0);
  } catch (error) {
    return !(error instanceof Error && "code" in error && error.code === "EPERM");
  }
}
