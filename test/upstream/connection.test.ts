import { once } from "node:events";
import type { Socket } from "node:net";
import t from "tap";
import type { ConnectionUser, UpstreamConnection } from "../../src/upstream/connection.ts";
import { member } from "../../src/upstream/pool.ts";
import { PoolMember } from "../../src/upstream/pool-member.ts";
import { startScripted } from "../support/upstream-scripted.ts";

interface Heard extends ConnectionUser {
  readonly text: () => string;
  readonly said: readonly string[];
}

/** Sends a request when connected, and keeps what it hears. */
function heard(connection: UpstreamConnection, onBytes: () => void = () => {}): Heard {
  const chunks: Buffer[] = [];
  const said: string[] = [];
  const user: Heard = {
    text: () => Buffer.concat(chunks).toString(),
    said,
    connected: () => {
      said.push("connected");
      connection.socket.write("GET / HTTP/1.1\r\n\r\n");
    },
    received: (chunk) => {
      chunks.push(chunk);
      onBytes();
    },
    ended: () => void said.push("ended"),
    errored: (error) => void said.push(`errored ${error.code}`),
    silent: () => void said.push("silent"),
  };
  connection.use(user);
  return user;
}

/** One exchange on a connection, up to the first bytes. */
function exchanged(connection: UpstreamConnection): Promise<Heard> {
  return new Promise((resolve) => {
    const user = heard(connection, () => resolve(user));
  });
}

async function started(answer: (socket: Socket, at: number) => void) {
  let count = 0;
  const odoo = await startScripted((socket) => {
    count += 1;
    answer(socket, count);
  });
  const home = new PoolMember(member("127.0.0.1", odoo.port), { keepAlive: false, isBackup: false });
  return { odoo, home };
}

const closed = (connection: UpstreamConnection) => once(connection.socket, "close");

t.test("a connection that ended well is opened again, and hears nothing of what came before", async (t) => {
  const { odoo, home } = await started((socket, at) => {
    socket.write(`answer ${at}`);
    // Behind the answer, when it is closed or about to be.
    setImmediate(() => socket.write(`late ${at}`));
  });
  t.teardown(() => odoo.close());
  const first = home.connect();
  const users: Heard[] = [];
  for (let at = 1; at <= 5; at += 1) {
    const connection = at === 1 ? first : home.connect();
    t.equal(connection, first, "the same one");
    const user = await exchanged(connection);
    users.push(user);
    const end = closed(connection);
    connection.finish();
    await end;
  }
  for (const [i, user] of users.entries())
    t.match(user.text(), new RegExp(`^answer ${i + 1}(?:late ${i + 1})?$`), "its own answer");
  t.same(
    users.map(({ said }) => said),
    Array(5).fill(["connected"]),
  );
  t.notOk(first.isUsable, "a closed one is not");
});

t.test("a connection is opened again only behind its close", async (t) => {
  const { odoo, home } = await started((socket) => socket.write("answer"));
  t.teardown(() => odoo.close());
  const first = home.connect();
  await exchanged(first);
  const end = closed(first);
  first.finish();
  const second = home.connect();
  t.not(second, first);
  await end;
  t.equal(home.connect(), first);
});

t.test("a connection that was given up, was paused, or failed never comes back", async (t) => {
  const { odoo, home } = await started((socket, at) => {
    socket.write("answer");
    if (at === 3) socket.resetAndDestroy();
  });
  t.teardown(() => odoo.close());
  const given = home.connect();
  await exchanged(given);
  let end = closed(given);
  given.destroy();
  await end;
  const paused = home.connect();
  t.not(paused, given);
  await exchanged(paused);
  paused.socket.pause();
  end = closed(paused);
  paused.finish();
  await end;
  const failed = home.connect();
  t.not(failed, paused);
  const user = await exchanged(failed);
  if (user.said.length === 1) await once(failed.socket, "close").catch(() => {});
  failed.finish();
  t.not(home.connect(), failed);
});

t.test(
  "silence is noticed on a connection that is opened again, with the length it had before",
  async (t) => {
    const { odoo, home } = await started((socket, at) => {
      if (at === 1) socket.write("answer");
    });
    t.teardown(() => odoo.close());
    // Silence of a socket keeps no process alive.
    const alive = setInterval(() => {}, 1_000);
    t.teardown(() => clearInterval(alive));
    const connection = home.connect();
    connection.bound(30);
    await exchanged(connection);
    const end = closed(connection);
    connection.finish();
    await end;
    t.equal(home.connect(), connection);
    await new Promise<void>((resolve) => {
      const user = heard(connection);
      connection.use({ ...user, silent: resolve });
      connection.bound(30);
    });
    connection.destroy();
  },
);

t.test("a refused connection is told, and the next one is fresh", async (t) => {
  const { odoo, home } = await started((socket) => socket.write("answer"));
  const first = home.connect();
  await exchanged(first);
  const end = closed(first);
  first.finish();
  await end;
  await odoo.close();
  const again = home.connect();
  t.equal(again, first);
  const user = heard(again);
  await once(again.socket, "close").catch(() => {});
  t.same(user.said.slice(0, 1), ["errored ECONNREFUSED"]);
  t.not(home.connect(), first);
});

t.test("a name with two ways is tried anew each time a connection is opened again", async (t) => {
  const { odoo } = await started((socket, at) => socket.write(`answer ${at}`));
  t.teardown(() => odoo.close());
  const home = new PoolMember(
    member("odoo.test", odoo.port),
    { keepAlive: false, isBackup: false },
    // Nobody listens there.
    [
      { address: "::1", family: 6 },
      { address: "127.0.0.1", family: 4 },
    ],
  );
  const first = home.connect();
  for (let at = 1; at <= 4; at += 1) {
    const connection = at === 1 ? first : home.connect();
    t.equal(connection, first);
    const user = await exchanged(connection);
    t.equal(user.text(), `answer ${at}`);
    t.same(user.said, ["connected"]);
    const end = closed(connection);
    connection.finish();
    await end;
  }
});
