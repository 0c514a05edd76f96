/**
 * What other processes may know of a run and say to it, whether it is hosted anywhere or not: everything is in its logs. What
 * is said waits there for whoever hosts the run next.
 */
import type { ApproverContext } from '../actors/approver/machine.ts';
import type { Question } from '../actors/approver/policy.ts';
import type { Desk } from '../actors/budget/desk.ts';
import type { Book } from '../actors/budget/book.ts';
import { raise } from '../actors/budget/branches.ts';
import { entriesOf, get } from '../actors/budget/by-id.ts';
import type { Bus } from '../bus/port.ts';
import { decode, versionOf, type MessageName, type PayloadOf } from '../protocols/catalogue.ts';
import { TroupeError } from '../protocols/failure.ts';
import { address, RunId, runOf, type Address } from '../protocols/ids.ts';
import { BEGINNING, type Chain, type LedgerLine } from '../protocols/ledger.ts';
import { formatDollars } from '../protocols/money.ts';
import { Instance } from '../runtime/instance.ts';
import { cutLog, deskOf, type AccountCut, type AccountLog } from './account-log.ts';
import { accountOf, approverOf, castTeam, clientOf, runAccount, sharedAccount, sharedUnit, supervisorOf } from './cast.ts';
import { charts } from './charts.ts';
import { readHead, readRecord, type RunRecord } from './run-record.ts';
import { sharedDefinition } from './shared-account.ts';
import { unknownRun } from './unknown-run.ts';

export type RunSummary = {
  readonly id: RunId;
  readonly team: string;
  readonly startedAt: number;
  readonly status: 'running' | 'completed' | 'failed';
  /** Of one that has ended. */
  readonly endedAt?: number;
  readonly hosting: 'together' | 'apart';
  /** Absent where that cannot be known: the account did not answer, or another version of Troupe keeps the books. */
  readonly spentNanos?: string;
};

/** The runs on a bus, the oldest first. */
export const listRuns = async (bus: Bus): Promise<readonly RunSummary[]> => {
  const summaries: RunSummary[] = [];
  const shared = new Map<string, Books>();
  for (const key of await bus.keys('run.')) {
    const stored = await bus.get(key);
    if (!stored) continue;
    const id = key.slice('run.'.length) as RunId;
    const { team, startedAt, hosting } = readHead(stored.value) ?? { team: { name: '?' }, startedAt: 0, hosting: 'together' };
    const end = await endOf(bus, id);
    const spentNanos = end ? end.spentNanos : await spentSoFar(bus, id, stored.value, shared);
    summaries.push({ id, team: team.name, startedAt, hosting, status: 'running', ...end, ...(spentNanos !== undefined && { spentNanos }) });
  }
  return summaries.toSorted((a, b) => a.startedAt - b.startedAt || (a.id < b.id ? -1 : 1));
};

type RunEnd = { readonly status: 'completed' | 'failed'; readonly endedAt: number; readonly spentNanos?: string };

const endOf = async (bus: Bus, id: RunId): Promise<RunEnd | undefined> => {
  for await (const { envelope, at } of bus.read(clientOf(id))) {
    const decoded = decode(envelope);
    if (!decoded.ok) continue;
    const { type, data } = decoded.message;
    if (type !== 'run.completed' && type !== 'run.failed') continue;
    return { status: type === 'run.completed' ? 'completed' : 'failed', endedAt: at, ...(data.spending && { spentNanos: data.spending.spentNanos }) };
  }
  return undefined;
};

const spentSoFar = async (bus: Bus, id: RunId, stored: string, shared: Map<string, Books>): Promise<string | undefined> => {
  try {
    const { team } = readRecord(id, stored);
    const { account } = team.budget;
    const books = (account === undefined ? undefined : shared.get(account)) ?? (await booksOf(bus, account ?? id));
    if (account !== undefined) shared.set(account, books);
    return get(books.desk.book.tree, runAccount(id, team))?.spent.money.toString();
  } catch (thrown) {
    if (thrown instanceof TroupeError && ['RUN_VERSION', 'RUN_UNREADABLE', 'ACCOUNT_UNKNOWN'].includes(thrown.code)) return undefined;
    throw thrown;
  }
};

