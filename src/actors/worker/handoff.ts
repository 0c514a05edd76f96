/**
 * Handing a task over: how a worker's model is told that it may, by calls that look like those of tools and that nobody runs, and
 * what the next agent is given of the conversation. Pure.
 *
 * What goes along is a conversation that any provider takes: a call has its result, and of the handing over itself there is
 * nothing in it but one message that says who did it, and why.
 */
import type { AgentProfile } from '../../protocols/agent.ts';
import type { PayloadOf } from '../../protocols/catalogue.ts';
import type { ChatMessage, ModelReply, ModelRequest } from '../../protocols/model.ts';
import type { Handover } from '../../protocols/task.ts';
import { lastExchanges, withinTokens, withoutTools } from '../window.ts';

/** With the longest name still as short as providers want the name of a tool. */
const PREFIX = 'hand_over_to_';

/** Of a conversation that is handed over, by estimate; an entry of a log has its bound too. */
export const HANDED_TOKENS_MAX = 100_000;

export const HAND_OVER_DUTY = 'If the work is rather for somebody whom you may hand it over to, hand it over instead of answering.';

export const handoffCalls = ({ handoffs }: AgentProfile): NonNullable<ModelRequest['handoffs']> =>
  (handoffs?.to ?? []).map(({ agent, description }) => ({
    name: `${PREFIX}${agent}`,
    description: `Hands the work and the conversation over to ${agent}, who goes on in your place. ${agent}: ${description}`,
    parameters: {
      type: 'object',
      properties: { reason: { type: 'string', description: `Why it is for ${agent}, and what is left to do.` } },
      required: ['reason'],
      additionalProperties: false,
    },
  }));

const isHandoff = ({ handoffs }: AgentProfile, name: string): boolean => handoffs?.to.some(({ agent }) => name === `${PREFIX}${agent}`) ?? false;

/** Whom a reply hands the work over to; of several the first. */
export const handoverIn = (profile: AgentProfile, { toolCalls }: ModelReply): { readonly agent: string; readonly reason: string } | undefined => {
  const call = toolCalls.find(({ name }) => isHandoff(profile, name));
  if (!call) return undefined;
  const { reason } = call.input;
  return { agent: call.name.slice(PREFIX.length), reason: typeof reason === 'string' ? reason.trim() : '' };
};

/** What the next agent is given of all that was said: what came with the task, `since`, and the reply that hands it over. */
export const passedOn = (
  profile: AgentProfile,
  before: Handover | undefined,
  since: readonly ChatMessage[],
  reply: ModelReply,
): Pick<PayloadOf<'task.handed_over'>, 'messages' | 'omitted'> => {
  const all = [...(before ? takenUp(before) : []), ...since, ...lastWords(profile, reply)];
  const { pass } = profile.handoffs!;
  const wanted = pass === 'without_tools' ? withoutTools(all) : all;
  const messages = withinTokens(typeof pass === 'object' ? lastExchanges(wanted, pass.last) : wanted, HANDED_TOKENS_MAX);
  const omitted = wanted.length - messages.length + (before?.omitted ?? 0);
  return { messages: [...messages], ...(omitted > 0 && { omitted }) };
};

/** What the reply says beside the handing over. Calls that it made in the same breath were not made, and are said not to be. */
const lastWords = (profile: AgentProfile, { text, toolCalls }: ModelReply): ChatMessage[] => {
  const others = toolCalls.filter(({ name }) => !isHandoff(profile, name));
  if (text.trim() === '' && others.length === 0) return [];
  const refused = others.map(({ id }): ChatMessage => ({ role: 'tool', callId: id, ok: false, text: `not made: ${profile.name} handed the work over` }));
  return [{ role: 'assistant', text, toolCalls: others }, ...refused];
};

/** A conversation as whoever takes it up reads it. */
export const takenUp = ({ by, reason, messages, omitted = 0 }: Handover): ChatMessage[] => {
  const said = messages.length === 0 ? '' : ' What was said before stands above.';
  const left = omitted > 0 ? ` It is without its first ${omitted} messages.` : '';
  return [
    ...messages,
    { role: 'user', text: `# Handed over\n${by.at(-1)} has handed this work over to you${reason === '' ? '.' : `: ${reason}`}\nGo on with it.${said}${left}` },
  ];
};

/** What follows from one side in several messages, in one: some providers take nothing else. */
export const inTurns = (messages: readonly ChatMessage[]): ChatMessage[] =>
  messages.reduce<ChatMessage[]>((turns, message) => {
    const last = turns.at(-1);
    const joins = last?.role === message.role && message.role !== 'tool';
    return joins ? [...turns.slice(0, -1), { ...message, text: [last.text, message.text].filter(Boolean).join('\n\n') }] : [...turns, message];
  }, []);
