/** How figures are taken and told: medians, always beside a baseline of the same process and minute. */

export const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;

/** Milliseconds that `run` takes: the median of `times`, after `warm` that do not count. */
export const timed = async (run: () => unknown, times = 7, warm = 2): Promise<number> => {
  const taken: number[] = [];
  for (let i = 0; i < warm + times; i++) {
    const began = performance.now();
    await run();
    if (i >= warm) taken.push(performance.now() - began);
  }
  return median(taken);
};

const number = (value: number): string => (value >= 100 ? Math.round(value).toLocaleString('en') : value >= 10 ? value.toFixed(1) : value.toFixed(2));

/** One line: the figure, the baseline, and how they compare. */
export const tell = (what: string, value: number, unit: string, baseline: { readonly what: string; readonly value: number; readonly unit?: string }): void => {
  const ratio = value / baseline.value;
  console.log(
    `${what.padEnd(52)} ${number(value).padStart(9)} ${unit.padEnd(9)} ${ratio >= 0.1 ? ratio.toFixed(2) : ratio.toFixed(4)}x of ${baseline.what} (${number(baseline.value)} ${baseline.unit ?? unit})`,
  );
};

export const heading = (text: string): void => console.log(`\n${text}`);
