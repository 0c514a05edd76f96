/** Leading others: whom a question is for, and what is still to be done of a plan of which something has ended. */
import type { PlannedStep, Revision, Route } from '../../../protocols/formats.ts';
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

/** What was not found is given to another agent, once; whatever waits for it waits for that instead. */
export const revisionOf = ({ agents, plan, findings }: Brief): Revision => {
  const toDo = plan.filter(({ status }) => status === 'to do');
  const missing = plan.filter(({ id, status }) => status === 'failed' || findings.some(({ step, text }) => step === id && text.startsWith(NOT_FOUND)));
  const again = missing.flatMap(({ id, agent, task }): PlannedStep[] => {
    const retry = `${id.slice(0, 40)}-again`;
    const other = agents.find(({ name }) => name !== agent);
    return !other || id.endsWith('-again') || plan.some((step) => step.id === retry) ? [] : [{ id: retry, agent: other.name, task, needs: [] }];
  });
  const insteadOf = (need: string): string => again.find(({ id }) => id === `${need.slice(0, 40)}-again`)?.id ?? need;
  return {
    steps: [...again, ...toDo.map(({ id, agent, task, needs }) => ({ id, agent, task, needs: needs.map(insteadOf) }))],
    cancel: [],
    reason: again.length === 0 ? 'what was found changes nothing' : `nothing came of ${missing.map(({ id }) => id).join(', ')}`,
  };
};
