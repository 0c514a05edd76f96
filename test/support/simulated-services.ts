/**
 * A team in a simulated world whose parts are played by many processes, each the real one (topology/service.ts). Its model and
 * its tool are those of company.ts, and every call that is paid is looked at when it is made.
 */
import { z } from 'zod';
import { ModelError, type ModelAdapter } from '../../src/capabilities/model/port.ts';
import type { Tool } from '../../src/capabilities/tool/port.ts';
import { failureOf } from '../../src/protocols/failure.ts';
import type { Grant } from '../../src/protocols/grant.ts';
import { address, effectOfGrant, type Address, type RunId } from '../../src/protocols/ids.ts';
import { tokensCost } from '../../src/protocols/money.ts';
import { castTeam, clientOf, supervisorOf, type Models } from '../../src/topology/cast.ts';
import { chartVersions } from '../../src/topology/charts.ts';
import { parseTeam } from '../../src/topology/parse.ts';
import { resolveTeam } from '../../src/topology/resolve.ts';
import type { RunRecord } from '../../src/topology/run-record.ts';
import { openKey, Service } from '../../src/topology/service.ts';
import type { Team } from '../../src/topology/team.ts';
import { answer, Provider } from './company.ts';
import { LEARNS, Process, type World } from './simulation.ts';

const FILE = `name: company
task: What do the pages say?
models:
  default: [book/keeper]
prices:
  book/keeper: { input: 0.1, output: 0.08 }
agents:
  lead: { kind: supervisor, role: a lead }
  reader: { kind: worker, role: a reader, tools: [look_up], limits: { attempts: 9 } }
  checker: { kind: reviewer, role: a checker }
topology:
  kind: centralised
  supervisor: lead
  reviewer: checker
  workers: [reader]
  concurrency: 2
  review_rounds: 1
budget:
  limit: 0.02
`;

export const team: Team = resolveTeam(parseTeam(FILE, 'company.yaml').file, { folders: [], texts: new Map() });
export const models: Models = { lead: 'book/keeper', reader: 'book/keeper', checker: 'book/keeper' };

export const LEASE_MS = 3_000;
const INPUT_TOKENS = 10;
const [INPUT_NANOS, OUTPUT_NANOS] = [100_000_000n, 80_000_000n];

/** What a process plays, and how much of it at once. */
export type Casting = { readonly plays: readonly string[]; readonly concurrency: number };

/** One process of the team's. */
export type Player = { readonly process: Process; readonly casting: Casting; service: Service | undefined; draining: boolean };

export class Company {
  readonly world: World;
  readonly provider = new Provider();
  /** What must not be, as it was seen. */
  readonly wrong: string[] = [];
  readonly players: Player[] = [];
  #started = 0;

  constructor(world: World) {
    this.world = world;
  }

  /** One of those that are there; more often than not one that has work in its hands, or is about to make a call. */
  someone(): Player {
    const { world, alive } = this;
    const busy = alive.filter(({ service }) => (service?.load ?? 0) > 0);
    const calling = alive.filter(({ process }) => world.isAbout(process, LEARNS));
    const among = [alive, busy, calling].filter((players) => players.length > 0);
    const chosen = among[world.pick(among.length)]!;
    return chosen[world.pick(chosen.length)]!;
  }

  get alive(): Player[] {
    return this.players.filter(({ process }) => process.alive);
  }

