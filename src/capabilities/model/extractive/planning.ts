/** Plans: a step for each question in the question, given to the agent whose description fits it best. */
import type { PlanDraft, PlannedStep } from '../../../protocols/formats.ts';
import { contentTerms } from '../../tool/words.ts';
import { isSubject, keywords, queriesIn, subQuestions } from './query.ts';
import type { Brief } from './sections.ts';

type Agent = Brief['agents'][number];

const LOOKS_UP = new Set(contentTerms('search find read look research reader researcher documents evidence facts extract sources retrieve collect scout'));
const PUTS_TOGETHER = new Set(contentTerms('write writer summarise summary synthesise combine compare analyst analyse draft edit editor conclude critic'));

export const planOf = ({ question, agents, maxSteps }: Brief): PlanDraft => {
  const parts = subQuestions(question).slice(0, Math.max(1, Math.min(maxSteps, 4)));
  const queries = queriesIn(question);
  const background = keywords(question).join(', ');
  const used = new Map<string, number>();
  const steps: PlannedStep[] = [];
  const add = (task: string, agent: Agent, needs: string[]): void => {
    used.set(agent.name, (used.get(agent.name) ?? 0) + 1);
    steps.push({
      id: idFor(
        task,
        steps.map(({ id }) => id),
      ),
      agent: agent.name,
      task,
      needs,
    });
  };
  parts.forEach((part, index) => {
    const leansBack = (queries[index]?.terms.filter(isSubject).length ?? 0) > contentTerms(part).length;
    add(leansBack ? `${part} (about: ${background})` : part, best(agents, part, LOOKS_UP, used), []);
  });
  const finders = new Set(steps.map(({ agent }) => agent));
  const others = agents.filter(({ name }) => !finders.has(name));
  const closing = others.filter(({ name, description }) => fit(`${name} ${description}`, PUTS_TOGETHER) > 0);
  if (steps.length === 1 && maxSteps > 1 && others.length > 0 && closing.length === 0) {
    add(`Find the conditions, limits and examples that go with the answer: ${question}`, best(others, question, LOOKS_UP, used), []);
  } else if (closing.length > 0 && steps.length < Math.min(maxSteps, 4)) {
    add(
      `Put together what the other steps found: ${question}`,
      best(closing, question, PUTS_TOGETHER, used),
      steps.map(({ id }) => id),
    );
  }
  return { steps };
};

const fit = (text: string, words: ReadonlySet<string>): number => contentTerms(text).filter((term) => words.has(term)).length;

/** The agent that fits the task, then the work, then has the least to do. */
const best = (agents: readonly Agent[], task: string, work: ReadonlySet<string>, used: ReadonlyMap<string, number>): Agent => {
  const subject = new Set(contentTerms(task));
  const score = ({ name, description }: Agent): number =>
    2 * fit(`${name} ${description}`, subject) + Math.min(2, fit(`${name} ${description}`, work)) - 0.5 * (used.get(name) ?? 0);
  return agents.reduce((leading, agent) => (score(agent) > score(leading) ? agent : leading));
};

const idFor = (task: string, taken: readonly string[]): string => {
  const words = keywords(task)
    .map((word) => word.toLowerCase().replace(/[^a-z0-9]/g, ''))
    .filter((word) => /^[a-z]/.test(word));
  const id = words.slice(0, 2).join('-').slice(0, 40) || 'find';
  for (let number = 1; ; number++) {
    const candidate = number === 1 ? id : `${id}-${number}`;
    if (!taken.includes(candidate)) return candidate;
  }
};
