/**
 * Agents as a process of their own: it plays some parts of a team, in whatever run of the team needs them, beside any number of
 * processes that play the same parts or the others (runtime/placement.ts). Runs that are hosted apart are started by whoever
 * writes their record and their first message (start.ts).
 */
import type { Bus, Entry } from '../bus/port.ts';
import { decode } from '../protocols/catalogue.ts';
import { failureOf, TroupeError } from '../protocols/failure.ts';
import { parseAddress, runOf, type Address, type RunId } from '../protocols/ids.ts';
import { systemClock, type Clock } from '../runtime/clock.ts';
import type { Definition } from '../runtime/fold.ts';
import { Host, type Observed } from '../runtime/host.ts';
import { Pace } from '../runtime/pace.ts';
import { Placement, type Part, type PlacementChange } from '../runtime/placement.ts';
import { pause, Presence } from '../runtime/presence.ts';
import { AccountKeeper } from './account-log.ts';
import { castTeam, clientOf, sharedAccount, sharedUnit, type Models } from './cast.ts';
import { newHostId } from './host-id.ts';
import { isRemoved, readRecord } from './run-record.ts';
import { resultOf } from './run-result.ts';
import { servedAccount } from './shared-account.ts';
import { externalAgents, leadOf, topologyOf, type Team } from './team.ts';
import { Workshop, type WorkshopOptions } from './workshop.ts';

/** How the part that grants a team's money is named beside its agents'. */
export const BUDGET_PART = 'budget/server';

export type ServiceOptions = Pick<WorkshopOptions, 'models' | 'tools'> & {
  readonly bus: Bus;
  readonly team: Team;
  /** Agents of the team, and `BUDGET_PART`. */
  readonly plays: readonly string[];
  /** Actors at once. */
  readonly concurrency: number;
  readonly version?: string;
  /** Of the process, unique for each start; one is made without it. */
  readonly id?: string;
  readonly clock?: Clock;
  readonly leaseMs?: number;
  readonly snapshotEvery?: number;
  readonly observe?: (seen: Observed) => void;
  readonly onChange?: (change: ServiceChange) => void;
  /** Only this run; without it, every run of the team. */
  readonly run?: RunId;
};

export type ServiceChange =
  | PlacementChange
  | { readonly kind: 'fenced' | 'back' | 'bus away' | 'bus back' }
  | { readonly kind: 'run ended'; readonly run: RunId };

type Known = { readonly team: Team; readonly definitionOf: (at: Address) => Definition | undefined };

/** Messages with which the life of an actor begins. */
const BIRTHS = new Set(['run.start', 'task.assign', 'review.request', 'peer.convene']);

/** What comes late for a run that has ended is folded; its actors are kept so long for more of it. */
const LATE_MS = 30_000;

/** Between two tries while the bus is away. */
const AGAIN_MS = 500;

/** Under `open.<run>`, as long as a run that is hosted apart has not ended. */
export const openKey = (run: RunId): string => `open.${run}`;

export class Service {
  readonly #options: ServiceOptions;
  readonly #models: Models;
  readonly #host: Host;
  readonly #presence: Presence;
  readonly #pace: Pace;
  readonly #placement: Placement;
  /** Runs that concern it, or not (`undefined`). */
  readonly #runs = new Map<RunId, Promise<Known | undefined>>();
  readonly #known = new Map<RunId, Known>();
  /** Runs that are being forgotten. */
  readonly #leaving = new Map<RunId, Promise<void>>();
  readonly #accounts = new Map<string, AccountKeeper>();
  #closing: Promise<void> | undefined;
  #shown: { stop(): void } | undefined;
  /** Calls whose end it has seen since it joined, and those of them that failed. */
  #calls = 0;
  #failedCalls = 0;
  /** Rejects when the bus is lost for good. */
  readonly failed: Promise<never>;

