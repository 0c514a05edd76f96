/**
 * A run as others see it who host nothing of it: its logs folded as they come, in the order of the bus. Nothing is performed, so
 * whoever watches sees what the hosts do and changes nothing.
 */
import type { ApproverContext } from '../actors/approver/machine.ts';
import { figuresOf, type Desk } from '../actors/budget/desk.ts';
import type { BudgetContext } from '../actors/budget/machine.ts';
import type { Bus, Entry } from '../bus/port.ts';
import { decode } from '../protocols/catalogue.ts';
import { runOf, type Address, type RunId } from '../protocols/ids.ts';
import type { Observed } from '../runtime/host.ts';
import { Instance, type Retired } from '../runtime/instance.ts';
import { accountOf, approverOf, castTeam, clientOf, runAccount } from './cast.ts';
import { recordOf } from './remote.ts';
import type { RunRecord } from './run-record.ts';
import { resultOf, type RunResult } from './run-result.ts';
import { sharedDefinition } from './shared-account.ts';
import type { Paused, Threshold, Waiting } from './start.ts';

export type RunWatch = {
  readonly run: RunId;
  readonly record: RunRecord;
  /** Resolves when all that was in the run's logs when the watch began has been seen. */
  readonly caughtUp: Promise<void>;
  readonly result: Promise<RunResult>;
  /** As `result`, or that for a while nothing has been left to do until a person answers or raises the limit. */
  readonly resultOrIdle: Promise<RunResult | Waiting | Paused>;
  /** Its end, if that has been seen. */
  end(): RunResult | undefined;
  /** What keeps it from going on, as things stand. */
  idle(): Waiting | Paused | undefined;
  /** Its actors that have begun. */
  actors(): readonly WatchedActor[];
  stop(): void;
};

export type WatchedActor = { readonly address: Address; readonly state: unknown; readonly ended: boolean; /** Calls under way. */ readonly effects: number };

export type WatchOptions = {
  /** Sees each step; not those of an account that the run shares with others. */
  readonly see?: (seen: Observed) => void;
  readonly onThreshold?: (reached: Threshold) => void;
};

/** Without a word for so long, a run that waits for a person has nothing else to do: its hosts may still have been about to speak. */
const QUIET_MS = 500;

/** Errors: RUN_UNKNOWN, RUN_UNREADABLE, RUN_VERSION, ACCOUNT_UNKNOWN. */
export const watchRun = async (bus: Bus, id: string, { see = () => {}, onThreshold = () => {} }: WatchOptions = {}): Promise<RunWatch> => {
  const { id: run, ...record } = await recordOf(bus, id);
  const { team, models, startedAt } = record;
  const cast = castTeam(run, team, models);
  const account = accountOf(run, team);
  const shared = team.budget.account === undefined ? undefined : await sharedDefinition(bus, team.budget.account);
  const client = clientOf(run);

  const actors = new Map<Address, Instance | Retired>();
  const ended = new Map<Address, unknown>();
  const { promise: result, resolve } = Promise.withResolvers<RunResult>();
  const { promise: whenIdle, resolve: nowIdle } = Promise.withResolvers<Waiting | Paused>();
  let end: RunResult | undefined;
  let isCaughtUp = false;
  let quiet: NodeJS.Timeout | undefined;

  const idle = (): Waiting | Paused | undefined => {
    if ([...actors.values()].some((actor) => actor instanceof Instance && actor.address !== account && Object.keys(actor.state.effects).length > 0)) return;
    const approver = contextOf<ApproverContext>(actors.get(approverOf(run)));
    const questions = Object.values(approver?.open ?? {});
    if (questions.length > 0) return { status: 'waiting', run, questions };
    const desk = contextOf<BudgetContext>(actors.get(account))?.desk;
    return desk && pausedBy(desk, run) ? { status: 'paused', run, failure: desk.lastVeto!, spending: figuresOf(desk.book, runAccount(run, team)) } : undefined;
  };
  const listen = (): void => {
    clearTimeout(quiet);
    if (!isCaughtUp || idle() === undefined) return;
    quiet = setTimeout(() => {
      const stands = idle();
      if (stands) nowIdle(stands);
    }, QUIET_MS);
  };

  const take = ({ log, position, at, envelope }: Entry): void => {
    const address = log as Address;
    const decoded = decode(envelope);
    if (!decoded.ok) return;
    const entry = { position, at, id: envelope.id, from: envelope.from, message: decoded.message };
    if (address === client) {
      if (entry.message.type === 'budget.threshold') onThreshold(entry.message.data);
      end ??= resultOf(run, entry, startedAt);
      return end && resolve(end);
    }
    const definition = address === account ? (shared ?? cast(address)) : cast(address);
    if (!definition) return;
    const actor = actors.get(address) ?? Instance.begin(address, definition, at)[0];
    actors.set(address, actor);
    const outputs = actor.apply(entry);
    if (!(actor instanceof Instance)) return;
    if (runOf(address) === run) see({ instance: actor, entry, outputs, replayed: !isCaughtUp });
    if (actor.ended) {
      ended.set(address, actor.state.snapshot.value);
      actors.set(address, actor.retire());
    }
    listen();
  };

  const followings = [bus.follow(`${run}.>`, 0, take), ...(shared ? [bus.follow(account, 0, take)] : [])];
  const caughtUp = Promise.all(followings.map((following) => following.caughtUp)).then(() => {
    isCaughtUp = true;
    listen();
  });
  return {
    run,
    record,
    caughtUp,
    result,
    resultOrIdle: Promise.race([result, whenIdle]),
    end: () => end,
    idle,
    actors: () =>
      [...actors]
        .filter(([address]) => runOf(address) === run)
        .map(([address, actor]) =>
          actor instanceof Instance
            ? { address, state: actor.state.snapshot.value, ended: false, effects: Object.keys(actor.state.effects).length }
            : { address, state: ended.get(address), ended: true, effects: 0 },
        ),
    stop: () => {
      clearTimeout(quiet);
      for (const following of followings) following.stop();
    },
  };
};

const contextOf = <T>(actor: Instance | Retired | undefined): T | undefined => (actor instanceof Instance ? (actor.state.snapshot.context as T) : undefined);

const pausedBy = ({ paused }: Desk, run: RunId): boolean => paused.some((who) => runOf(who) === run);
