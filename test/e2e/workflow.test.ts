/** Workflows through the command line: lists, recovery, branches and loops. Each script answers only what its step should be handed. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { testBuses, type TestBus } from '../support/cli.ts';

const example = (name: string): string => readFileSync(join(import.meta.dirname, `../../examples/workflow-${name}/team.yaml`), 'utf8');

type Failed = { readonly code: string; readonly message: string };
type Said = {
  readonly status: string;
  readonly answer?: string;
  readonly failure?: Failed;
  readonly spentNanos: string;
  readonly steps: readonly { readonly step: string; readonly agent: string; readonly status: string; readonly attempts?: number; readonly failure?: Failed }[];
};

/** Its supervisor has nothing to say but at the end of a plan that did something. */
const harbour = (steps: string, lead = 'lead: [{ json: { text: Some are in. } }]'): string => `
name: harbour
task: Which ships are in?
inputs: { ships: { text: "", description: The ships. } }
scripts:
  ${lead}
  pilot: [{ json: { text: It is in. } }, { json: { text: It is in. } }, { json: { text: It is in. } }, { json: { text: It is in. } }]
  deaf: [{ error: { code: MODEL_REJECTED, message: the line is dead } }]
agents:
  lead: { kind: supervisor, role: the harbour master, model: scripted/lead }
  pilot: { kind: worker, role: a pilot, model: scripted/pilot }
  deaf: { kind: worker, role: a pilot who hears nothing, model: scripted/deaf }
topology:
  kind: workflow
  supervisor: lead
  steps:
${steps}
budget: { limit: 0.01 }
`;
const SHIPS = 'ships=["one","two","three"]';
const EACH = '    - { id: look, agent: pilot, task: "Look for {item}.", map: { over: inputs.ships, max: 2 } }';