  /** Another process joins the team. One that cannot, or loses the bus for good, is gone, and is followed by the next. */
  start(casting: Casting): Player {
    const process = new Process(this.world, `p${++this.#started}`);
    const player: Player = { process, casting, service: undefined, draining: false };
    this.players.push(player);
    const end = (why: unknown): void => {
      this.world.history.push(`${process.name} ends: ${String(why)}`);
      if (!failureOf(why).retryable) this.wrong.push(`${process.name} ends: ${String(why)}`);
      this.replace(player);
    };
    Service.open({
      bus: process.bus,
      id: process.name,
      clock: process.clock,
      team,
      ...casting,
      models: [this.#model(process)],
      tools: [lookUp],
      leaseMs: LEASE_MS,
      snapshotEvery: 3,
    }).then((service) => {
      player.service = service;
      service.failed.catch(end);
    }, end);
    return player;
  }

  /** As kill -9, and whoever watches over it starts another one. */
  replace({ process, casting }: Player): void {
    if (!process.alive) return;
    this.world.kill(process);
    this.start(casting);
  }

  /** As SIGTERM: it hands over what it has, and another one takes its place, before it goes or after. */
  drain(player: Player, deadlineMs: number): void {
    const { process, casting, service } = player;
    if (!service || player.draining) return;
    player.draining = true;
    const isFollowed = this.world.pick(2) === 0;
    if (!isFollowed) this.start(casting);
    const end = (): void => (isFollowed ? this.replace(player) : this.world.kill(process));
    service.close(deadlineMs).then(end, (why: unknown) => {
      this.wrong.push(`${process.name} does not end: ${String(why)}`);
      end();
    });
  }

  submit(run: RunId): void {
    const { world } = this;
    const record: RunRecord = { team, models, startedAt: world.now, hosting: 'apart', charts: chartVersions };
    world.change(`run.${run}`, JSON.stringify(record), 0);
    world.change(openKey(run), team.name, 0);
    world.put(supervisorOf(run), { id: `${run}/start`, type: 'run.start', v: 1, from: clientOf(run), time: world.now, data: { goal: team.task } });
  }

  /** Every effect that was paid for, by actor. */
  effects(): Record<string, number> {
    const effects = new Set(this.provider.calls.map(({ grant }) => effectOfGrant(grant).effect));
    const byActor: Record<string, number> = {};
    for (const effect of effects) {
      const actor = effect.slice(0, effect.indexOf('/'));
      byActor[actor] = (byActor[actor] ?? 0) + 1;
    }
    return byActor;
  }

  #model(process: Process): ModelAdapter {
    const { world, provider } = this;
    return {
      provider: 'book',
      inputTokenBound: () => INPUT_TOKENS,
      call: async (request, grant, { signal }) => {
        grant.use(world.now);
        this.#look(process, grant);
        const said = answer(request);
        const outputTokens = Math.min(grant.maxTokens, said.text.length);
        const usage = { inputTokens: INPUT_TOKENS, outputTokens, cachedInputTokens: 0, reasoningTokens: 0 };
        const actor = actorOf(grant);
        provider.bill(grant, actor, tokensCost(INPUT_TOKENS, INPUT_NANOS) + tokensCost(outputTokens, OUTPUT_NANOS));
        await new Promise<void>((resolve) => world.later(process, `${process.name} is answered for ${actor}`, resolve));
        if (signal.aborted) throw new ModelError('MODEL_ABORTED', 'stopped', { billing: usage, retryable: false });
        return { ...said, usage, model: request.model };
      },
    };
  }

  /**
   * At the very moment of a call: the log had no result when the call was claimed (H3), its grant is new, and its caller is on
   * record and has the lease (L3). A result that a host which was cut off had kept may come after the claim: nobody can know it.
   */
  #look(process: Process, grant: Grant): void {
    const { world, provider } = this;
    const { effect, attempt } = effectOfGrant(grant.id);
    const actor = actorOf(grant);
    const note = (what: string): void => void this.wrong.push(`${world.now} ${process.name} calls for ${grant.id}: ${what}`);
    const ofEffect = world.log.filter(({ log, envelope }) => log === actor && envelope.data['effect'] === effect);
    const claimed = ofEffect.find(({ envelope: { type, data } }) => type === 'effect.claimed' && data['attempt'] === attempt);
    if (claimed?.envelope.data['host'] !== process.name) note('it is not its claim');
    if (ofEffect.some(({ position, envelope }) => envelope.type === 'effect.completed' && position < claimed!.position)) note('its result is recorded');
    if (provider.calls.some((call) => call.grant === grant.id)) note('its grant was used');
    if (!world.store.has(`host.${process.name}`)) note('its caller was fenced');
    const owner = world.store.get(`lease.${actor}`)?.value;
    if (owner !== process.name) note(`${owner ?? 'nobody'} has the lease`);
  }
}

export const accountOf = (run: RunId): Address => address(run, 'budget');
export const definitionsOf = (run: RunId) => castTeam(run, team, models);

const actorOf = ({ id }: Grant): Address => id.slice(0, id.indexOf('/')) as Address;

const lookUp: Tool = {
  name: 'look_up',
  description: 'gives a page',
  input: z.object({ page: z.string() }),
  timeoutMs: 600_000,
  readOnly: true,
  run: async (input) => `page ${String(input['page'])}`,
  render: String,
};
