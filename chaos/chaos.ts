/** `npm run chaos -- --seed S --minutes M`: says what was done, what came of it, and how to do it again. */
import { cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { formatDollars } from '../src/protocols/money.ts';
import { runChaos, type Outcome } from './drive.ts';

const { values } = parseArgs({ options: { seed: { type: 'string' }, minutes: { type: 'string', default: '2' } } });
const seed = Number(values.seed ?? Math.floor(Math.random() * 1_000_000));
const minutes = Number(values.minutes);
if (!Number.isSafeInteger(seed) || !(minutes > 0)) {
  console.error('usage: npm run chaos -- [--seed <whole number>] [--minutes <number>]');
  process.exit(2);
}

const say = (what: string, value: string): void => console.log(`${what.padEnd(34)} ${value}`);
const quantile = (values: readonly number[], share: number): string =>
  values.length === 0 ? '-' : `${Math.round(values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))]!)} ms`;
const counts = (of: ReadonlyMap<string, number>): string => [...of].map(([name, count]) => `${count} ${name}`).join(', ') || 'none';

const tell = ({ struck, moods, runs, entries, takeoverMs, calls, money, memory }: Outcome): void => {
  say('faults', counts(struck));
  say("the provider's moods", counts(moods));
  say('runs', `${runs}, ${entries} entries`);
  say(
    'takeovers after kill -9',
    `${takeoverMs.length}, p50 ${quantile(takeoverMs, 0.5)}, p99 ${quantile(takeoverMs, 0.99)}, the longest ${quantile(takeoverMs, 1)}`,
  );
  say('calls of the model', `${calls.length}, billed ${formatDollars(money.billed)}, booked ${formatDollars(money.booked)} in ${money.lines} lines`);
  say('memory of a process', `${memory[0].toFixed(0)} MB in the first third, ${memory[1].toFixed(0)} MB in the last`);
};

console.log(`node ${process.version}, ${cpus().length} cores, load ${loadavg()[0]!.toFixed(2)}, seed ${seed}, ${minutes} min`);
const again = `again: npm run chaos -- --seed ${seed} --minutes ${minutes}`;
const outcome = await runChaos({ seed, minutes, say: (line) => console.log(line) }).catch((thrown: unknown) => {
  console.error(`${(thrown as Error).stack}\n\n${again}`);
  process.exit(1);
});
tell(outcome);
if (outcome.problems.length === 0) {
  say('all held', 'every run ended as undisturbed');
} else {
  console.error(`\n${outcome.problems.length} problems:`);
  for (const problem of outcome.problems.slice(0, 50)) console.error(`  ${problem}`);
  console.error(`\n${again}\nlogs and store: ${outcome.folder}`);
  process.exitCode = 1;
}
