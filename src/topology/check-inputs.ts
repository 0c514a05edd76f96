/** The inputs of a team file, and the texts that they are filled into: each name known, each input read by somebody. Pure. */
import type { Catalogue } from './catalogue.ts';
import { inputsAskedBy } from './check-steps.ts';
import { toolsOf, type Hosted } from './hosted.ts';
import { placeholders } from './placeholder.ts';
import type { Issue, Path } from './problem.ts';
import type { TeamFile } from './schema.ts';
import type { StepFile } from './step.ts';
import { knownHint } from './suggest.ts';
import { places } from './uses.ts';

/** Every text that inputs are filled into. */
type Text = { readonly path: Path; readonly text: string; /** Names that stand for something else here. */ readonly knows?: string };

const texts = (file: TeamFile): Text[] => [
  ...(file.task === undefined ? [] : [{ path: ['task'], text: file.task }]),
  ...Object.entries(file.agents).flatMap(([name, agent]) => {
    const told = agent.kind === 'team' ? { role: agent.role ?? '' } : { role: agent.role, goal: agent.goal, backstory: agent.backstory };
    return Object.entries(told).map(([key, text]) => ({ path: ['agents', name, key], text }));
  }),
  ...places(file).flatMap(({ path, topology }) =>
    topology.kind === 'workflow' ? topology.steps.flatMap((step, index) => stepTexts(step, [...path, 'steps', index])) : [],
  ),
  ...places(file).flatMap(({ path, topology }) =>
    topology.kind === 'router' ? topology.routes.map(({ when: text }, index) => ({ path: [...path, 'routes', index, 'when'], text })) : [],
  ),
];

const stepTexts = ({ task, default: instead, map }: StepFile, path: Path): Text[] => [
  { path: [...path, 'task'], text: task, ...(map && { knows: map.as }) },
  ...(instead === undefined ? [] : [{ path: [...path, 'default'], text: instead }]),
];

export const placeholderIssues = (file: TeamFile): Issue[] =>
  texts(file).flatMap(({ path, text, knows }) =>
    [...new Set(placeholders(text))]
      .filter((name) => name !== knows && !Object.hasOwn(file.inputs, name))
      .map((name) => ({
        code: 'INPUT_UNKNOWN',
        path,
        message: `no input is called "${name}" (write {{${name}}} for the word in braces)`,
        hint: knownHint(name, Object.keys(file.inputs)),
      })),
  );

export const unusedInputIssues = (hosted: Hosted, file: TeamFile, { tools }: Catalogue): Issue[] => {
  const asked = places(file).flatMap(({ topology }) => (topology.kind === 'workflow' ? inputsAskedBy(topology.steps) : []));
  const filled = new Set([...texts(file).flatMap(({ text }) => placeholders(text)), ...asked]);
  const folderIsRead = Object.values(hosted.agents).some((agent) => toolsOf(agent).some((name) => tools.find((tool) => tool.name === name)?.needsFolder));
  return Object.entries(file.inputs)
    .filter(([name, { folder }]) => !filled.has(name) && !(folder !== undefined && folderIsRead))
    .map(([name, { folder }]) => ({
      code: 'INPUT_UNUSED',
      severity: 'warning',
      path: ['inputs', name],
      onKey: true,
      message: folder === undefined ? `no text has {${name}} in it` : 'no agent has a tool that reads folders',
      hint: 'use it, or remove it',
    }));
};
