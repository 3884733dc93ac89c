import t from "tap";
import { err, ok } from "../../src/base/result.ts";
import type { AnswerHead } from "../../src/upstream/answer-reader.ts";
import { FileBody, filePieceBytes } from "../../src/upstream/file-body.ts";
import type { StoreFile } from "../../src/upstream/filestore.ts";

const file = { database: "prod", path: `prod/aa/${"a".repeat(40)}` };
const named: AnswerHead = {
  status: 200,
  fields: [
    "Content-Type",
    "text/plain",
    "Content-Length",
    "0",
    "X-Accel-Redirect",
    `/web/filestore/${file.path}`,
  ],
  framing: { kind: "length", bytes: 0 },
  reusable: false,
  namesFile: true,
};

/** A disk in memory. `read`: what a read at this position gives; undefined: what is there. */
function storeOf(
  content: Buffer,
  read: (position: number) => ReturnType<StoreFile["read"]> | undefined = () => undefined,
) {
  const seen = { closed: 0, reads: 0 };
  const opened: StoreFile = {
    bytes: content.length,
    read: async (into, position) => {
      seen.reads += 1;
      const given = read(position);
      if (given !== undefined) return given;
      return ok(content.copy(into, 0, position, position + into.length));
    },
    close: () => {
      seen.closed += 1;
    },
  };
  return { seen, store: { open: async () => ok(opened) } };
}

/** Hears a body to its end. `onData` may pause it. */
function heard(
  store: ConstructorParameters<typeof FileBody>[0],
  timeoutMs = 10_000,
  onData: (body: FileBody, chunk: Buffer) => void = () => {},
) {
  const told: string[] = [];
  const parts: Buffer[] = [];
  let body: FileBody | null = null;
  const ended = new Promise<void>((resolve) => {
    const one = new FileBody(
      store,
      { head: named, file, owner: "me", isHeadOnly: false, timeoutMs },
      {
        head: (head) =>
          void told.push(`head ${head.framing.kind === "length" ? head.framing.bytes : head.framing.kind}`),
        data: (chunk) => {
          parts.push(chunk);
          onData(one, chunk);
        },
        end: () => {
          told.push("end");
          resolve();
        },
        failure: (kind, detail) => {
          told.push(`${kind}: ${detail}`);
          resolve();
        },
      },
    );
    body = one;
    one.start();
  });
  return { told, ended, bytes: () => Buffer.concat(parts), body: () => body };
}

t.test("a file is told in order, to its end, and closed", async (t) => {
  for (const bytes of [
    1,
    filePieceBytes - 1,
    filePieceBytes,
    filePieceBytes + 1,
    3 * filePieceBytes,
    200_001,
  ]) {
    const content = Buffer.alloc(bytes, "0123456789abcdef");
    const { store, seen } = storeOf(content);
    const got = heard(store);
    await got.ended;
    t.same(got.told, [`head ${bytes}`, "end"]);
    t.ok(got.bytes().equals(content));
    t.ok(seen.closed > 0);
    t.ok(seen.reads <= Math.ceil(bytes / filePieceBytes), "and read once");
  }
});

t.test("who pauses gets nothing more until he goes on", async (t) => {
  const content = Buffer.alloc(5 * filePieceBytes, "0123456789abcdef");
  const { store, seen } = storeOf(content);
  const turns: number[] = [];
  let largest = 0;
  const got = heard(store, 10_000, (body, chunk) => {
    largest = Math.max(largest, chunk.length);
    body.pause();
    turns.push(seen.reads);
    setImmediate(() => {
      turns.push(seen.reads);
      body.resume();
    });
  });
  await got.ended;
  t.ok(got.bytes().equals(content));
  t.same(turns.slice(0, 9), [1, 1, 2, 2, 3, 3, 4, 4, 5]);
  t.equal(largest, filePieceBytes, "and holds no more than that");
});

t.test("reads that give less than they were asked for are gone on with", async (t) => {
  const content = Buffer.from("0123456789");
  const opened = { bytes: 10, close: () => {} };
  const store = {
    open: async () =>
      ok({ ...opened, read: async (into: Buffer, at: number) => ok(content.copy(into, 0, at, at + 3)) }),
  };
  const got = heard(store);
  await got.ended;
  t.same(got.told, ["head 10", "end"]);
  t.equal(got.bytes().toString(), "0123456789");
});

t.test("a disk that fails in the middle ends the answer before its end", async (t) => {
  const content = Buffer.alloc(3 * filePieceBytes);
  const trouble = { kind: "file-unreadable", detail: "EIO" } as const;
  const { store, seen } = storeOf(content, (at) => (at === 0 ? undefined : Promise.resolve(err(trouble))));
  const got = heard(store);
  await got.ended;
  t.same(got.told, [`head ${content.length}`, "file-unreadable: EIO"]);
  t.equal(got.bytes().length, filePieceBytes);
  t.ok(seen.closed > 0);
});

t.test("a small file that became another one is told before anything of it", async (t) => {
  const shorter = storeOf(Buffer.from("0123456789"), (at) => (at === 0 ? undefined : Promise.resolve(ok(0))));
  const missing = heard({ open: async () => ok({ bytes: 10, close() {}, read: async () => ok(0) }) });
  await missing.ended;
  t.match(missing.told, [/^file-unreadable: .* became shorter while it was sent$/]);
  const longer = heard({
    open: async () => ok({ bytes: 10, close() {}, read: async (into: Buffer) => ok(into.length) }),
  });
  await longer.ended;
  t.match(longer.told, [/^file-unreadable: .* became longer while it was sent$/]);
  t.equal(shorter.seen.reads, 0);
});

t.test("a disk that hangs is not waited for without end, and what it opens late is closed", async (t) => {
  let open: (file: StoreFile) => void = () => {};
  const opening = new Promise<StoreFile>((resolve) => {
    open = resolve;
  });
  const got = heard({ open: async () => ok(await opening) }, 1);
  await got.ended;
  t.match(got.told, [/^file-unreadable: .*: the disk gave nothing in 1 ms/]);
  const closed = new Promise<void>((resolve) => open({ bytes: 1, read: async () => ok(0), close: resolve }));
  await closed;
  t.equal(got.told.length, 1, "and nothing more is told");

  const { store, seen } = storeOf(Buffer.alloc(2 * filePieceBytes), (at) =>
    at === 0 ? undefined : new Promise(() => {}),
  );
  const half = heard(store, 5);
  await half.ended;
  t.match(half.told, [/^head /, /^file-unreadable: .*the disk gave nothing/]);
  t.equal(seen.closed, 1);
});

t.test("who is gone hears nothing more", async (t) => {
  const { store, seen } = storeOf(Buffer.alloc(3 * filePieceBytes));
  const got = heard(store, 10_000, (body) => body.close());
  await new Promise((resolve) => setImmediate(resolve));
  await new Promise((resolve) => setImmediate(resolve));
  t.same(got.told, [`head ${3 * filePieceBytes}`]);
  t.equal(seen.reads, 1);
  t.ok(seen.closed > 0);
});
