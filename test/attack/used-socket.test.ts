import type { Socket } from "node:net";
import t from "tap";
import { dechunk, h1, h2, openHttp2 } from "../exchange/clients.ts";
import { startTestGateway } from "../support/gateway.ts";
import { startScripted } from "../support/upstream-scripted.ts";

const stolen = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nSTOLEN";

/** How an Odoo, or what pretends to be one, goes on behind a whole answer. */
const manners: Readonly<Record<string, (socket: Socket) => void>> = {
  closes: (socket) => socket.end(),
  stays: () => {},
  resets: (socket) => void socket.resetAndDestroy(),
  "resets later": (socket) => setImmediate(() => socket.resetAndDestroy()),
  "goes on at once": (socket) => socket.write(stolen),
  "goes on later": (socket) => {
    let rest = 4;
    const more = () => {
      if (socket.destroyed || rest === 0) return;
      rest -= 1;
      socket.write(stolen);
      setImmediate(more);
    };
    setImmediate(more);
  },
  "ends later": (socket) => setImmediate(() => socket.end(stolen)),
};
const names = Object.keys(manners);

t.test("what Odoo says behind an answer, and how it goes away, never reaches the next client", async (t) => {
  const odoo = await startScripted((socket, received) => {
    const text = received.toString("latin1");
    const name = /^x-manner: (.*)$/im.exec(text)?.[1] ?? "";
    const body = /^x-mine: (.*)$/im.exec(text)?.[1] ?? "";
    const length = name === "closes" && body.endsWith("7") ? "" : `Content-Length: ${body.length}\r\n`;
    socket.write(`HTTP/1.1 200 OK\r\n${length}Connection: close\r\n\r\n${body}`);
    if (length === "") socket.end();
    else manners[name]?.(socket);
  });
  t.teardown(() => odoo.close());
  const gateway = await startTestGateway({
    upstream: { webPort: odoo.port, busPort: odoo.port },
    env: { TRUSTED_NETWORKS: "127.0.0.1" },
  });
  t.teardown(() => gateway.close());
  const sessions = await Promise.all(Array.from({ length: 4 }, () => openHttp2(gateway)));
  t.teardown(() => {
    for (const session of sessions) session.destroy();
  });
  let wrong = 0;
  let right = 0;
  let reset = 0;
  for (let round = 0; round < 25; round += 1) {
    await Promise.all(
      Array.from({ length: 28 }, async (_, at) => {
        const name = names[(at + round * 5) % names.length] ?? "";
        const mine = `mine ${round}-${at}`;
        const session = sessions[at % sessions.length];
        if (session === undefined) return;
        const answer =
          at % 7 === 6
            ? await h1(gateway, "GET /web/login", [`X-Manner: ${name}`, `X-Mine: ${mine}`]).then(
                ({ status, body }) => ({ status, body: body.includes("\r\n") ? dechunk(body).text : body }),
              )
            : await h2(session, gateway, { ":path": "/web/login", "x-manner": name, "x-mine": mine }).then(
                ({ status, body }) => ({ status, body: body.toString() }),
              );
        if (answer.status === 200 && answer.body === mine) right += 1;
        // A reset may overtake the answer.
        else if (answer.status === 502 && name.startsWith("resets")) reset += 1;
        else wrong += 1;
      }),
    );
  }
  t.equal(wrong, 0, "each client has its own answer");
  t.ok(right >= 25 * 28 * (5 / 7), `${right} right, ${reset} reset`);
});
