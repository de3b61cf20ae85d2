/*
 * The one place where the command line crosses the walls between the programs: `shoal index` and `shoal peer` are the
 * programs themselves, in this process and in the foreground. Everything else goes through the control socket. The
 * linter knows this file by name.
 */

/** Runs the index server until it is told to stop. */
export async function runIndex(env: NodeJS.ProcessEnv): Promise<void> {
  const { main } = await import('../../../index-server/main.js');
  await main(env);
  endProcess();
}

/** Runs the peer until it is told to stop. */
export async function runPeer(env: NodeJS.ProcessEnv): Promise<void> {
  const { main } = await import('../../main.js');
  await main(env);
  endProcess();
}

/**
 * A program that has stopped has closed all that is its own. A library may still wait for something, such as an answer
 * from the address of a pod that is gone, and a process that waits with it is killed at the end of its grace period.
 */
function endProcess(): never {
  process.exit(0);
}
