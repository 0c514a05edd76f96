/**
 * A bus that says things twice: what is appended arrives again under its id, and a follower is handed entries that it has had as
 * if they stood once more behind the newest, as on a bus whose memory of ids has run out.
 */
import type { Bus, Entry } from '../../src/bus/port.ts';

/** Entries of which one may be handed over again. */
const KEPT = 20;

/** How often. */
export type Doubled = { appended: number; handedOver: number };

/** `random` decides what is doubled: about every second entry, each way. */
export const doublingBus = (below: Bus, random: () => number, doubled: Doubled): Bus => {
  const twice: Pick<Bus, 'append' | 'follow'> = {
    append: async (log, envelope, options) => {
      const position = await below.append(log, envelope, options);
      if (options?.expect === undefined && random() < 0.5) {
        doubled.appended++;
        const again = await below.append(log, envelope, options);
        if (again !== position) throw new Error(`${envelope.id} stands at ${position} and at ${again}`);
      }
      return position;
    },
    follow: (pattern, from, onEntry) => {
      const had: Entry[] = [];
      return below.follow(pattern, from, (entry) => {
        onEntry(entry);
        had.push(entry);
        if (had.length > KEPT) had.shift();
        if (random() >= 0.5) return;
        doubled.handedOver++;
        onEntry({ ...had[Math.floor(random() * had.length)]!, position: entry.position + 0.5 });
      });
    },
  };
  return Object.assign(Object.create(below) as Bus, twice);
};
