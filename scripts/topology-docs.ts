/**
 * Writes docs/topologies, a page and its pictures for each kind of topology that a team file may have: `node scripts/topology-docs.ts`.
 * What a kind is and its keys are read from the schema; its team is the first example of that kind, its plan and its conversation
 * are those of the first recorded run. With `--check` it writes nothing and fails when a file there is not what they give.
 */
import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { pictureOf, pictureOfSequence, type Picture } from '../src/observe/picture/picture.ts';
import { textOf } from '../src/observe/picture/drawing.ts';
import { planOfRun } from '../src/observe/plan-drawing.ts';
import { sequenceDrawing } from '../src/observe/sequence-drawing.ts';
import { Story } from '../src/observe/story.ts';
import { teamDrawing } from '../src/observe/team-drawing.ts';
import { teamJsonSchema } from '../src/topology/json-schema.ts';
import { loadTeam } from '../src/topology/load.ts';
import { readRecording, replay, type Recording } from '../src/topology/replay.ts';
import { resolveTeam } from '../src/topology/resolve.ts';
import { standardCatalogue } from '../src/topology/standard.ts';
import type { Team } from '../src/topology/team.ts';
import { publish } from './publish.ts';

type Key = { readonly description?: string; readonly default?: unknown; readonly const?: string };
type Kind = { readonly name: string; readonly says: string; readonly keys: readonly (readonly [string, Key])[] };

const ROOT = fileURLToPath(new URL('..', import.meta.url));

const kindsInSchema = (): Kind[] => {
  const { properties } = teamJsonSchema() as {
    properties: { topology: { oneOf: readonly { properties: Readonly<Record<string, Key>> & { kind: Required<Pick<Key, 'const' | 'description'>> } }[] } };
  };
  return properties.topology.oneOf.map(({ properties: { kind, ...keys } }) => ({ name: kind.const, says: kind.description, keys: Object.entries(keys) }));
};

/** The first whose topology is of the kind. */
const exampleOf = async (kind: string): Promise<{ readonly file: string; readonly team: Team }> => {
  for (const example of (await readdir(`${ROOT}examples`)).sort()) {
    const file = `examples/${example}/team.yaml`;
    const loaded = await loadTeam(`${ROOT}${file}`, { cwd: ROOT, catalogue: standardCatalogue() });
    if (loaded.file.topology.kind === kind)
      return { file, team: resolveTeam(loaded.file, loaded.inputs, loaded.file.task === undefined ? 'a task' : undefined) };
  }
  throw new Error(`examples/ has no team whose topology is ${kind}: add one`);
};

const recordings = await Promise.all(
  (await readdir(`${ROOT}test/fixtures/recordings`)).sort().map((file) => readFile(`${ROOT}test/fixtures/recordings/${file}`, 'utf8')),
);

/** The first of a run of the kind by the charts that are here. */
const recordingOf = (kind: string): Recording => {
  for (const text of recordings) {
    if ((JSON.parse(text.slice(0, text.indexOf('\n'))) as { record: { team: Team } }).record.team.topology.kind === kind) return readRecording(text);
  }
  throw new Error(`test/fixtures/recordings has no run of a team that is ${kind}: add one with troupe replay --save`);
};

const picture = (name: string, alt: string): string[] => [
  '<picture>',
  `  <source media="(prefers-color-scheme: dark)" srcset="${name}-dark.svg">`,
  `  <img alt="${alt}" src="${name}-light.svg">`,
  '</picture>',
  '',
];

const wanted = new Map<string, string>();
const draw = async (name: string, drawn: Picture): Promise<void> => {
  for (const theme of ['light', 'dark'] as const) wanted.set(`${name}-${theme}.svg`, await drawn.svg(theme));
};

for (const { name, says, keys } of kindsInSchema()) {
  const { file, team } = await exampleOf(name);
  const drawing = teamDrawing(team);
  await draw(name, pictureOf(drawing));
  const recording = recordingOf(name);
  const story = new Story();
  replay(recording, undefined, (seen) => story.see(seen));
  const recorded = recording.record.team.name;
  await draw(`${name}-conversation`, pictureOfSequence(sequenceDrawing(recording.run, recorded, story)));
  const plan = planOfRun(recording.run, recorded, story);
  if (plan) await draw(`${name}-plan`, pictureOf(plan));

  wanted.set(
    `${name}.md`,
    [
      `# Topology: ${name}`,
      '',
      'Generated from `src/topology/schema.ts`, an example and a recorded run by `node scripts/topology-docs.ts`.',
      '',
      `\`kind: ${name}\` in a team file: ${says[0]!.toLowerCase()}${says.slice(1)}`,
      '',
      ...picture(name, `The team ${team.name}: who is in it, and who may send what to whom`),
      `The team is [${file}](../../${file}), drawn by \`troupe chart ${file}\`. How to read it stands in [docs/charts.md](../charts.md).`,
      '',
      '## Keys of `topology`',
      '',
      '| key | what it says | default |',
      '|---|---|---|',
      ...keys.map(
        ([key, { description = '', default: value }]) => `| \`${key}\` | ${description} | ${value === undefined ? '' : `\`${JSON.stringify(value)}\``} |`,
      ),
      '',
      '## Who may say what',
      '',
      ...drawing.arrows.map(({ lines }) => `- ${lines.map((line) => textOf(line)).join('; ')}`),
      '',
      ...(plan ? ['## A plan that was carried out', '', ...picture(`${name}-plan`, `The plan of a run of team ${recorded}`)] : []),
      '## A conversation',
      '',
      ...picture(`${name}-conversation`, `What was said in a run of team ${recorded}, and what it cost`),
      `A recorded run of team ${recorded} on the offline model, drawn by \`troupe chart <run> --as sequence\`. The numbers on the left are the entries of its log.`,
      '',
    ].join('\n'),
  );
}
await publish('docs/topologies', wanted);