/** An actor as it stands, folded from its log; `see` is shown it after each entry. `undefined`: its log is empty. */
const foldActor = async (
  bus: Bus,
  at: Address,
  begin: (time: number) => Instance,
  see: (instance: Instance) => void = () => {},
): Promise<Instance | undefined> => {
  let instance: Instance | undefined;
  for await (const { position, at: time, envelope } of bus.read(at)) {
    const decoded = decode(envelope);
    if (!decoded.ok) continue;
    instance ??= begin(time);
    instance.apply({ position, at: time, id: envelope.id, from: envelope.from, message: decoded.message });
    see(instance);
  }
  return instance;
};

/** Error: RUN_UNKNOWN, RUN_UNREADABLE, RUN_VERSION. */
export const recordOf = async (bus: Bus, run: string): Promise<RunRecord & { readonly id: RunId }> => {
  const parsed = RunId.safeParse(run);
  const stored = parsed.success ? await bus.get(`run.${run}`) : undefined;
  if (!parsed.success || !stored) throw unknownRun(bus, run);
  return { ...readRecord(run, stored.value), id: parsed.data };
};

const say = async <T extends MessageName>(bus: Bus, from: Address, to: Address, type: T, data: PayloadOf<T>): Promise<void> => {
  await bus.append(to, {
    id: `${to}/${type}/${crypto.randomUUID()}`,
    type,
    v: versionOf(type),
    from,
    correlation: runOf(from),
    time: Date.now(),
    data: data,
  });
};

// --- ending ------------------------------------------------------------------------------------------------------------------

/** Says that a run is to end. It waits on the bus until somebody hosts the run. Error: RUN_UNKNOWN. */
export const cancelRun = async (bus: Bus, run: RunId, reason: string): Promise<void> => say(bus, clientOf(run), supervisorOf(run), 'run.cancel', { reason });

// --- questions ---------------------------------------------------------------------------------------------------------------

/** What a run asks people. Error: RUN_UNKNOWN. */
export const openQuestions = async (bus: Bus, run: string): Promise<readonly Question[]> => {
  const { id } = await recordOf(bus, run);
  const at = approverOf(id);
  const approver = await foldActor(bus, at, (time) => Instance.begin(at, { chart: charts.approver, input: undefined }, time)[0]);
  return approver ? Object.values((approver.state.snapshot.context as ApproverContext).open) : [];
};

/** Errors: RUN_UNKNOWN, APPROVAL_UNKNOWN (nothing of that name is open), APPROVAL_LATE (its deadline has passed). */
export const answerQuestion = async (bus: Bus, run: string, answer: PayloadOf<'approval.answer'>): Promise<void> => {
  const open = await openQuestions(bus, run);
  const asked = open.find(({ approval }) => approval === answer.approval);
  if (asked && asked.deadline <= Date.now()) {
    throw new TroupeError(
      'APPROVAL_LATE',
      `${run} waited for an answer to "${answer.approval}" until ${new Date(asked.deadline).toISOString()}; "${asked.otherwise}" counts when the run is resumed`,
    );
  }
  if (!asked) {
    throw new TroupeError(
      'APPROVAL_UNKNOWN',
      `${run} does not ask "${answer.approval}"; open: ${open.map(({ approval }) => approval).join(', ') || 'nothing'}`,
    );
  }
  await say(bus, clientOf(run as RunId), approverOf(run as RunId), 'approval.answer', answer);
};

// --- money -------------------------------------------------------------------------------------------------------------------

export type Books = {
  readonly desk: Desk;
  readonly lines: readonly LedgerLine[];
  /** What the first line follows from: the last line that was cut away, if the log was cut. */
  readonly before: Chain;
};

/** Whose books: where they are kept, and what they were begun with. */
type Account = AccountLog & { readonly root: string };

