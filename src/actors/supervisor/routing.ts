/** A router's choice: which agent is to do the task, and what becomes of a task that fits nobody. Pure. */
import { failure, type Failure } from '../../protocols/failure.ts';
import { shapeAmong, type Parsed, type Route } from '../../protocols/formats.ts';
import type { AgentProfile } from '../../protocols/agent.ts';
import type { ChatMessage, ModelReply, ModelRequest } from '../../protocols/model.ts';
import { findingLines, readReply, request, sectionsMessage, systemMessage } from '../conversation.ts';
import type { Assignment } from './members.ts';
import type { PlannedStep } from './plan.ts';

export type Routing = {
  readonly routes: readonly { readonly agent: string; readonly when: string }[];
  /** The confidence below which a choice is none. */
  readonly confidenceFrom: number;
  readonly fallback?: string | undefined;
  /** What becomes of a task for which no choice was made. */
  readonly onUnknown: 'fallback' | 'fail' | 'ask';
};

type Router = { readonly profile: AgentProfile; readonly goal: string; readonly routing?: Routing | undefined; readonly assignment?: Assignment | undefined };

const ROUTE_DUTY =
  'Decide which of the agents the question is for. Answer with JSON {"agent": a name from the list, or null if it is for none of them, "confidence": 0..1, "reason"}.';

export const routeRequest = ({ profile, messages, routing }: Router & { readonly messages: readonly ChatMessage[] }): ModelRequest => ({
  ...request(profile, messages, 'route'),
  shape: shapeAmong('route', namesOf(routing!)),
});

const namesOf = ({ routes }: Routing): string[] => routes.map(({ agent }) => agent);

export const routePrompt = ({ profile, goal, routing, assignment }: Router): ChatMessage[] => [
  systemMessage(profile, [ROUTE_DUTY]),
  sectionsMessage([
    ['Question', goal],
    ['Findings', findingLines(assignment?.findings ?? [])],
    ['Agents', routing!.routes.map(({ agent, when }) => `- ${agent}: ${when}`).join('\n')],
  ]),
];

export const readRoute = ({ routing }: Router, reply: ModelReply): Parsed<Route> => {
  const parsed = readReply('route', reply);
  if (!parsed.ok || parsed.value.agent === null) return parsed;
  const names = namesOf(routing!);
  return names.includes(parsed.value.agent) ? parsed : { ok: false, problem: `no agent is called "${parsed.value.agent}"; there are ${names.join(', ')}` };
};

/** Who does it as things stand: the one that was chosen, or the fallback; nobody where that is to be decided otherwise. */
export const chosen = ({ confidenceFrom, onUnknown, fallback }: Routing, { agent, confidence }: Route): string | undefined => {
  if (agent !== null && confidence >= confidenceFrom) return agent;
  return onUnknown === 'fallback' ? fallback : undefined;
};

/** Whom a person is asked about: the one that fits best, or the fallback. */
export const candidate = ({ onUnknown, fallback }: Routing, { agent }: Route): string | undefined => (onUnknown === 'ask' ? (agent ?? fallback) : undefined);

/** Who does it without a yes to the candidate: the fallback, if that was not what the question was about. */
export const insteadOf = ({ fallback }: Routing, { agent }: Route): string | undefined => (agent !== null && agent !== fallback ? fallback : undefined);

/** All of the task is one step. */
export const routed = ({ goal }: Router, agent: string): readonly PlannedStep[] => [{ id: 'answer', agent, task: goal, needs: [], onFailure: 'fail' }];

const confidenceOf = ({ confidence, reason }: Route): string => `confidence ${confidence.toFixed(2)}${reason === '' ? '' : `: ${reason}`}`;

/** A choice as people are told of it. */
export const describeRoute = ({ confidenceFrom }: Routing, route: Route): string => {
  const { agent, confidence, reason } = route;
  if (agent === null) return `for nobody of the routes${reason === '' ? '' : ` (${reason})`}`;
  return `${confidence < confidenceFrom ? 'for nobody surely, best for' : 'for'} ${agent} (${confidenceOf(route)})`;
};

/** What a person is asked, and what comes of a no. */
export const routeQuestion = (routing: Routing, route: Route): string => {
  const other = insteadOf(routing, route);
  const otherwise = other === undefined ? 'nobody does it' : `${other} does it`;
  return `No agent is sure to be the right one for this task. Give it to ${candidate(routing, route)}? (${confidenceOf(route)}) If not, ${otherwise}.`;
};

/** `denied`: what a person, or the default, said of the candidate. */
export const unrouted = ({ routing, profile }: Router, route: Route, denied?: { readonly by: string; readonly note: string }): Failure => {
  const { confidenceFrom, routes } = routing!;
  const { agent, confidence, reason } = route;
  const best =
    agent === null
      ? `it is for none of ${routes.map((one) => one.agent).join(', ')}${reason === '' ? '' : ` (${reason})`}`
      : `it is best for ${agent}, but below confidence_from ${confidenceFrom} (${confidenceOf(route)})`;
  const answer = denied ? `; asked whether ${candidate(routing!, route)} is to do it, ${denied.by} said no${denied.note === '' ? '' : `: ${denied.note}`}` : '';
  return failure('ROUTE_UNKNOWN', `${profile.name} found nobody for the task: ${best}${answer}`, { details: { agent, confidence } });
};
