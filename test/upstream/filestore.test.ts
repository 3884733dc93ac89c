import { spawnSync } from "node:child_process";
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import t from "tap";
import { Filestore, type StoreFile } from "../../src/upstream/filestore.ts";
import { makeFilestore, openBelow } from "../support/filestore.ts";

const nameOf = (path: string) => ({ database: path.split("/")[0] ?? "", path });
const store = makeFilestore();
t.teardown(() => store.close());
const files = new Filestore(store.directory);

/** What became of one; an opened file is closed. */
async function tried(path: string, from = files): Promise<string> {
  const opened = await from.open(nameOf(path), "me");
  if (!opened.ok) return `${opened.error.kind}: ${opened.error.detail}`;
  opened.value.close();
  return `${opened.value.bytes} bytes`;
}

t.test("a file is read where it is asked to be, and closed once", async (t) => {
  const path = store.put("0123456789");
  const opened = await files.open(nameOf(path), "me");
  if (!opened.ok) return void t.fail(opened.error.detail);
  t.equal(opened.value.bytes, 10);
  t.equal(files.filesOpen, 1);
  const into = Buffer.alloc(4);
  t.same(await opened.value.read(into, 8), { ok: true, value: 2 });
  t.equal(into.toString("latin1", 0, 2), "89");
  t.same(await opened.value.read(into, 10), { ok: true, value: 0 });
  opened.value.close();
  opened.value.close();
  t.equal(files.filesOpen, 0);
  t.notOk((await opened.value.read(into, 0)).ok, "and not read afterwards");
});

t.test("what is no regular file of the filestore stays closed, and nobody waits for it", async (t) => {
  const good = store.put("good");
  const name = (digits: string) => {
    const path = `prod/${digits.slice(0, 2)}/${digits.padEnd(40, "0")}`;
    mkdirSync(dirname(store.at(path)), { recursive: true });
    return path;
  };
  const outside = join(dirname(store.directory), "outside");
  writeFileSync(outside, "secret");
  const links: readonly (readonly [string, string])[] = [
    [name("11"), outside],
    [name("12"), store.at(good)],
    [name("13"), "/dev/zero"],
    [name("14"), store.at(name("14"))],
  ];
  for (const [path, target] of links) {
    symlinkSync(target, store.at(path));
    t.match(await tried(path), /^answer-malformed: .* is a symbolic link: it is not sent$/, target);
  }
  const folder = name("15");
  mkdirSync(store.at(folder));
  t.match(await tried(folder), /^answer-malformed: .* is no regular file/);
  const pipe = name("16");
  if (spawnSync("mkfifo", [store.at(pipe)]).status === 0)
    t.match(await tried(pipe), /^answer-malformed: .* is no regular file/);
  const socket = name("17");
  const server = createServer().listen(store.at(socket));
  await new Promise((resolve) => server.once("listening", resolve));
  t.match(await tried(socket), /^file-unreadable: .*ENXIO/);
  server.close();
  t.equal(openBelow(store.directory) ?? 0, 0);
});

t.test("a folder that is a link leads nowhere outside", async (t) => {
  const digits = "ab".padEnd(40, "0");
  const outside = join(dirname(store.directory), "elsewhere");
  mkdirSync(join(outside, "ab"), { recursive: true });
  writeFileSync(join(outside, "ab", digits), "secret");
  symlinkSync(outside, store.at("linked"));
  t.match(await tried(`linked/ab/${digits}`), /^answer-malformed: .* lies outside the filestore/);
  mkdirSync(store.at("half"));
  symlinkSync(join(outside, "ab"), store.at("half/ab"));
  t.match(await tried(`half/ab/${digits}`), /^answer-malformed: .* lies outside the filestore/);
  // A neighbour whose name begins alike.
  mkdirSync(`${store.directory}-old/ab`, { recursive: true });
  writeFileSync(`${store.directory}-old/ab/${digits}`, "secret");
  symlinkSync(`${store.directory}-old`, store.at("alike"));
  t.match(await tried(`alike/ab/${digits}`), /^answer-malformed: .* lies outside the filestore/);
  // A copy that shares the files of another database, as operators make them.
  const good = store.put("shared");
  symlinkSync(store.at("prod"), store.at("copy"));
  t.equal(await tried(good.replace("prod", "copy")), "6 bytes");
});

t.test("a filestore behind a link of its own, and one that was set anew", async (t) => {
  const other = makeFilestore();
  t.teardown(() => other.close());
  const first = store.put("first");
  const second = other.put("second");
  const link = join(dirname(store.directory), "current");
  symlinkSync(store.directory, link);
  const linked = new Filestore(link);
  t.equal(await tried(first, linked), "5 bytes");
  symlinkSync(other.directory, `${link}-new`);
  renameSync(`${link}-new`, link);
  t.equal(await tried(second, linked), "6 bytes");
  t.match(await tried(first, linked), /^file-unreadable: /);
});

t.test("what is missing is told with the remedy", async (t) => {
  const path = store.put("gone");
  rmSync(store.at(path));
  t.match(
    await tried(path),
    /^file-unreadable: prod\/\w\w\/\w{40} of ODOO_FILESTORE is not there \(ENOENT\): .*mounted\?.*backup$/,
  );
  t.match(await tried(path, new Filestore("/nonexistent")), /^file-unreadable: .* is not there/);
  t.match(await tried(path, new Filestore("/dev/null")), /^file-unreadable: .* is not there \(ENOTDIR\)/);
});

t.test("so many files are open at the same time, and of one client fewer", async (t) => {
  const path = store.put("many");
  const few = new Filestore(store.directory, 8);
  const open: StoreFile[] = [];
  const take = async (owner: string, count: number) => {
    for (const one of await Promise.all(Array.from({ length: count }, () => few.open(nameOf(path), owner))))
      if (one.ok) open.push(one.value);
    return open.length;
  };
  t.equal(await take("greedy", 5), 2);
  t.match(await few.open(nameOf(path), "greedy"), {
    error: { kind: "spool-full", detail: /of this client/ },
  });
  for (const owner of ["a", "b", "c"]) await take(owner, 2);
  t.equal(few.filesOpen, 8);
  t.match(await few.open(nameOf(path), "late"), {
    error: { kind: "spool-full", detail: /too many files are/ },
  });
  for (const one of open.splice(0)) one.close();
  t.equal(few.filesOpen, 0);
  t.equal(await tried(path, few), "4 bytes");
});
