/**
 * Many processes: everything that `npm run chaos` does, for as long as a check may take. CHAOS_SEED repeats a seed, CHAOS_MINUTES
 * gives it more time.
 */
import { expect, it } from 'vitest';
import { runChaos } from '../../chaos/drive.ts';

const seed = Number(process.env['CHAOS_SEED'] ?? 20_260);
const minutes = Number(process.env['CHAOS_MINUTES'] ?? 2);

it(
  `processes are killed, stopped, cut off and replaced, and every run ends as if they had not been (CHAOS_SEED ${seed})`,
  async () => {
    const { problems, runs, struck, folder } = await runChaos({ seed, minutes });
    expect(problems, `again: npm run chaos -- --seed ${seed} --minutes ${minutes}; logs and store in ${folder}`).toEqual([]);
    expect(struck.get('kill -9')).toBeGreaterThan(0);
    expect(runs).toBeGreaterThan(10);
  },
  minutes * 60_000 + 540_000,
);
