/**
 * Runs that one process hosts whole: starts, resumes and ends them. Where each agent is a process of its own: service.ts.
 *
 *   R1  What a run needs to go on is on the bus before its first message: the team, the models, the question.
 *   R2  A run is hosted by one process at a time, which holds its lease.
 */
import type { Bus } from '../bus/port.ts';
import type { ApproverContext } from '../actors/approver/machine.ts';
import { get } from '../actors/budget/by-id.ts';
import { figuresOf, type Desk } from '../actors/budget/desk.ts';
import type { BudgetContext } from '../actors/budget/machine.ts';
import type { Question } from '../actors/approver/policy.ts';
import type { PayloadOf } from '../protocols/catalogue.ts';
import { TroupeError, type Failure } from '../protocols/failure.ts';
import { newRunId, RunId, runOf, type Address } from '../protocols/ids.ts';
import type { Spending } from '../protocols/lifecycle.ts';
import { systemClock, type Clock } from '../runtime/clock.ts';
import type { Definition } from '../runtime/fold.ts';
import { Host, type Observed } from '../runtime/host.ts';
import { takeLease } from '../runtime/lease.ts';
import { Pace } from '../runtime/pace.ts';
import { Presence } from '../runtime/presence.ts';
import { AccountKeeper } from './account-log.ts';
import { accountOf, accountsOf, approverOf, castTeam, clientOf, runAccount, sharedAccount, sharedUnit, supervisorOf, type Models } from './cast.ts';
import { newHostId } from './host-id.ts';
import { chartVersions } from './charts.ts';
import { removeRun } from './remove-run.ts';
import { checkedTask } from './resolve.ts';
import { isRemoved, readRecord, type RunRecord } from './run-record.ts';
import { resultOf, type RunResult } from './run-result.ts';
import { remember } from './session.ts';
import { servedAccount } from './shared-account.ts';
import { unknownRun } from './unknown-run.ts';
import { externalAgents, type Team } from './team.ts';
import { Workshop, type WorkshopOptions } from './workshop.ts';

export type TroupeOptions = Pick<WorkshopOptions, 'models' | 'tools' | 'checkOutput'> & {
  readonly bus: Bus;
  readonly clock?: Clock;
  /** Sees every step of every run that this process hosts, also those of a history that is read again (`replayed`). */
  readonly observe?: (seen: Observed) => void;
  /** Told when so many percent of an account's limit are spent, once each; not of what a run that is resumed has told before. */
  readonly onThreshold?: (reached: Threshold) => void;
  /** Told when the bus does not answer, and when it answers again: until then nothing is performed. */
  readonly onReach?: (reachable: boolean) => void;
  /** Entries of one actor between two snapshots; 0: none. */
  readonly snapshotEvery?: number;
  /** Many runs at once: one consumer of the whole bus instead of one for each run. */
  readonly manyRuns?: boolean;
};

export type Threshold = PayloadOf<'budget.threshold'>;

/** Nothing goes on until a person answers. */
export type Waiting = { readonly status: 'waiting'; readonly run: RunId; readonly questions: readonly Question[] };

/** The money is used up: nothing goes on until someone raises the limit. Everything that was paid is kept. */
export type Paused = { readonly status: 'paused'; readonly run: RunId; readonly failure: Failure; readonly spending: Spending };

export type Run = {
  readonly id: RunId;
  readonly team: Team;
  readonly models: Models;
  /** Of its account, with what it was raised by; of the team once this process hosts the run no longer. */
  readonly limitNanos: string;
  /** Ends with the run. Rejects when the bus is lost (BUS_UNAVAILABLE), or another process took the run over (RUN_LOST). */
  readonly result: Promise<RunResult>;
  /** As `result`, or that nothing is left to do until a person answers or raises the limit. Asked for again: until something else is waited for. */
  readonly resultOrIdle: Promise<RunResult | Waiting | Paused>;
  cancel(reason: string): Promise<void>;
  /** Stops hosting the run here; it stays on the bus and can be resumed. */
  leave(): Promise<void>;
};

type Hosted = { readonly team: Team; readonly definitionOf: (at: Address) => Definition | undefined };

/** Whoever waits for a run, and the actors that know whether it waits for a person. */
type Waiter = {
  readonly run: RunId;
  /** Looks whether it does and nothing else is under way. */
  readonly check: () => void;
  readonly approver: Address;
  readonly account: Address;
  /** It waits for a person, as far as its actors said last. */
  mayBeIdle: boolean;
};

const DECIDES_IDLE: ReadonlySet<string> = new Set(['approver', 'budget']);

