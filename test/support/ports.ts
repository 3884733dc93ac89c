import { once } from "node:events";
import { createServer } from "node:net";

/** Below what the kernel gives to `listen(0)` and to outgoing connections (32768 on, by default), above the well-known. */
const lowest = 12_000;
const blocks = 1_000;
/** Ports of one process: test files run at the same time as processes of their own, with process numbers close together. */
const each = 20;

let next = 0;

/** Free loopback ports, all different, that no `listen(0)` beside us gets before they are used. */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  for (let tried = 0; ports.length < count && tried < 2 * each; tried += 1) {
    const port = lowest + (process.pid % blocks) * each + (next % each);
    next += 1;
    if (!ports.includes(port) && (await isFree(port))) ports.push(port);
  }
  if (ports.length < count) throw new Error(`no ${count} free ports of this process are left`);
  return ports;
}

export async function freePort(): Promise<number> {
  const [port = 0] = await freePorts(1);
  return port;
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const listening = once(server, "listening");
  server.listen(port, "127.0.0.1");
  try {
    await listening;
  } catch {
    return false;
  }
  server.close();
  await once(server, "close");
  return true;
}
