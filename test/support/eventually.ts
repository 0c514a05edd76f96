/** Waiting for a condition, for tests of what happens elsewhere: in another process, on a server, after a lease ran out. */

/** Resolves once `holds` gives true; fails with `what` if it never does. */
export const eventually = async (what: string, holds: () => boolean | Promise<boolean>, withinMs = 20_000): Promise<void> => {
  const end = Date.now() + withinMs;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`waited ${withinMs} ms in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
};
