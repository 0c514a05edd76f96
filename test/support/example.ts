/** A team file run as a program would run it: in this process, on a bus in memory, with the models and tools that need no network. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { openBus } from '../../src/bus/open.ts';
import { decode, type Decoded } from '../../src/protocols/catalogue.ts';
import type { Address } from '../../src/protocols/ids.ts';
import { loadTeam } from '../../src/topology/load.ts';
import { resolveTeam } from '../../src/topology/resolve.ts';
import type { RunResult } from '../../src/topology/run-result.ts';
import { standardCatalogue, standardModels, standardTools } from '../../src/topology/standard.ts';
import { Troupe } from '../../src/topology/start.ts';

export type Said = { readonly to: Address; readonly from: Address; readonly message: Decoded };

export type Played = {
  readonly result: RunResult;
  /** All that was said in the run, in order. */
  readonly said: readonly Said[];
};

/** Fails with the warnings of the file, if there are any. */
export const play = async (path: string, task?: string): Promise<Played> => {
  const { file, inputs, warnings } = await loadTeam(path, { cwd: process.cwd(), catalogue: standardCatalogue() });
  if (warnings.length > 0) throw new Error(JSON.stringify(warnings));
  const bus = await openBus('memory');
  const troupe = await Troupe.open({ bus, models: standardModels().filter(({ provider }) => provider !== 'openai'), tools: standardTools() });
  try {
    const run = await troupe.start(resolveTeam(file, inputs, task));
    const result = await run.result;
    const said: Said[] = [];
    for await (const { log, envelope } of bus.read(`${run.id}.>`)) {
      const decoded = decode(envelope);
      if (decoded.ok) said.push({ to: log as Address, from: envelope.from, message: decoded.message });
    }
    return { result, said };
  } finally {
    await troupe.close();
    await bus.close();
  }
};

/** A file with this text, for as long as the test runs. */
export const teamFile = (text: string): string => {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-team-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'team.yaml');
  writeFileSync(path, text);
  return path;
};
