/** `troupe session`: conversations that go on over several runs. */
import { forgetSession, knownSession, listSessions } from '../topology/session.ts';
import { EXIT, print, printJson, say } from './exit.ts';
import { withBus } from './with-bus.ts';

export type SessionOptions = { readonly bus: string; readonly json: boolean };

/** What was said in a session; without a name, their names. Error: SESSION_UNKNOWN. */
export const show = (name: string | undefined, { bus: address, json }: SessionOptions): Promise<number> =>
  withBus(address, async (bus) => {
    if (name === undefined) {
      const names = await listSessions(bus);
      if (json) printJson({ sessions: names });
      else if (names.length > 0) print(names.join('\n'));
      return EXIT.done;
    }
    const { turns } = await knownSession(bus, name);
    if (json) printJson({ session: name, turns });
    else print(turns.map(({ run, at, task, answer }) => `${new Date(at).toISOString()}  ${run}\n> ${task}\n${answer}`).join('\n\n'));
    return EXIT.done;
  });

export const remove = (name: string, { bus: address, json }: SessionOptions): Promise<number> =>
  withBus(address, async (bus) => {
    await forgetSession(bus, name);
    if (json) printJson({ session: name, status: 'removed' });
    else say(`session ${name} is forgotten`);
    return EXIT.done;
  });