/** What is waited for, to tell it from what was waited for before. */
const idleFor = (idle: Waiting | Paused): string =>
  idle.status === 'waiting' ? idle.questions.map(({ approval }) => approval).join(' ') : JSON.stringify([idle.failure.details, idle.spending]);

export class Troupe {
  readonly #options: TroupeOptions;
  readonly #clock: Clock;
  readonly #workshop: Workshop;
  readonly #presence: Presence;
  readonly #pace: Pace;
  readonly #host: Host;
  readonly #hosted = new Map<RunId, Hosted>();
  /** Accounts that runs of this process share with others, by unit. */
  readonly #shared = new Map<string, AccountKeeper>();
  /** What `#shared` waits for, by unit: an account is adopted once. */
  readonly #serving = new Map<string, Promise<void>>();
  /** Of the results that are waited for: one handler for all, or the host would keep every run that it ever had. */
  readonly #rejects = new Map<RunId, (why: unknown) => void>();
  readonly #waiters = new Map<RunId, Waiter>();
  readonly #open = new Map<RunId, Run>();

  private constructor(options: TroupeOptions, clock: Clock, presence: Presence) {
    this.#options = options;
    this.#clock = clock;
    this.#presence = presence;
    this.#pace = new Pace({ bus: options.bus, clock, hostId: presence.id });
    const { models, tools, checkOutput } = options;
    this.#workshop = new Workshop({ models, tools, ...(checkOutput && { checkOutput }), clock, pace: this.#pace });
    this.#host = new Host({
      bus: options.bus,
      id: presence.id,
      clock,
      runners: this.#workshop.runners((at) => this.#teamAt(at)),
      resolve: (at) => this.#shared.get(runOf(at))?.definition ?? this.#hosted.get(runOf(at))?.definitionOf(at),
      isRemoved: (run) => isRemoved(options.bus, run),
      observe: (seen) => this.#observe(seen),
      snapshotEvery: options.snapshotEvery ?? 50,
    });
    this.#host.failed.catch((why: unknown) => this.#rejects.forEach((reject) => reject(why)));
    presence.onFenced(() => this.#lose());
  }

  /** Errors: BUS_*. */
  static async open(options: TroupeOptions): Promise<Troupe> {
    const clock = options.clock ?? systemClock;
    const { bus, onReach } = options;
    const presence = await Presence.open({ bus, clock, id: newHostId(), ...(onReach && { onReach }) });
    const troupe = new Troupe(options, clock, presence);
    if (options.manyRuns) await troupe.#host.start('>');
    return troupe;
  }

  /** Starts a run of the team on its task; one that is refused is not on the bus. Errors: ACCOUNT_UNKNOWN, BUDGET_NOT_COVERED (the account cannot give the slices), TASK_INVALID, AGENT_EXTERNAL, MODEL_NOT_READY (none of an agent's models can be called), MODEL_SETTING_INVALID, BUS_*. */
  async start(team: Team): Promise<Run> {
    const goal = checkedTask(team.name, team.task);
    const [external] = externalAgents(team);
    if (external !== undefined)
      throw new TroupeError(
        'AGENT_EXTERNAL',
        `agent ${external} of team ${team.name} is external, so one process cannot host the whole run: start the process that plays ${external}, and the run with troupe run --detach`,
      );
    const id = newRunId(this.#clock.now(), Math.random);
    const record: RunRecord = { team, models: this.#workshop.chooseModels(team), startedAt: this.#clock.now(), hosting: 'together', charts: chartVersions };
    // Durable with the run's first message at the latest, and so before its first call.
    const stored = this.#options.bus.put(`run.${id}`, JSON.stringify(record), { expect: 0, lazy: true });
    const [run] = await Promise.all([this.#take(id, record, { fresh: true, stored }), stored]).catch(async (thrown: unknown) => {
      await this.#forget(id, stored);
      throw thrown;
    });
    await this.#host.tell(supervisorOf(id), clientOf(id), `${id}/start`, 'run.start', { goal });
    return run;
  }

  /** Goes on with a run, wherever it stands; one that has ended gives its result again. Errors: RUN_UNKNOWN, RUN_HOSTED, RUN_APART. */
  async resume(id: string, { wait = true }: { wait?: boolean } = {}): Promise<Run> {
    const parsed = RunId.safeParse(id);
    const stored = parsed.success ? await this.#options.bus.get(`run.${id}`) : undefined;
    if (!stored) throw unknownRun(this.#options.bus, id);
    const record = readRecord(id, stored.value);
    if (record.hosting === 'apart')
      throw new TroupeError(
        'RUN_APART',
        `${id} is hosted by agent processes, each its part: start those with troupe up or troupe agent, and follow it with troupe tail ${id}`,
      );
    const run = await this.#take(id as RunId, record, { fresh: false, wait });
    // Whoever started it may have died before it said so; under the same id it is said once.
    await this.#host.tell(supervisorOf(run.id), clientOf(run.id), `${run.id}/start`, 'run.start', { goal: record.team.task });
    return run;
  }

  /** Leaves every run that it hosts. The bus stays open: it is whoever's opened it. */
  async close(): Promise<void> {
    await Promise.all([...this.#open.values()].map((run) => run.leave()));
    await this.#host.stop();
    this.#pace.close();
    await this.#presence.close();
  }

  async #take(id: RunId, record: RunRecord, { fresh, wait = true, stored }: { fresh: boolean; wait?: boolean; stored?: Promise<unknown> }): Promise<Run> {
    const { team, models, startedAt } = record;
    const { bus } = this.#options;
    const lease = await takeLease(id, { bus, clock: this.#clock, presence: this.#presence }, { fresh, wait });
    this.#hosted.set(id, { team, definitionOf: castTeam(id, team, models) });
    const { promise: result, resolve, reject } = Promise.withResolvers<RunResult>();
    let idle = Promise.withResolvers<Waiting | Paused>();
    let found: string | undefined;
    let isTold = false;
    let isHeard = false;
    const nowIdle = (waitsFor: Waiting | Paused): void => {
      if (idleFor(waitsFor) === found) return;
      found = idleFor(waitsFor);
      if (isTold) [idle, isHeard] = [Promise.withResolvers(), false];
      isTold = true;
      idle.resolve(waitsFor);
    };
    const check = (): void => void this.#whenIdle(id, nowIdle);
    result.catch(() => {});
    this.#rejects.set(id, reject);
    let isOver = false;
    const limitOf = (): string => this.#limitOf(id, team);

    const leave = async (): Promise<void> => {
      if (!this.#open.delete(id)) return;
      this.#waiters.delete(id);
      this.#rejects.delete(id);
      await this.#host.release(id);
      this.#hosted.delete(id);
      await lease.release();
      if (!isOver) reject(new TroupeError('RUN_LEFT', `this process hosts ${id} no longer; it can be resumed`));
    };
    const run: Run = {
      id,
      team,
      models,
      get limitNanos() {
        return limitOf();
      },
      result,
      get resultOrIdle() {
        if (isTold && isHeard) [idle, isTold] = [Promise.withResolvers(), false];
        isHeard = true;
        check();
        return Promise.race([result, idle.promise]);
      },
      cancel: (reason) => this.#host.tell(supervisorOf(id), clientOf(id), `${id}/cancel`, 'run.cancel', { reason }),
      leave,
    };
    this.#open.set(id, run);
    let live = fresh;
    const { promise: opened, resolve: open } = Promise.withResolvers<Failure | undefined>();
    this.#host.inbox(clientOf(id), (entry) => {
      if (live && entry.message.type === 'budget.threshold') this.#options.onThreshold?.(entry.message.data);
      if (entry.message.type === 'budget.opened') open(entry.message.data.failure);
      const ended = resultOf(id, entry, startedAt);
      if (!ended) return;
      isOver = true;
      // What is told of can be read again: the same answer, whatever happens next.
      void this.#options.bus
        .durable()
        .then(() => this.#keep(team, startedAt, ended))
        .then(() => resolve(ended), reject)
        .then(leave)
        .then(() => this.#forgetSnapshots(id));
    });
    this.#waiters.set(id, { run: id, check, approver: approverOf(id), account: accountOf(id, team), mayBeIdle: false });
    try {
      if (team.budget.account !== undefined) await this.#serve(team.budget.account);
      await this.#host.adopt(id, { fresh, lease });
      await stored; // an account answers nobody but runs that are there
      // A run that has ended opens none: its account may be closed and forgotten.
      if (team.budget.account !== undefined && this.#open.has(id)) await this.#openAccounts(id, team, opened);
    } catch (thrown) {
      await leave().catch(() => {}); // or this process would have it, and nobody a way to it
      throw thrown;
    }
    live = true;
    this.#mayBeIdle(this.#waiters.get(id));
    return run;
  }

  /** A run that was refused before its first message: nobody has heard of it. */
  async #forget(id: RunId, stored: Promise<unknown>): Promise<void> {
    try {
      await stored;
      await removeRun(this.#options.bus, { id, status: 'running' }, { force: true });
    } catch {
      // Whoever is told why it was refused has no use for this; what stays behind can be removed by hand.
    }
  }

  /** Serves a shared account, beside every other process that does; adopts it once, however many runs begin at the same moment. */
  #serve(account: string): Promise<void> {
    const unit = sharedUnit(account);
    let served = this.#serving.get(unit);
    if (!served) {
      served = this.#beginToServe(account, unit);
      this.#serving.set(unit, served);
      served.catch(() => this.#serving.delete(unit)); // it may be opened later
    }
    return served;
  }

  async #beginToServe(account: string, unit: string): Promise<void> {
    const { bus } = this.#options;
    const keeper = new AccountKeeper({ bus, host: this.#host, at: sharedAccount(account), ...(await servedAccount(bus, account)) });
    this.#shared.set(unit, keeper);
    await this.#host.adopt(unit);
    keeper.mayCut();
  }

  /** The run's accounts, below the shared one. Error: BUDGET_NOT_COVERED. */
  async #openAccounts(id: RunId, team: Team, opened: Promise<Failure | undefined>): Promise<void> {
    await this.#host.tell(accountOf(id, team), clientOf(id), `${id}/open`, 'budget.open', { accounts: accountsOf(id, team) });
    const refused = await opened;
    if (refused) throw new TroupeError(refused.code, refused.message, { details: refused.details });
  }

  /** Others have fenced this host, and have what it had: nobody is to wait for results that come elsewhere. */
  #lose(): void {
    for (const [run, reject] of this.#rejects) {
      reject(new TroupeError('RUN_LOST', `this process was silent for too long, and another one has taken ${run} over`, { retryable: true }));
    }
    const left = [...this.#open.values()].map((run) => run.leave());
    void Promise.all(left).then(() => this.#presence.rejoin().catch(() => {})); // a bus that is away is noticed by whoever uses it
  }

  #teamAt(at: Address): Team {
    const hosted = this.#hosted.get(runOf(at));
    if (!hosted) throw new TroupeError('RUN_LEFT', `${runOf(at)} is not hosted here any more`);
    return hosted.team;
  }

  #observe(seen: Observed): void {
    this.#options.observe?.(seen);
    const { run, address, definition } = seen.instance;
    const shared = this.#shared.get(run);
    shared?.see(seen);
    if (seen.replayed) return;
    if (shared) for (const id of new Set(this.#deskAt(address)?.paused.map(runOf))) this.#mayBeIdle(this.#waiters.get(id));
    const waiter = this.#waiters.get(run);
    if (waiter?.mayBeIdle === true || DECIDES_IDLE.has(definition.chart.name)) this.#mayBeIdle(waiter);
  }

  #mayBeIdle(waiter: Waiter | undefined): void {
    if (!waiter) return;
    waiter.mayBeIdle = this.#questionsAt(waiter.approver).length > 0 || this.#isPaused(waiter);
    if (waiter.mayBeIdle) waiter.check();
  }

  #questionsAt(approver: Address): readonly Question[] {
    const instance = this.#host.instance(approver);
    return instance ? Object.values((instance.state.snapshot.context as ApproverContext).open) : [];
  }

  #isPaused({ run, account }: Waiter): boolean {
    return this.#deskAt(account)?.paused.some((who) => runOf(who) === run) ?? false;
  }

  #deskAt(account: Address): Desk | undefined {
    const instance = this.#host.instance(account);
    return instance && (instance.state.snapshot.context as BudgetContext).desk;
  }

  #limitOf(id: RunId, team: Team): string {
    const desk = this.#deskAt(accountOf(id, team));
    const account = runAccount(id, team);
    return desk && get(desk.book.tree, account) ? figuresOf(desk.book, account).limitNanos : team.budget.limitNanos;
  }

  /** When all that is left to wait for is a person. */
  async #whenIdle(id: RunId, nowIdle: (idle: Waiting | Paused) => void): Promise<void> {
    await this.#host.settled(id);
    const busy = [...this.#host.instancesOf(id)].some(({ state }) => Object.keys(state.effects).length > 0);
    const waiter = this.#waiters.get(id);
    if (busy || !waiter) return;
    const questions = this.#questionsAt(waiter.approver);
    const desk = this.#deskAt(waiter.account);
    if (questions.length > 0) nowIdle({ status: 'waiting', run: id, questions });
    else if (desk && this.#isPaused(waiter))
      nowIdle({ status: 'paused', run: id, failure: desk.lastVeto!, spending: figuresOf(desk.book, runAccount(id, this.#open.get(id)!.team)) });
  }

  /** Into the session, before anybody hears of the end: the next run of it may follow at once. */
  async #keep({ session, task }: Team, at: number, { run, answer, status }: RunResult): Promise<void> {
    if (session && status === 'completed') await remember(this.#options.bus, session.name, { run, at, task, answer: answer! });
  }

  async #forgetSnapshots(id: RunId): Promise<void> {
    const { bus } = this.#options;
    try {
      for (const key of await bus.keys(`snapshot.${id}.`)) await bus.delete(key);
    } catch {
      // A cache: what stays behind is in nobody's way.
    }
  }
}
