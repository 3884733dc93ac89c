/**
 * For commands that print and end. Who reads may leave early (`| head`), which changes nothing of the outcome; what cannot be
 * written otherwise (a full disk) is told, and the exit status is 2: nobody has the report.
 */
export function tolerateOutput(): void {
  process.stderr.on("error", () => {});
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") return;
    process.stderr.write(`standard output cannot be written: ${error.message}\n`);
    process.on("exit", () => {
      process.exitCode = 2;
    });
  });
}
