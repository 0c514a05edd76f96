/**
 * Writes docs/topologies, a page and its pictures for each kind of topology that a team file may have, and for teams inside a team:
 * `node scripts/topology-docs.ts`. What a kind is and its keys are read from the schema; its teams are the examples of that kind,
 * its plans and conversations those of recorded runs, of peers one for each protocol. With `--check` it writes nothing and fails
 * when a file there is not what they give.
 */
import { readdir, readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pictureOf, pictureOfSequence, type Picture } from '../src/observe/picture/picture.ts';
import { boxesIn, textOf } from '../src/observe/picture/drawing.ts';
import { planOfRun } from '../src/observe/plan-drawing.ts';
import { sequenceDrawing } from '../src/observe/sequence-drawing.ts';
import { Story } from '../src/observe/story.ts';
import { teamDrawing } from '../src/observe/team-drawing.ts';
import { teamJsonSchema } from '../src/topology/json-schema.ts';
import { loadTeam } from '../src/topology/load.ts';
import { readRecording, replay } from '../src/topology/replay.ts';
import { resolveTeam } from '../src/topology/resolve.ts';
import { standardCatalogue } from '../src/topology/standard.ts';
import type { Team } from '../src/topology/team.ts';
import { publish } from './publish.ts';

type Key = { readonly description?: string; readonly default?: unknown; readonly const?: string };
type Shape = { readonly properties: Readonly<Record<string, Key>> & { readonly kind: Required<Pick<Key, 'const' | 'description'>> } };
/** `keys`: below `where`. */
type Page = {
  readonly name: string;
  readonly written: string;
  readonly where: string;
  readonly says: string;
  readonly keys: readonly (readonly [string, Key])[];
};

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const HIERARCHICAL = 'hierarchical';

const pagesInSchema = (): Page[] => {
  const { properties } = teamJsonSchema() as {
    properties: { topology: { oneOf: readonly Shape[] }; agents: { additionalProperties: { oneOf: readonly Shape[] } } };
  };
  const kinds = properties.topology.oneOf.map((shape) => pageOf(shape.properties.kind.const, 'topology', shape));
  const within = properties.agents.additionalProperties.oneOf.filter(({ properties: { kind } }) => kind.const === 'team');
  return [...kinds, ...within.map((shape) => pageOf(HIERARCHICAL, 'agents.<name>', shape))];
};

const pageOf = (name: string, where: string, { properties: { kind, ...keys } }: Shape): Page => ({
  name,
  written: kind.const,
  where,
  says: kind.description,
  keys: Object.entries(keys),
});

/** The page that a team is drawn on. */
const pageFor = ({ topology, agents }: Team): string => (Object.values(agents).some(({ kind }) => kind === 'team') ? HIERARCHICAL : topology.kind);
/** What a picture of it is called: peers have one for each protocol. */
const pictureFor = (team: Team): string => (team.topology.kind === 'peers' ? `peers-${team.topology.rules.protocol.replace('_', '-')}` : pageFor(team));

/** Of each picture the one that is called so, or the first. */
const oneOfEach = <T extends { readonly team: Team; readonly name: string }>(all: readonly T[]): T[] =>
  [...Map.groupBy(all, ({ team }) => pictureFor(team))].map(([picture, those]) => those.find(({ name }) => name === picture) ?? those[0]!);

const examples = await Promise.all(
  (await readdir(`${ROOT}examples`)).sort().map(async (name) => {
    const file = `examples/${name}/team.yaml`;
    const loaded = await loadTeam(`${ROOT}${file}`, { cwd: ROOT, catalogue: standardCatalogue() });
    return { name, file, team: resolveTeam(loaded.file, loaded.inputs, loaded.file.task === undefined ? 'a task' : undefined) };
  }),
);

const recordings = await Promise.all(
  (await readdir(`${ROOT}test/fixtures/recordings`)).sort().map(async (file) => {
    const recording = readRecording(await readFile(`${ROOT}test/fixtures/recordings/${file}`, 'utf8'));
    return { name: basename(file, '.jsonl'), recording, team: recording.record.team };
  }),
);

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

