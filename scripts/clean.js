// Removes what an earlier build left: a compiled test whose source is gone would still be run.
import { rmSync } from "node:fs";

rmSync(new URL("../build", import.meta.url), { recursive: true, force: true });
