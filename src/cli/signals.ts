/** Ctrl-C and its like, for commands that have something to bring to an end first. */

/** What a command that was stopped ends with. */
export const SIGNALS = { SIGINT: 130, SIGTERM: 143 } as const;
export type Signal = keyof typeof SIGNALS;

/** From here on a signal does not end the process: whoever waits for `first` does. A second one does, whichever it is. */
export const hearSignals = (): { readonly first: Promise<Signal>; stop(): void } => {
  const { promise: first, resolve } = Promise.withResolvers<Signal>();
  const names = Object.keys(SIGNALS) as Signal[];
  const stop = (): void => names.forEach((name) => process.removeListener(name, hear));
  const hear = (name: Signal): void => {
    stop();
    resolve(name);
  };
  for (const name of names) process.on(name, hear);
  return { first, stop };
};
