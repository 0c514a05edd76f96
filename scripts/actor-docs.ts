/**
 * Writes docs/actors, a page and two pictures for each actor: `node scripts/actor-docs.ts`. What an actor is for and what holds of
 * it are read from the head of its machine.ts, its messages from the protocol, its picture is drawn from the machine.
 * With `--check` it writes nothing and fails when a file there is not what they give.
 */
import { readFile } from 'node:fs/promises';
import type { AnyStateMachine } from 'xstate';
import { actorDrawing, heardBy } from '../src/observe/actor-drawing.ts';
import { layOut } from '../src/observe/picture/layout.ts';
import { svgOf } from '../src/observe/picture/svg.ts';
import type { MessageName } from '../src/protocols/catalogue.ts';
import { saidBy, speakers } from '../src/protocols/json-schema.ts';
import { charts } from '../src/topology/charts.ts';
import { publish } from './publish.ts';

type Head = { readonly purpose: readonly string[]; readonly invariants: readonly string[] };

/** The comment that a machine.ts begins with: paragraphs, and invariants as lines that begin with a letter and a number. */
const headOf = (source: string): Head => {
  const [, comment] = /^\/\*\*\n([^]*?)\n \*\//.exec(source)!;
  const text = comment!.replaceAll(/^ \*(?: (?! )|$)/gm, '').replaceAll(/^ \*/gm, '');
  const blocks = text.split('\n\n').map((block) => block.trim());
  const isInvariant = (block: string): boolean => /^[A-Z]\d+ {2}/.test(block);
  return {
    purpose: blocks.filter((block) => !isInvariant(block)).map((block) => sentence(block.replaceAll(/\s*\n\s*/g, ' '))),
    invariants: blocks.filter(isInvariant).flatMap((block) => block.split(/\n\s*(?=[A-Z]\d+ {2})/).map((one) => one.replaceAll(/\s*\n\s*/g, ' '))),
  };
};

/** `The worker: does one task` as a page on the worker begins. */
const sentence = (text: string): string => text.replace(/^The \w+: (\w)/, (_, first: string) => first.toUpperCase());

const page = (name: string, machine: AnyStateMachine, { purpose, invariants }: Head): string => {
  const row = (message: MessageName, who: string): string => `| [\`${message}\`](../protocol/README.md) | ${who} |`;
  return [
    `# The ${name}`,
    '',
    `Generated from \`src/actors/${name}\` by \`node scripts/actor-docs.ts\`; edit it there.`,
    '',
    ...purpose.flatMap((paragraph) => [paragraph, '']),
    '<picture>',
    `  <source media="(prefers-color-scheme: dark)" srcset="${name}-dark.svg">`,
    `  <img alt="The state chart of the ${name}" src="${name}-light.svg">`,
    '</picture>',
    '',
    '## What it hears',
    '',
    '| message | from |',
    '|---|---|',
    ...heardBy(machine).map((message) => row(message as MessageName, speakers[message as MessageName][0])),
    '',
    '## What it says',
    '',
    '| message | to |',
    '|---|---|',
    ...saidBy(name).map((message) => row(message, speakers[message][1])),
    '',
    '## What holds of it',
    '',
    ...invariants.map((line) => line.replace(/^([A-Z]\d+) +/, '- $1: ')),
    '',
  ].join('\n');
};

const wanted = new Map<string, string>();
for (const { name, machine } of Object.values(charts)) {
  const drawing = actorDrawing({ machine, says: saidBy(name) });
  const layout = await layOut(drawing);
  for (const theme of ['light', 'dark'] as const) wanted.set(`${name}-${theme}.svg`, svgOf(drawing, layout, theme));
  wanted.set(`${name}.md`, page(name, machine, headOf(await readFile(new URL(`../src/actors/${name}/machine.ts`, import.meta.url), 'utf8'))));
}
await publish('docs/actors', wanted);