/** Of a run, or of a shared account by its name. Errors: RUN_UNKNOWN, ACCOUNT_UNKNOWN. */
const accountNamed = async (bus: Bus, name: string): Promise<Account> => {
  if (RunId.safeParse(name).success) {
    const { id, team, models } = await recordOf(bus, name);
    const shared = team.budget.account;
    if (shared !== undefined) return { ...(await accountNamed(bus, shared)), root: runAccount(id, team), from: clientOf(id) };
    const at = accountOf(id, team);
    return { at, definition: castTeam(id, team, models)(at)!, root: id, from: clientOf(id) };
  }
  return { at: sharedAccount(name), definition: await sharedDefinition(bus, name), root: name, from: address(sharedUnit(name) as RunId, 'client') };
};

/** The accounts and the ledger of a run, or of a shared account, from the account's log. Errors: RUN_UNKNOWN, ACCOUNT_UNKNOWN. */
export const booksOf = async (bus: Bus, name: string): Promise<Books> => {
  const { at, definition } = await accountNamed(bus, name);
  let lines: LedgerLine[] = [];
  let before = BEGINNING;
  const begin = (time: number): Instance => Instance.begin(at, definition, time)[0];
  let seq = 0;
  const account = await foldActor(bus, at, begin, (instance) => {
    const { chain, lines: fresh } = deskOf(instance);
    if (chain.seq === seq) return;
    const checkpoint = fresh.find(({ kind }) => kind === 'checkpoint');
    if (checkpoint) {
      lines = [];
      before = { seq: checkpoint.seq - 1, hash: checkpoint.previous };
    }
    lines.push(...fresh);
    seq = chain.seq;
  });
  return { desk: deskOf(account ?? begin(0)), lines, before };
};

export type AccountFigures = {
  readonly id: string;
  readonly parent: string | undefined;
  readonly state: 'open' | 'frozen' | 'closed';
  /** Nano-dollars moved here from the parent, if it has a slice. */
  readonly sliceNanos: bigint | undefined;
  readonly limits: readonly { readonly measure: string; readonly window: string; readonly amount: bigint; readonly spent: bigint; readonly held: bigint }[];
  readonly spentNanos: bigint;
  readonly heldNanos: bigint;
};

/** The accounts, parents before their children. */
export const accountsIn = ({ desk: { book } }: Books): readonly AccountFigures[] =>
  entriesOf(book.tree).map(([, { id, parent, slice, limits, spent, held, frozen, ending, closed }]) => ({
    id,
    parent,
    state: ending || closed ? 'closed' : frozen ? 'frozen' : 'open',
    sliceNanos: slice,
    limits: limits.map(({ measure, window, amount }) => ({ measure, window, amount, spent: spent[measure], held: held[measure] })),
    spentNanos: spent.money,
    heldNanos: held.money,
  }));

/** Whose hand it was, and why: it stands in the ledger. */
export type Hand = { readonly by: string; readonly why: string };

/**
 * More money for an account; `name` is a run or a shared account, `below` one of its accounts. Errors: RUN_UNKNOWN,
 * ACCOUNT_UNKNOWN, ACCOUNT_CLOSED (its run has ended), ACCOUNT_UNLIMITED (it has no limit on money), BUDGET_NOT_COVERED (a slice
 * cannot grow by so much).
 */
export const raiseBudget = async (bus: Bus, name: string, below: string | undefined, nanos: bigint, hand: Hand): Promise<void> => {
  const { at, from, account, book } = await accountBelow(bus, name, below);
  checkRaise(book, account, nanos);
  await say(bus, from, at, 'budget.raise', { account, nanos: nanos.toString(), ...hand });
};

/** Errors: RUN_UNKNOWN, ACCOUNT_UNKNOWN. */
export const freezeBudget = async (
  bus: Bus,
  name: string,
  below: string | undefined,
  to: { readonly frozen: boolean; readonly revoke: boolean },
  hand: Hand,
): Promise<void> => {
  const { at, from, account } = await accountBelow(bus, name, below);
  await say(bus, from, at, 'budget.freeze', { account, ...to, ...hand });
};