const lowered = (text: string): string => `${text[0]!.toLowerCase()}${text.slice(1)}`;

for (const { name, written, where, says, keys } of pagesInSchema()) {
  const teams = oneOfEach(examples.filter(({ team }) => pageFor(team) === name));
  const runs = oneOfEach(recordings.filter(({ team }) => pageFor(team) === name));
  if (teams.length === 0) throw new Error(`examples/ has no team that is ${name}: add one`);
  if (runs.length === 0) throw new Error(`test/fixtures/recordings has no run of a team that is ${name}: add one with troupe replay --save`);

  const drawn: string[] = [];
  const said: string[] = [];
  for (const { file, team } of teams) {
    const drawing = teamDrawing(team);
    await draw(pictureFor(team), pictureOf(drawing));
    drawn.push(
      ...picture(pictureFor(team), `The team ${team.name}: who is in it, and who may send what to whom`),
      `The team is [${file}](../../${file}), drawn by \`troupe chart ${file}\`.`,
      '',
    );
    said.push(
      ...(teams.length > 1 ? [`In the team ${team.name}:`, ''] : []),
      ...drawing.arrows
        .filter(({ lines }) => lines.some(({ phrases }) => phrases.length > 1))
        .map(({ lines }) => `- ${lines.map((line) => textOf(line)).join('; ')}`),
      ...[...boxesIn(drawing.boxes)].flatMap(({ title, lines }) =>
        lines.filter(({ phrases }) => phrases.at(-1)!.tone === 'name' && phrases[0]!.text.endsWith(':')).map((line) => `- ${title}: ${textOf(line)}`),
      ),
      '',
    );
  }
  const plans: string[] = [];
  const talks: string[] = [];
  for (const { recording, team } of runs) {
    const story = new Story();
    replay(recording, undefined, (seen) => story.see(seen));
    await draw(`${pictureFor(team)}-conversation`, pictureOfSequence(sequenceDrawing(recording.run, team.name, story)));
    talks.push(...picture(`${pictureFor(team)}-conversation`, `What was said in a run of team ${team.name}, and what it cost`));
    const plan = planOfRun(recording.run, team.name, story);
    if (!plan) continue;
    await draw(`${pictureFor(team)}-plan`, pictureOf(plan));
    plans.push(...picture(`${pictureFor(team)}-plan`, `The plan of a run of team ${team.name}`));
  }

  wanted.set(
    `${name}.md`,
    [
      `# Topology: ${name}`,
      '',
      `Generated from \`src/topology/schema.ts\`, ${teams.length === 1 ? 'an example and a recorded run' : 'examples and recorded runs'} by \`node scripts/topology-docs.ts\`.`,
      '',
      `\`kind: ${written}\` ${where === 'topology' ? 'in a team file' : 'of an agent in a team file'}: ${lowered(says)}`,
      '',
      ...drawn,
      'How to read a picture stands in [docs/charts.md](../charts.md).',
      '',
      `## Keys of \`${where}\``,
      '',
      '| key | what it says | default |',
      '|---|---|---|',
      ...keys.map(
        ([key, { description = '', default: value }]) => `| \`${key}\` | ${description} | ${value === undefined ? '' : `\`${JSON.stringify(value)}\``} |`,
      ),
      '',
      '## Who may say what',
      '',
      ...said,
      ...(plans.length > 0 ? ['## A plan that was carried out', '', ...plans] : []),
      runs.length > 1 ? '## Conversations' : '## A conversation',
      '',
      ...talks,
      `${runs.length > 1 ? 'Recorded runs' : `A recorded run of team ${runs[0]!.team.name}`} on the offline model, drawn by \`troupe chart <run> --as sequence\`. The numbers on the left are the entries of its log.`,
      '',
    ].join('\n'),
  );
}
await publish('docs/topologies', wanted);
