import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

/** An upstream that is one worker with a short listen queue, like Odoo's prefork server: what does not fit is not connected. */
export interface OneAtATime {
  readonly port: number;
  /** Request lines in the order they were served; a connection that ended without a request is none. */
  readonly served: readonly string[];
  close(): Promise<void>;
}

export interface OneAtATimeOptions {
  /** As in listen(2): Linux keeps one more than this. */
  readonly backlog: number;
  /** Milliseconds each request takes. */
  readonly workMs: number;
  /** Milliseconds the second request takes, where it is another time: who was not connected finds the listen queue full once more. */
  readonly secondMs?: number;
  /** A request whose line holds this word is never answered, and nobody after it. */
  readonly never?: string;
}

// Node accepts whatever has come at once; only a process that does not call accept(2) fills its listen queue.
const script = `
import os, socket, sys, threading, time
backlog, work, never, second = int(sys.argv[1]), float(sys.argv[2]) / 1000, sys.argv[3], float(sys.argv[4]) / 1000
served = 0
# Ends with the test, however that ends.
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
s = socket.socket()
s.bind(("127.0.0.1", 0))
s.listen(backlog)
print(s.getsockname()[1], flush=True)
while True:
    c, _ = s.accept()
    try:
        seen = b""
        while b"\\r\\n\\r\\n" not in seen:
            piece = c.recv(65536)
            if not piece: break
            seen += piece
        head, end, body = seen.partition(b"\\r\\n\\r\\n")
        if not end: continue
        length = 0
        for line in head.split(b"\\r\\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length": length = int(value)
        while len(body) < length:
            piece = c.recv(65536)
            if not piece: break
            body += piece
        line = head.split(b"\\r\\n")[0].decode("latin1")
        print(line, flush=True)
        if never and never in line:
            while True: time.sleep(60)
        served += 1
        time.sleep(second if served == 2 else work)
        c.sendall(b"HTTP/1.0 200 OK\\r\\nContent-Type: text/plain\\r\\nContent-Length: " + str(len(body)).encode() + b"\\r\\n\\r\\n" + body)
    except OSError:
        pass
    finally:
        c.close()
`;

/** Rejects when there is no python3. */
export async function startOneAtATime(options: OneAtATimeOptions): Promise<OneAtATime> {
  const { backlog, workMs, never = "", secondMs = workMs } = options;
  const child = spawn("python3", ["-c", script, `${backlog}`, `${workMs}`, never, `${secondMs}`], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const served: string[] = [];
  const gone = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const port = await new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    createInterface(child.stdout)
      .once("line", (line) => resolve(Number(line)))
      .on("line", (line) => {
        if (line.includes(" ")) served.push(line);
      });
  });
  return {
    port,
    served,
    async close() {
      child.kill("SIGKILL");
      await gone;
    },
  };
}
