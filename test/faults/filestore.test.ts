import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import t from "tap";
import { problemLine } from "../../src/base/problem.ts";
import { lookAtFilestore } from "../../src/start/filestore-folder.ts";
import { h1, recordOf } from "../exchange/clients.ts";
import { type FileAnswer, immutable, startFiles } from "../support/files-upstream.ts";
import { makeFilestore, naming } from "../support/filestore.ts";
import { startTestGateway } from "../support/gateway.ts";

/** As somebody who owns nothing; left out where we cannot be him. */
const isRoot = process.geteuid?.() === 0;
function asNobody<T>(what: () => T): T {
  process.seteuid?.(65_534);
  try {
    return what();
  } finally {
    process.seteuid?.(0);
  }
}

t.test(
  "a file that is gone is a page with an id, the log says which and what to do, and it is served when it is back",
  async (t) => {
    const store = makeFilestore();
    const answers = new Map<string, FileAnswer>();
    const odoo = await startFiles(({ target }) => answers.get(target.split("?")[0] ?? "") ?? {});
    const gateway = await startTestGateway({
      upstream: { webPort: odoo.port, busPort: odoo.port },
      env: { ODOO_FILESTORE: store.directory },
    });
    t.teardown(async () => {
      await gateway.close();
      await odoo.close();
      store.close();
    });
    const file = store.put("a file");
    answers.set("/web/content/1", naming(file, ["Content-Type: application/octet-stream"]));
    const bundle = "/web/assets/0c5bb5f/web.assets_web.min.js";
    answers.set(bundle, naming(file, ["Content-Type: text/javascript", ...immutable]));
    const away = `${store.directory}-away`;
    renameSync(store.directory, away);
    for (const path of ["/web/content/1", bundle])
      for (const method of ["GET", "HEAD"]) {
        const answer = await h1(gateway, `${method} ${path}?${method}`, ["Accept: text/html"]);
        t.equal(answer.status, 502, `${method} ${path}`);
        t.notMatch(answer.text, new RegExp(`${file}|filestore|ENOENT`));
        if (method === "GET") t.match(answer.body, /The file cannot be read at the moment/);
        const { id, failure } = await recordOf(gateway, `${path}?${method}`);
        t.equal(failure, "file-unreadable");
        const told = await gateway.event((one) => one.type === "upstream-failed" && one.id === id);
        t.match(told, {
          failure: "file-unreadable",
          detail: new RegExp(`^${file} of ODOO_FILESTORE is not there`),
        });
      }
    renameSync(away, store.directory);
    for (const path of ["/web/content/1", bundle]) t.equal((await h1(gateway, `GET ${path}`)).body, "a file");
  },
);

t.test(
  "a filestore that nobody lets us read is named with the remedy",
  { skip: !isRoot && "not root" },
  async (t) => {
    const store = makeFilestore();
    t.teardown(() => store.close());
    chmodSync(dirname(store.directory), 0o755);
    chmodSync(store.directory, 0o700);
    store.put("a file");
    const lines = () =>
      asNobody(() => {
        const { problems, warnings } = lookAtFilestore(store.directory);
        return [
          ...problems.map((one) => `problem ${problemLine(one)}`),
          ...warnings.map((one) => `warning ${problemLine(one)}`),
        ];
      });
    t.match(lines(), [
      /^problem environment ODOO_FILESTORE .*cannot be read by uid 65534, .*EACCES.*Odoo's user or group/,
    ]);
    chmodSync(store.directory, 0o755);
    t.same(lines(), []);
    chmodSync(store.at("prod"), 0o700);
    t.match(lines(), [
      /^warning environment ODOO_FILESTORE .* holds prod, which cannot be read by uid 65534/,
    ]);
    chmodSync(store.at("prod"), 0o755);
    const path = store.put("another");
    chmodSync(store.at(path), 0o600);
    chmodSync(store.at(store.put("a file")), 0o600);
    t.match(lines(), [/^warning .* holds prod\/\w\w\/\w{40}, which cannot be read by uid 65534, .*502$/]);
    chmodSync(dirname(store.at(path)), 0o700);
    chmodSync(dirname(store.at(store.put("a file"))), 0o700);
    t.match(lines(), [/^warning .* holds prod\/\w\w, which cannot be read/]);
  },
);

t.test("a folder that is no filestore is a problem before the start", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "odoo-gateway-folder-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const seen = (name: string) => {
    const { problems, warnings } = lookAtFilestore(join(folder, name));
    const strip = (one: Parameters<typeof problemLine>[0]) => problemLine(one).replaceAll(folder, "");
    return [
      ...problems.map((one) => `problem ${strip(one)}`),
      ...warnings.map((one) => `warning ${strip(one)}`),
    ];
  };
  const digits = "ab".padEnd(40, "0");
  const made = (path: string) => {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), "x");
  };
  made(`odoo/filestore/prod/ab/${digits}`);
  made(`odoo/sessions/ab/${"s".repeat(84)}`);
  mkdirSync(join(folder, "odoo/addons/19.0"), { recursive: true });
  t.same(seen("odoo/filestore"), []);
  t.same(seen("odoo"), [
    "problem environment ODOO_FILESTORE /odoo is Odoo's data_dir; set ODOO_FILESTORE=/odoo/filestore",
  ]);
  t.same(seen("odoo/filestore/prod"), [
    "problem environment ODOO_FILESTORE /odoo/filestore/prod is the folder of one database; name the one above it: ODOO_FILESTORE=/odoo/filestore",
  ]);
  t.match(seen("odoo/sessions"), [/^problem .* is no filestore: /]);
  t.match(seen(`odoo/filestore/prod/ab/${digits}`), [/^problem .* is no folder; /]);
  t.match(seen("nowhere/filestore"), [/^problem .* does not exist; .*mount it/]);
  t.match(seen("odoo/filestroe"), [/^warning .* is not there yet; /], "a new Odoo has made none");
  mkdirSync(join(folder, "empty"));
  t.match(seen("empty"), [/^warning .* is empty; .*the mount is missing/]);
  mkdirSync(join(folder, "fresh/new-db/checklist"), { recursive: true });
  mkdirSync(join(folder, "fresh/newer-db"), { recursive: true });
  t.same(seen("fresh"), [], "databases without a file");
  made("etc/passwd");
  mkdirSync(join(folder, "etc/opt"));
  t.match(seen("etc"), [/^problem .* is no filestore: /]);
  // What is read is behind a link, and would not be sent.
  mkdirSync(join(folder, "linked"));
  symlinkSync(join(folder, "odoo/filestore/prod"), join(folder, "linked/prod"));
  t.match(seen("linked"), [
    /^warning .* holds prod\/ab\/ab0+, which lies elsewhere, behind a symbolic link; /,
  ]);
  symlinkSync(join(folder, "odoo/filestore"), join(folder, "whole"));
  t.same(seen("whole"), [], "a link to the whole is none of that");
});

t.test("a gateway does not start without its filestore, and starts before Odoo has made one", async (t) => {
  await t.rejects(startTestGateway({ env: { ODOO_FILESTORE: "/nonexistent/filestore" } }), {
    message: /ODOO_FILESTORE \/nonexistent\/filestore does not exist/,
  });
  const folder = mkdtempSync(join(tmpdir(), "odoo-gateway-folder-"));
  const early = await startTestGateway({ env: { ODOO_FILESTORE: join(folder, "filestore") } });
  t.teardown(async () => {
    await early.close();
    rmSync(folder, { recursive: true });
  });
  t.match(
    early.events.filter((one) => one.type === "warning"),
    [{ what: "ODOO_FILESTORE", detail: /is not there yet/ }],
  );
});
