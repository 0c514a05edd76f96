/** Ctrl-C and its like, a closed terminal among them, for commands that have something to bring to an end first. */

/** What a command that was stopped ends with. */
export const SIGNALS = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;
export type Signal = keyof typeof SIGNALS;

/** A terminal that closes may say so twice, through the kernel and through the shell: the second time is no impatience. */
let isHungUp = false;

/** From here on a signal does not end the process: whoever waits for `first` does. A second one does, whichever it is. */
export const hearSignals = (): { readonly first: Promise<Signal>; stop(): void } => {
  const { promise: first, resolve } = Promise.withResolvers<Signal>();
  const names = (Object.keys(SIGNALS) as Signal[]).filter((name) => !(isHungUp && name === 'SIGHUP'));
  const stop = (): void => names.forEach((name) => process.removeListener(name, hear));
  const hear = (name: Signal): void => {
    stop();
    if (name === 'SIGHUP') {
      isHungUp = true;
      process.on(name, () => {});
    }
    resolve(name);
  };
  for (const name of names) process.on(name, hear);
  return { first, stop };
};