  private constructor(options: ServiceOptions, models: Models, clock: Clock, presence: Presence) {
    const { bus, observe, snapshotEvery = 50, plays, concurrency, onChange } = options;
    this.#options = options;
    this.#models = models;
    this.#presence = presence;
    this.#pace = new Pace({ bus, clock, hostId: presence.id });
    const workshop = new Workshop({ models: options.models, tools: options.tools, clock, pace: this.#pace });
    this.#host = new Host({
      bus,
      id: presence.id,
      clock,
      runners: workshop.runners((at) => this.#teamAt(at)),
      resolve: (at) => this.#accounts.get(runOf(at))?.definition ?? this.#known.get(runOf(at))?.definitionOf(at),
      unowned: (entry) => {
        if (isEnd(entry)) void this.#forget(runOf(entry.log as Address));
        else this.#placement.receive(entry);
      },
      ended: (at) => void this.#placement.ended(at),
      isRemoved: (run) => isRemoved(bus, run),
      snapshotEvery,
      observe: (seen) => {
        this.#count(seen);
        this.#accounts.get(runOf(seen.instance.address))?.see(seen);
        observe?.(seen);
      },
    });
    this.failed = this.#host.failed;
    const played = new Set(plays);
    this.#placement = new Placement({
      bus,
      clock,
      host: this.#host,
      presence,
      partOf: (at) => this.#partOf(at),
      plays: ({ team, agent }) => team === options.team.name && played.has(agent),
      concurrency,
      isBirth: (type) => BIRTHS.has(type),
      onChange: (change) => onChange?.(change),
    });
    presence.onFenced(() => void this.#comeBack());
  }

  /** Joins the bus and takes on what waits. Errors: AGENT_EXTERNAL, MODEL_NOT_READY (a model of an agent it plays cannot be called), ACCOUNT_UNKNOWN, BUS_*. */
  static async open(options: ServiceOptions): Promise<Service> {
    const { bus, team, plays, concurrency, version, run, id = newHostId(), clock = systemClock, leaseMs } = options;
    const external = externalAgents(team).find((name) => plays.includes(name));
    if (external !== undefined)
      throw new TroupeError('AGENT_EXTERNAL', `agent ${external} of team ${team.name} is external: a process that is not Troupe plays it`);
    const workshop = new Workshop({ models: options.models, tools: options.tools, clock });
    const models = workshop.chooseModels({ ...team, agents: Object.fromEntries(Object.entries(team.agents).filter(([name]) => plays.includes(name))) });
    const presence = await Presence.open({
      bus,
      clock,
      id,
      ...(leaseMs !== undefined && { leaseMs }),
      onReach: (reachable) => options.onChange?.({ kind: reachable ? 'bus back' : 'bus away' }),
      about: {
        serves: { team: team.name, hash: team.hash, agents: [...plays], concurrency, models, ...(run !== undefined && { run }) },
        ...(version !== undefined && { version }),
      },
    });
    const service = new Service(options, models, clock, presence);
    await service.#begin();
    return service;
  }

  get id(): string {
    return this.#presence.id;
  }

  /** Which its agents call, by agent, in the runs that are started while it is there. */
  get models(): Models {
    return this.#models;
  }

  /** Actors that it hosts and that have not ended. */
  get load(): number {
    return this.#placement.load;
  }

