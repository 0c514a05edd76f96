/** A run near the end of its money: from a share of the limit on, and where its own model is too dear, an agent calls its cheaper one. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openBus } from '../../src/bus/open.ts';
import { createScriptedAdapter, type ScriptedAdapter } from '../../src/capabilities/model/scripted/adapter.ts';
import { loadTeam } from '../../src/topology/load.ts';
import { resolveTeam, type Run } from '../../src/index.ts';
import { catalogueOf } from '../../src/topology/standard.ts';
import { Troupe } from '../../src/topology/start.ts';
import { eventually } from '../support/eventually.ts';

const STEPS = ['first', 'second', 'third', 'fourth', 'fifth'];

/** A call of the dear model costs a cent, one of the cheap model a tenth of it, whatever is said. */
const teamFile = (cheaper: string): string => `
name: savers
task: What is in the pages?
prices:
  scripted/dear: { input: 0, output: 0, per_call: 0.01 }
  scripted/cheap: { input: 0, output: 0, per_call: 0.001 }
agents:
  lead: { kind: supervisor, role: an editor, model: scripted/dear${cheaper} }
  reader: { kind: worker, role: a reader, model: scripted/dear${cheaper} }
topology:
  kind: workflow
  supervisor: lead
  steps:
${STEPS.map((id, index) => `    - { id: ${id}, agent: reader, task: read the ${id} page, needs: [${STEPS.slice(0, index).at(-1) ?? ''}] }`).join('\n')}
budget: { limit: 0.05, cheaper_from: 80 }
`;

const begin = async (cheaper: string): Promise<{ readonly troupe: Troupe; readonly model: ScriptedAdapter; readonly run: Run }> => {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-cheaper-'));
  const model = createScriptedAdapter(() => ({ json: { text: 'it is read', citations: [] } }));
  writeFileSync(join(folder, 'team.yaml'), teamFile(cheaper));
  const { file, inputs, warnings } = await loadTeam('team.yaml', { cwd: folder, catalogue: catalogueOf([model], []) });
  expect(warnings).toEqual([]);
  const bus = await openBus('memory');
  const troupe = await Troupe.open({ bus, models: [model], tools: [] });
  onTestFinished(async () => {
    await troupe.close();
    await bus.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return { troupe, model, run: await troupe.start(resolveTeam(file, inputs)) };
};

const modelsOf = ({ calls }: ScriptedAdapter): string[] => calls.map(({ request }) => request.model.slice('scripted/'.length));

test('four fifths of the limit go to the dear model, and the rest reaches for the cheap one to the end', async () => {
  const { troupe, model, run } = await begin(', cheaper_model: scripted/cheap');
  expect(run.models).toMatchObject({ reader: 'scripted/dear', 'reader/cheaper': 'scripted/cheap' });
  const result = await run.result;
  expect(result).toMatchObject({ status: 'completed', answer: 'it is read', spending: { spentNanos: '42000000', heldNanos: '0' } });
  expect(modelsOf(model)).toEqual(['dear', 'dear', 'dear', 'dear', 'cheap', 'cheap']);

  let again: Run | undefined;
  await eventually('the run is let go', async () => (again = await troupe.resume(run.id).catch(() => undefined)) !== undefined);
  expect(await again!.result).toMatchObject({ status: 'completed', spending: { spentNanos: '42000000' } });
  expect(model.calls).toHaveLength(6); // what was read again was decided alike
});

test('without a cheaper model the same run stops for money before its answer', async () => {
  const { model, run } = await begin('');
  expect(await run.resultOrIdle).toMatchObject({ status: 'paused', failure: { code: 'BUDGET_EXHAUSTED' } });
  expect(modelsOf(model)).toEqual(['dear', 'dear', 'dear', 'dear', 'dear']);
});
