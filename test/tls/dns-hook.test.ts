import { execFile, execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import t from "tap";
import { callDnsHook } from "../../src/tls/dns-hook.ts";

const folder = mkdtempSync(join(tmpdir(), "gateway-hook-"));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));

t.test("a hook that takes its time keeps no gateway that is done from ending", async (t) => {
  const hook = join(folder, "hook");
  const done = join(folder, "done");
  const module = JSON.stringify(new URL("../../src/tls/dns-hook.js", import.meta.url).href);
  // It ends when its folder is gone, at the latest after a minute.
  writeFileSync(
    hook,
    `#!/bin/sh\ni=0\nwhile [ -d ${folder} ] && [ $i -lt 600 ]; do i=$((i+1)); sleep 0.1; done\ntouch ${done}\n`,
  );
  chmodSync(hook, 0o755);
  const program = `import(${module}).then(({ callDnsHook }) => {
    void callDnsHook(${JSON.stringify(hook)}, "add", "_acme-challenge.odoo.test", "x");
    process.stdout.write("called");
  })`;
  const { stdout } = await promisify(execFile)(process.execPath, ["-e", program]);
  t.equal(stdout, "called");
  t.notOk(existsSync(done));
});

t.test("a hook that is out of time ends with all it has started", async (t) => {
  const hook = join(folder, "slow-hook");
  const fifo = join(folder, "fifo");
  execFileSync("mkfifo", [fifo]);
  // Whoever reads the pipe is told when the last that could write to it is gone.
  writeFileSync(hook, `#!/bin/sh\n(sleep 60) > ${fifo} &\nwait\n`);
  chmodSync(hook, 0o755);
  const reading = readFile(fifo);
  // The hook keeps no process from ending, nor this one.
  const stay = setInterval(() => {}, 1_000);
  t.teardown(() => clearInterval(stay));
  const answer = await callDnsHook(hook, "add", "_acme-challenge.odoo.test", "x", 300);
  t.match(answer, { ok: false, error: /was ended by SIGKILL \(at most 0\.3 s\)/ });
  t.equal((await reading).length, 0);
});