/** What the account would do without a word is told to whoever asks for it. */
const checkRaise = (book: Book, account: string, nanos: bigint): void => {
  const known = get(book.tree, account);
  if (known ? known.ending || known.closed : book.forgotRuns) {
    throw new TroupeError(
      'ACCOUNT_CLOSED',
      `${account} is closed, because its run has ended: only a run that has not ended can be raised, as troupe runs lists them`,
    );
  }
  if (known && !known.limits.some(({ measure }) => measure === 'money')) {
    throw new TroupeError('ACCOUNT_UNLIMITED', `${account} has no limit on money of its own: raise the account that it takes from, ${known.parent}`);
  }
  const raised = raise(book, account, nanos, Date.now());
  if (!('problem' in raised) || !raised.tight) return;
  const { account: above, free } = raised.tight;
  throw new TroupeError(
    'BUDGET_NOT_COVERED',
    `${account} cannot have ${formatDollars(nanos)} more: it is a slice of ${above.id}, which has ${formatDollars(free)} left; raise that first`,
  );
};

const accountBelow = async (bus: Bus, name: string, below: string | undefined): Promise<Account & { readonly account: string; readonly book: Book }> => {
  const account = await accountNamed(bus, name);
  const { book } = (await booksOf(bus, name)).desk;
  const known = entriesOf(book.tree).map(([id]) => id);
  if (below !== undefined && !known.includes(below))
    throw new TroupeError('ACCOUNT_UNKNOWN', `${name} has no account "${below}"; there are ${known.join(', ')}`);
  return { ...account, account: below ?? account.root, book };
};

/**
 * Puts the account's whole state into its log and removes everything before it. What the account said until then is said again
 * first, under the same ids, because no host will do so any more. Errors: RUN_UNKNOWN, ACCOUNT_UNKNOWN, BUS_CONFLICT (others
 * kept writing), BUS_ENTRY_TOO_LARGE (the state does not fit an entry).
 */
export const cutAccount = async (bus: Bus, name: string): Promise<AccountCut> => (await cutLog(bus, await accountNamed(bus, name)))!;

/** What is wrong with a ledger: the first line that cannot be trusted, and the last one that can. */
export type LedgerBreak = { readonly why: string; readonly seq: number; readonly trustedUpTo: number };

/**
 * Compares the ledger, as it follows from the account's log, with the hashes that grants, vetoes and the account's end carried
 * into other logs. An entry of the account's log that was changed, dropped or slipped in breaks every later one. `cut`: hashes
 * of lines that were cut away, which nothing can be compared with.
 */
export const verifyLedger = async (
  bus: Bus,
  run: string,
): Promise<{ readonly lines: number; readonly anchors: number; readonly cut: number; readonly broken?: LedgerBreak }> => {
  const { lines, before } = await booksOf(bus, run);
  const { at: account } = await accountNamed(bus, run);
  let anchors = 0;
  let cut = 0;
  let trustedUpTo = before.seq;
  for await (const { log, envelope } of bus.read(RunId.safeParse(run).success ? `${run}.>` : '>')) {
    if (log === account || envelope.from !== account) continue;
    const decoded = decode(envelope);
    const anchor = decoded.ok && 'ledger' in decoded.message.data ? decoded.message.data.ledger : undefined;
    if (!anchor || anchor.seq === 0) continue;
    if (anchor.seq < before.seq) {
      cut++;
      continue;
    }
    anchors++;
    const line = anchor.seq === before.seq ? before : lines[anchor.seq - before.seq - 1];
    if (line?.hash !== anchor.hash) {
      const why = line
        ? `line ${anchor.seq} is not what it was when ${envelope.type} was said to ${log}: an entry after line ${trustedUpTo} was changed, dropped or slipped in`
        : `line ${anchor.seq} is gone: ${envelope.type} was said to ${log} when it was there`;
      return { lines: lines.length, anchors, cut, broken: { why, seq: anchor.seq, trustedUpTo } };
    }
    trustedUpTo = Math.max(trustedUpTo, anchor.seq);
  }
  return { lines: lines.length, anchors, cut };
};
