import t from "tap";
import {
  closedWith,
  nextMessage,
  opened,
  recordOf,
  refusedWith,
  until,
  webSocket,
} from "../exchange/clients.ts";
import { type FaultKind, type FaultStage, startFaultProxy } from "../support/fault-proxy.ts";
import { startTestGateway } from "../support/gateway.ts";

const gateway = await startTestGateway();
const proxy = await startFaultProxy(gateway.demo.busPort);
const spoilt = await startTestGateway({
  upstream: { webPort: gateway.demo.webPort, busPort: proxy.port },
  env: { HOLD_TIMEOUT: "10s" },
});

t.teardown(async () => {
  await spoilt.close();
  await proxy.close();
  await gateway.close();
});

t.test("without a fault everything passes", async () => {
  // Also the gateway's look at the bus port at its start is over then.
  const socket = await opened(webSocket(spoilt));
  socket.terminate();
  await until(() => proxy.open === 0);
});

let count = 0;
const nextPath = () => {
  count += 1;
  return `/websocket?version=19.0-2&n=${count}`;
};

const refusals: readonly (readonly [FaultStage, FaultKind, string])[] = [
  ["connect", "reset", "closed-without-answer"],
  ["connect", "half", "closed-without-answer"],
];

t.test("a handshake that Odoo hangs up on is refused, and not tried again for its client", async (t) => {
  for (const [stage, kind, failure] of refusals) {
    const path = nextPath();
    proxy.next({ stage, kind });
    const answer = await refusedWith(webSocket(spoilt, { path }));
    t.equal(answer.status, 502, `${kind} at ${stage}`);
    t.match(await recordOf(spoilt, path), { failure, status: 502, queueMs: 0 });
    const socket = await opened(webSocket(spoilt));
    socket.terminate();
  }
});

t.test("a handshake that waits goes on", async () => {
  for (const kind of ["delay", "slow"] as const) {
    const { done } = proxy;
    proxy.next({ stage: "connect", kind });
    const opening = opened(webSocket(spoilt, { path: nextPath() }));
    await until(() => proxy.done > done);
    proxy.release();
    const socket = await opening;
    socket.terminate();
  }
});

t.test("a tunnel that breaks in the middle of a message does not look like a finished one", async (t) => {
  for (const kind of ["reset", "half"] as const) {
    const path = nextPath();
    proxy.next({ stage: "tunnel", kind });
    const socket = await opened(webSocket(spoilt, { path }));
    let heard = 0;
    socket.on("message", () => {
      heard += 1;
    });
    const closed = closedWith(socket);
    await until(() => gateway.demo.stats.websockets > 0);
    gateway.demo.notify("news", { text: "half of it" });
    t.equal((await closed).code, 1006, `${kind}: no close frame was invented`);
    t.equal(heard, 0, "half a message is none");
    t.equal((await recordOf(spoilt, path)).status, 101);
    await until(() => spoilt.running.gateway.tunnels === 0 && gateway.demo.stats.websockets === 0);
  }
});

t.test("a message that comes late or in pieces arrives whole", async (t) => {
  for (const kind of ["delay", "slow"] as const) {
    const { done } = proxy;
    proxy.next({ stage: "tunnel", kind });
    const socket = await opened(webSocket(spoilt, { path: nextPath() }));
    const message = nextMessage(socket);
    await until(() => gateway.demo.stats.websockets > 0);
    gateway.demo.notify("news", { text: "all of it" });
    await until(() => proxy.done > done);
    proxy.release();
    t.match(await message, /all of it/);
    socket.terminate();
    await until(() => gateway.demo.stats.websockets === 0);
  }
});

t.test("a tunnel whose other end has vanished is left when its client goes", async (t) => {
  const path = nextPath();
  const { done } = proxy;
  proxy.next({ stage: "tunnel", kind: "black-hole" });
  const socket = await opened(webSocket(spoilt, { path }));
  await until(() => gateway.demo.stats.websockets > 0);
  gateway.demo.notify("news", { text: "never" });
  await until(() => proxy.done > done);
  t.equal(spoilt.running.gateway.tunnels, 1, "it stays: silence is no end");
  socket.terminate();
  await until(() => spoilt.running.gateway.tunnels === 0 && proxy.open === 0);
  t.equal((await recordOf(spoilt, path)).status, 101);
});
