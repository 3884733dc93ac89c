import { canMount } from "../support/child-gateway.ts";

/** Why tests with a disk of their own are left out; false: they are run. */
export const skip = canMount
  ? false
  : "no file system can be mounted here: a full disk and a read-only one are left out";

/** Shell lines for `before` of a child gateway: a small disk under one of its folders, and what fills the one of `state`. */
export const mount = (name: string, size: string) =>
  `mount -t tmpfs -o size=${size},mode=700 tmpfs "$FOLDER/${name}"`;
export const fill = 'dd if=/dev/zero of="$FOLDER/state/filler" bs=4k 2>/dev/null || true';

/** A body that needs the spool. */
export const large = Buffer.alloc(600_000, 0x61);
