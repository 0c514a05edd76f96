/** Leading others: whom a question is for, and what is still to be done of a plan of which something has ended. */
import type { Revision, Route } from '../../../protocols/formats.ts';
import { contentTerms } from '../../tool/words.ts';
import { NOT_FOUND, overlap } from './answer.ts';
import type { Brief } from './sections.ts';

const round = (value: number): number => Math.round(value * 100) / 100;

/** The agent of whose description most stands in the question; nobody where nothing does. */
export const routeOf = ({ question, agents }: Brief): Route => {
  const asked = new Set(contentTerms(question));
  const scored = agents.map(({ name, description }) => {
    const terms = new Set(contentTerms(`${name} ${description}`));
    return { name, met: [...terms].filter((term) => asked.has(term)), share: overlap([...asked], terms) };
  });
  const [best, next] = scored.toSorted((one, other) => other.met.length - one.met.length);
  if (!best || best.met.length === 0) return { agent: null, confidence: 1, reason: 'no word of the question stands in what the agents are for' };
  const lead = best.met.length / (best.met.length + (next?.met.length ?? 0));
  return { agent: best.name, confidence: round(lead), reason: `the question speaks of ${best.met.join(', ')}` };
};

const AGAIN = '-again';
const retryOf = (id: string): string => `${id.slice(0, 40)}${AGAIN}`;

/** What was not found is given to another agent, once; whatever waits for it waits for that instead. */
export const revisionOf = ({ agents, plan, findings, maxSteps }: Brief): Revision => {
  const isMissing = ({ id, status }: Brief['plan'][number]): boolean =>
    status === 'failed' || findings.some(({ step, text }) => step === id && text.startsWith(NOT_FOUND));
  const isTriedAgain = (id: string): boolean => id.endsWith(AGAIN) || plan.some((step) => step.id === retryOf(id));
  const again = plan
    .filter((step) => isMissing(step) && !isTriedAgain(step.id))
    .flatMap(({ id, agent, task }) => {
      const other = agents.find(({ name }) => name !== agent);
      return other ? [{ of: id, step: { id: retryOf(id), agent: other.name, task, needs: [] } }] : [];
    })
    .slice(0, Math.max(0, maxSteps - plan.length));
  const insteadOf = (need: string): string => again.find(({ of }) => of === need)?.step.id ?? need;
  const toDo = plan.filter(({ status }) => status === 'to do');
  return {
    steps: [...again.map(({ step }) => step), ...toDo.map(({ id, agent, task, needs }) => ({ id, agent, task, needs: needs.map(insteadOf) }))],
    cancel: [],
    reason: again.length === 0 ? 'what was found changes nothing' : `nothing came of ${again.map(({ of }) => of).join(', ')}`,
  };
};