  /** Takes nothing on any more, lets what is under way end for `deadlineMs`, hands the rest over, and leaves the bus. */
  close(deadlineMs = 0): Promise<void> {
    this.#closing ??= (async () => {
      await this.#placement.drain(deadlineMs);
      this.#placement.close();
      this.#shown?.stop();
      await this.#host.stop();
      this.#pace.close();
      await this.#presence.close();
    })();
    return this.#closing;
  }

  async #begin(): Promise<void> {
    const { bus, plays, team, version } = this.#options;
    await this.#host.start('>');
    this.#shown = bus.present(
      { host: this.id, team: team.name, topology: team.hash, plays: plays.join(' '), ...(version !== undefined && { version }) },
      () => ({
        actors: this.load,
        inFlight: this.#host.inFlight,
        calls: this.#calls,
        failedCalls: this.#failedCalls,
      }),
    );
    this.#placement.start();
    const account = team.budget.account;
    if (account !== undefined && plays.includes(BUDGET_PART)) {
      const keeper = new AccountKeeper({ bus, host: this.#host, at: sharedAccount(account), ...(await servedAccount(bus, account)) });
      this.#accounts.set(sharedUnit(account), keeper);
      await this.#host.adopt(sharedUnit(account));
      keeper.mayCut();
    }
    await this.#findOpen();
    this.#placement.knowsAll();
  }

  #count({ entry: { message }, replayed }: Observed): void {
    if (replayed || (message.type !== 'effect.completed' && message.type !== 'effect.failed')) return;
    this.#calls++;
    if (message.type === 'effect.failed') this.#failedCalls++;
  }

  /** What is under way already. */
  async #findOpen(): Promise<void> {
    const { bus, run: only } = this.#options;
    for (const key of await bus.keys('open.')) {
      const run = key.slice('open.'.length) as RunId;
      if ((only !== undefined && run !== only) || !(await this.#knownRun(run))) continue;
      const logs = new Set<Address>();
      let hasEnded = false;
      for await (const entry of bus.read(`${run}.>`)) {
        logs.add(entry.log as Address);
        hasEnded ||= isEnd(entry);
      }
      if (hasEnded) await this.#forget(run);
      else for (const log of logs) this.#placement.find(log);
    }
  }

  /** Others took it for dead, and have what it had: it lets go, and takes part anew. */
  async #comeBack(): Promise<void> {
    const { clock = systemClock, onChange } = this.#options;
    onChange?.({ kind: 'fenced' });
    await this.#placement.letAllGo();
    while (this.#closing === undefined) {
      try {
        await this.#presence.rejoin();
        onChange?.({ kind: 'back' });
        return await this.#findOpen();
      } catch (thrown) {
        if (!failureOf(thrown).retryable) return; // the bus is gone for good: `failed` says so
        await pause(clock, AGAIN_MS);
      }
    }
  }

  async #partOf(at: Address): Promise<Part | undefined> {
    const { run, role, agent } = parseAddress(at);
    const known = await this.#knownRun(run);
    if (!known) return undefined;
    const { name: team, topology, budget } = known.team;
    switch (role) {
      case 'supervisor':
        return partOfLead(known.team, agent);
      case 'approver':
        return { team, agent: leadOf(topology), shared: true };
      case 'budget':
        return budget.account === undefined ? { team, agent: BUDGET_PART, shared: true } : undefined;
      default:
        return agent === undefined ? undefined : { team, agent, shared: false };
    }
  }

  async #knownRun(run: RunId): Promise<Known | undefined> {
    await this.#leaving.get(run);
    let known = this.#runs.get(run);
    if (!known) {
      known = this.#lookUp(run);
      this.#runs.set(run, known);
      known.catch(() => this.#runs.delete(run)); // the bus is away; it is asked again
    }
    return known;
  }

  async #lookUp(run: RunId): Promise<Known | undefined> {
    const { bus, team: own, run: only, clock = systemClock } = this.#options;
    if (only !== undefined && run !== only) return undefined;
    const [stored, open] = await Promise.all([bus.get(`run.${run}`), bus.get(openKey(run))]);
    if (!stored) return undefined;
    const record = readRecord(run, stored.value);
    const { team, models, hosting } = record;
    if (hosting !== 'apart' || team.name !== own.name) return undefined;
    const known: Known = { team, definitionOf: castTeam(run, team, models) };
    this.#known.set(run, known);
    if (!open) clock.after(LATE_MS, () => void this.#forget(run));
    return known;
  }

  #teamAt(at: Address): Team {
    const known = this.#known.get(runOf(at));
    if (!known) throw new TroupeError('RUN_LEFT', `${runOf(at)} is not hosted here any more`);
    return known.team;
  }

  /** Nothing of the run is taken on before it is forgotten; what comes after that is looked at anew. */
  #forget(run: RunId): Promise<void> {
    const leaving = this.#leaving.get(run) ?? this.#leave(run).finally(() => this.#leaving.delete(run));
    this.#leaving.set(run, leaving);
    return leaving;
  }

  async #leave(run: RunId): Promise<void> {
    const { bus, onChange } = this.#options;
    if (this.#known.has(run)) {
      await this.#placement.dismiss((unit) => unit.startsWith(`${run}.`));
      await bus.delete(openKey(run)).catch(() => {});
      onChange?.({ kind: 'run ended', run });
    }
    this.#known.delete(run);
    this.#runs.delete(run);
  }
}

/** A team inside the run's is played by whoever plays the agent that leads it. */
const partOfLead = (team: Team, within: string | undefined): Part | undefined => {
  const lead = within === undefined ? leadOf(team.topology) : topologyOf(team, within)?.supervisor;
  return lead === undefined ? undefined : { team: team.name, agent: lead, shared: false };
};

const isEnd = ({ log, envelope, at }: Entry): boolean => {
  const run = runOf(log as Address);
  if (log !== clientOf(run)) return false;
  const decoded = decode(envelope);
  return decoded.ok && resultOf(run, { message: decoded.message, at }, at) !== undefined;
};
