/**
 * Sessions: a conversation that goes on over several runs. What was asked and answered stands on the bus under `session.<name>`;
 * a run that is started in it is given the last of it, and adds to it when it has completed, once, whoever hosts its end.
 */
import { z } from 'zod';
import { withinTokens } from '../actors/window.ts';
import type { Bus } from '../bus/port.ts';
import { TroupeError } from '../protocols/failure.ts';
import { Name } from '../protocols/ids.ts';
import type { ChatMessage } from '../protocols/model.ts';
import { withHash, type Team } from './team.ts';

const Turn = z.object({ run: z.string(), at: z.number(), task: z.string(), answer: z.string() });
const Session = z.object({ turns: z.array(Turn) });
export type Session = z.infer<typeof Session>;

/** Of what was said before, in the conversation of a run. */
const HISTORY_TOKENS = 4_000;
/** What is older is forgotten. */
const TURNS_MAX = 200;
const CHARS_MAX = 4_000;
const PUTS_MAX = 20;

const keyOf = (name: string): string => `session.${name}`;

/** Errors: SESSION_INVALID (no name), SESSION_UNREADABLE. */
export const readSession = async (bus: Bus, name: string): Promise<{ readonly session: Session; readonly revision: number }> => {
  if (!Name.safeParse(name).success)
    throw new TroupeError('SESSION_INVALID', `session ${JSON.stringify(name)}: expected a name: a letter, then letters, digits, - or _ (48 at most)`);
  const stored = await bus.get(keyOf(name));
  if (!stored) return { session: { turns: [] }, revision: 0 };
  try {
    return { session: Session.parse(JSON.parse(stored.value)), revision: stored.revision };
  } catch (cause) {
    throw new TroupeError('SESSION_UNREADABLE', `what the bus has of session ${name} cannot be read; remove it with troupe session rm ${name}`, { cause });
  }
};

/** The team as it runs in a session, with what was said there before. */
export const inSession = async (bus: Bus, name: string, { hash: _, ...team }: Team): Promise<Team> => {
  const { session } = await readSession(bus, name);
  return withHash({ ...team, session: { name, history: [...historyOf(session)] } });
};

const historyOf = ({ turns }: Session): readonly ChatMessage[] =>
  withinTokens(
    turns.flatMap(({ task, answer }): ChatMessage[] => [
      { role: 'user', text: task },
      { role: 'assistant', text: answer, toolCalls: [] },
    ]),
    HISTORY_TOKENS,
  );

/** Adds what a run was asked and what it answered, once. Errors: BUS_CONFLICT (others kept writing), SESSION_UNREADABLE. */
export const remember = async (bus: Bus, name: string, turn: z.infer<typeof Turn>): Promise<void> => {
  for (let puts = 1; ; puts++) {
    const { session, revision } = await readSession(bus, name);
    if (session.turns.some(({ run }) => run === turn.run)) return;
    const cut = { ...turn, task: turn.task.slice(0, CHARS_MAX), answer: turn.answer.slice(0, CHARS_MAX) };
    try {
      await bus.put(keyOf(name), JSON.stringify({ turns: [...session.turns, cut].slice(-TURNS_MAX) }), { expect: revision });
      return;
    } catch (thrown) {
      if (puts === PUTS_MAX || !(thrown instanceof TroupeError && thrown.code === 'BUS_CONFLICT')) throw thrown;
    }
  }
};

const unknownSession = (bus: Bus, name: string): TroupeError =>
  new TroupeError('SESSION_UNKNOWN', `no session ${name} on ${bus.name}; \`troupe session show\` with the same --bus lists those that are there`);

/** What was said in a session that is there. Errors: SESSION_UNKNOWN, SESSION_INVALID (no name), SESSION_UNREADABLE. */
export const knownSession = async (bus: Bus, name: string): Promise<Session> => {
  const { session, revision } = await readSession(bus, name);
  if (revision === 0) throw unknownSession(bus, name);
  return session;
};

/** Error: SESSION_UNKNOWN. */
export const forgetSession = async (bus: Bus, name: string): Promise<void> => {
  if (!(await bus.get(keyOf(name)))) throw unknownSession(bus, name);
  await bus.delete(keyOf(name));
};

export const listSessions = async (bus: Bus): Promise<string[]> => (await bus.keys('session.')).map((key) => key.slice('session.'.length)).sort();
