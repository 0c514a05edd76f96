/**
 * Accounts that many runs share: an organisation's, a project's. One is opened once, by a person, and lives on the bus; every
 * process that hosts a run of it serves it too, and all of them decide alike.
 */
import { z } from 'zod';
import type { BudgetInput } from '../actors/budget/desk.ts';
import type { Bus } from '../bus/port.ts';
import { AccountSpec } from '../protocols/account.ts';
import { TroupeError } from '../protocols/failure.ts';
import { Name } from '../protocols/ids.ts';
import type { Definition } from '../runtime/fold.ts';
import { charts } from './charts.ts';

const Rules = z.object({
  account: AccountSpec,
  onExhausted: z.enum(['pause', 'fail']),
  orphans: z.enum(['charge', 'release', 'ask']),
  grantMs: z.number().int().positive(),
  waitMs: z.number().int().positive(),
  /** Entries that its log may hold before it is cut. */
  cutAfter: z.number().int().positive().optional(),
});
export type SharedAccount = z.infer<typeof Rules>;

/** Half of what a log can hold. */
const CUT_AFTER = 50_000;

const DRAIN_MS = 30_000;
const THRESHOLDS = [50, 80, 95];

const keyOf = (name: string): string => `account.${name}`;

/** Opens a shared account. Errors: ACCOUNT_INVALID (its name), ACCOUNT_EXISTS. */
export const openSharedAccount = async (bus: Bus, account: SharedAccount): Promise<void> => {
  const { id } = account.account;
  if (!Name.safeParse(id).success)
    throw new TroupeError('ACCOUNT_INVALID', `account "${id}": expected a name: a letter, then letters, digits, - or _ (48 at most)`);
  try {
    await bus.put(keyOf(id), JSON.stringify(account), { expect: 0 });
  } catch (thrown) {
    if (thrown instanceof TroupeError && thrown.code === 'BUS_CONFLICT') {
      throw new TroupeError('ACCOUNT_EXISTS', `account "${id}" is there already: raise it with troupe budget raise ${id} <dollars> --why ...`, {
        cause: thrown,
      });
    }
    throw thrown;
  }
};

export type ServedAccount = { readonly definition: Definition; readonly cutAfter: number };

/** What a shared account is hosted with. Error: ACCOUNT_UNKNOWN. */
export const servedAccount = async (bus: Bus, name: string): Promise<ServedAccount> => {
  const stored = await bus.get(keyOf(name));
  if (!stored) throw new TroupeError('ACCOUNT_UNKNOWN', `no account "${name}" on ${bus.name}: open it with troupe budget open ${name} <dollars>`);
  const { account, cutAfter = CUT_AFTER, ...rules } = Rules.parse(JSON.parse(stored.value));
  const input: BudgetInput = { accounts: [account], ...rules, drainMs: DRAIN_MS, keptBackNanos: '0', thresholds: THRESHOLDS };
  return { definition: { chart: charts.budget, input }, cutAfter };
};

/** Error: ACCOUNT_UNKNOWN. */
export const sharedDefinition = async (bus: Bus, name: string): Promise<Definition> => (await servedAccount(bus, name)).definition;