describe.concurrent.each(['embedded', 'nats'] as const)('on the %s bus', (name) => {
  let bus: TestBus;
  beforeAll(async () => void (bus = await testBuses[name]()));
  afterAll(() => bus.dispose());

  const runOf = async (team: string, ...more: readonly string[]) => {
    const { exitCode, stdout, stderr } = await bus.desk({ 'team.yaml': team }).run(['run', 'team.yaml', '--json', ...more]);
    return { exitCode, stderr, said: JSON.parse(stdout) as Said };
  };

  test('a step is done for each item of a list, and the results come in its order', async () => {
    const { said, stderr } = await runOf(example('map'));
    expect(said).toMatchObject({ status: 'completed', answer: 'The north gate and the east gate are open.' });
    for (const item of ['visit-1', 'visit-2', 'visit-3']) expect(stderr).toContain(`guide ${item}-1`);
  });

  test('a step that fails is tried again, then given to its fallback; another goes on with its default', async () => {
    const { said, stderr } = await runOf(example('recovery'));
    expect(said).toMatchObject({ status: 'completed', answer: 'The wind allows it; ask for the tide at the pier.' });
    for (const attempt of ['station wind-1', 'station wind-2', 'almanac wind-3', 'gauge tide-1']) expect(stderr).toContain(attempt);
  });

  test('without a fallback the run fails with what the last attempt said', async () => {
    const { exitCode, said } = await runOf(example('recovery').replace('      fallback: almanac\n', ''));
    expect(exitCode).toBe(1);
    expect(said.failure).toMatchObject({ code: 'MODEL_REJECTED', message: expect.stringContaining('the station is still closed') as string });
  });

  test('a result chooses the branch, and what joins goes on with the one that was taken', async () => {
    const urgent = await runOf(example('branch'));
    expect(urgent.said).toMatchObject({ status: 'completed', answer: 'We are sorry. A plumber comes at noon.' });
    expect(urgent.stderr).not.toContain('clerk file');
    const other = await runOf(example('branch'), '--input', 'letter=A word of thanks');
    expect(other.said).toMatchObject({ status: 'completed', answer: 'Thank you for your letter.' });
    expect(other.stderr).not.toContain('plumber help');
  });

  test('a plan goes back until its condition does not hold, and the state keeps what was said', async () => {
    const { said, stderr } = await runOf(example('loop'));
    expect(said).toMatchObject({ status: 'completed', answer: 'It burns above the sea.' });
    for (const attempt of ['poet draft-2', 'critic critique-2', 'keeper minutes-1']) expect(stderr).toContain(attempt);
    expect(stderr).not.toContain('poet draft-3');
  });

  test('the end says what the answer is without: items, failed steps that the run went on without, skipped ones', async () => {
    const steps = [
      EACH,
      '    - { id: call, agent: deaf, task: Call., on_failure: continue }',
      '    - { id: flag, agent: pilot, task: Hoist it., needs: [call], when: "steps.call.status == \'completed\'" }',
      '    - { id: wait, agent: pilot, task: Wait., goto: [{ to: wait, max_visits: 2 }] }',
    ];
    const { exitCode, said, stderr } = await runOf(harbour(steps.join('\n')), '--input', SHIPS);
    expect(exitCode, stderr).toBe(0);
    expect(said.steps.map(({ step, agent, status, attempts, failure }) => [step, agent, status, attempts, failure?.code])).toEqual([
      ['look', 'pilot', 'completed', 1, 'STEP_ITEMS_MAX'],
      ['look-1', 'pilot', 'completed', 1, undefined],
      ['look-2', 'pilot', 'completed', 1, undefined],
      ['call', 'deaf', 'failed', 1, 'MODEL_REJECTED'],
      ['flag', 'pilot', 'skipped', 0, 'STEP_SKIPPED'],
      ['wait', 'pilot', 'completed', 2, 'STEP_VISITS_MAX'],
    ]);
    for (const line of [
      'look (pilot) completed: step look took 2 items and left out 1; raise map.max',
      'call (deaf) failed: scripted: the line is dead',
      "flag (pilot) skipped: step flag runs only when steps.call.status == 'completed'",
      'wait (pilot) completed: step wait would go back to wait, which was visited 2 times; raise max_visits',
    ])
      expect(stderr).toContain(line);
  });

  test('where nothing was to be done nobody is paid for saying so, and the answer says why', async () => {
    const none = '    - { id: look, agent: pilot, task: "Look for {item}.", map: { over: inputs.ships } }';
    const never = '    - { id: flag, agent: pilot, task: Hoist it., when: "inputs.ships != \'\'" }';
    const cases: [string, string[]][] = [
      [none, ['step look found no item in inputs.ships']],
      [never, ["step flag runs only when inputs.ships != ''"]],
      [[none, never].join('\n'), ['step look found no item in inputs.ships', "step flag runs only when inputs.ships != ''"]],
    ];
    for (const [steps, reasons] of cases) {
      const { exitCode, said, stderr } = await runOf(harbour(steps, 'lead: [{ error: { code: MODEL_REJECTED, message: nobody asked } }]'));
      expect(exitCode, stderr).toBe(0);
      expect(said).toMatchObject({ status: 'completed', spentNanos: '0', answer: expect.stringMatching(/^Nothing was to be done: /) as string });
      for (const reason of reasons) {
        expect(said.answer).toContain(reason);
        expect(stderr).toContain(reason);
      }
    }
  });

  test('where nothing was to be done a form is filled in all the same, by a model that is told why nothing was', async () => {
    const none = '    - { id: look, agent: pilot, task: "Look for {item}.", map: { over: inputs.ships } }';
    const never = '    - { id: each, agent: pilot, task: "Call {item}.", map: { over: inputs.ships }, when: "inputs.ships != \'\'" }';
    const cases: [string, string][] = [
      [none, 'This step brought nothing: step look found no item in inputs.ships'],
      [never, "This step was skipped: step each runs only when inputs.ships != ''"],
    ];
    for (const [steps, told] of cases) {
      const team = harbour(steps, `lead: [{ when: ${JSON.stringify(told)}, json: { output: { in: 0 }, citations: [] } }]`).replace(
        'model: scripted/lead }',
        'model: scripted/lead, output: { schema: { type: object, properties: { in: { type: integer } }, required: [in] } } }',
      );
      const { exitCode, said, stderr } = await runOf(team);
      expect(exitCode, stderr).toBe(0);
      expect(said).toMatchObject({ status: 'completed', output: { in: 0 } });
    }
  });
});
