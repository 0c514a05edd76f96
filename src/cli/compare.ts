/** `troupe compare`: the same agents and the same task under several topologies, one after the other, and what each came to. */
import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import { openBus } from '../bus/open.ts';
import { failureOf, TroupeError } from '../protocols/failure.ts';
import { mismatches } from '../protocols/mismatch.ts';
import { formatDollars } from '../protocols/money.ts';
import type { Observed } from '../runtime/host.ts';
import { checkTeam } from '../topology/check.ts';
import { loadTeam } from '../topology/load.ts';
import { showPath } from '../topology/problem.ts';
import { resolveTeam } from '../topology/resolve.ts';
import { TeamFile } from '../topology/schema.ts';
import { standardCatalogue, standardModels, standardTools } from '../topology/standard.ts';
import { Troupe } from '../topology/start.ts';
import type { Team } from '../topology/team.ts';
import { EXIT, failureJson, print, printJson, say } from './exit.ts';
import { oneLine } from './redact.ts';

export type CompareOptions = {
  readonly topologies: string;
  readonly input?: Readonly<Record<string, string>>;
  readonly budget?: string;
  readonly bus: string;
  readonly json: boolean;
};

type Row = {
  readonly topology: string;
  readonly run: string;
  readonly status: string;
  readonly answer?: string;
  readonly failure?: ReturnType<typeof failureJson>;
  readonly spentNanos: string;
  readonly durationMs: number;
  readonly messages: number;
  readonly modelCalls: number;
};

/** Errors: as those of `loadTeam` and `resolveTeam`; TOPOLOGY_UNUSABLE (a topology cannot be read, or does not fit the agents). Ends with 1 when a run failed. */
export const compare = async (path: string, task: string | undefined, options: CompareOptions): Promise<number> => {
  const { json, input, budget } = options;
  const catalogue = standardCatalogue();
  const loaded = await loadTeam(path, { cwd: process.cwd(), catalogue, ...(input && { inputs: input }), budget });
  const names = options.topologies.split(',').map((name) => name.trim());
  // All of them before the first: a mistake in the last one is not found after the others were paid for.
  const teams = await Promise.all(
    names.map(async (name) => {
      const file = { ...loaded.file, topology: await topologyOf(loaded.file, name) };
      const [mistake] = checkTeam(file, catalogue).filter(({ severity }) => severity !== 'warning');
      if (mistake) throw new TroupeError('TOPOLOGY_UNUSABLE', `topology ${name}: ${showPath(mistake.path)}: ${mistake.message}`);
      return resolveTeam(file, loaded.inputs, task);
    }),
  );
  const rows: Row[] = [];
  for (const [index, team] of teams.entries()) {
    const row = await runOnce(names[index]!, team, options);
    if (!json) say(`${row.topology}: ${row.status} in ${(row.durationMs / 1000).toFixed(1)} s, run ${row.run}`);
    rows.push(row);
  }
  if (json) printJson({ team: loaded.file.name, task: teams[0]!.task, runs: rows });
  else print(table(rows));
  return rows.every(({ status }) => status === 'completed') ? EXIT.done : EXIT.failed;
};

/** The file's own by its kind, one that follows from the agents, or the `topology` block of another file. */
const topologyOf = async (file: TeamFile, name: string): Promise<TeamFile['topology']> => {
  if (name === file.topology.kind) return file.topology;
  const block = madeOf(file, name) ?? (await blockIn(name));
  const parsed = TeamFile.shape.topology.safeParse(block);
  if (parsed.success) return parsed.data;
  throw new TroupeError('TOPOLOGY_UNUSABLE', `topology ${name}: ${mismatches(parsed.error, block, 'topology')}`);
};

/** The plainest topology of a kind with all the agents that the file has for it. */
const madeOf = ({ agents }: TeamFile, kind: string): unknown => {
  const ofKind = (wanted: string): string[] => Object.keys(agents).filter((name) => agents[name]!.kind === wanted);
  const lead = (): string => {
    const [supervisor] = ofKind('supervisor');
    if (supervisor === undefined) throw new TroupeError('TOPOLOGY_UNUSABLE', `topology ${kind}: no agent of kind supervisor`);
    return supervisor;
  };
  const [reviewer] = ofKind('reviewer');
  const workers = ofKind('worker');
  switch (kind) {
    case 'centralised':
      return { kind, supervisor: lead(), workers, ...(reviewer !== undefined && { reviewer }) };
    case 'workflow':
      return {
        kind,
        supervisor: lead(),
        ...(reviewer !== undefined && { reviewer }),
        steps: workers.map((agent) => ({ id: agent, agent, task: 'Answer the question.' })),
      };
    case 'router':
      return {
        kind,
        supervisor: lead(),
        ...(reviewer !== undefined && { reviewer }),
        routes: workers.map((agent) => ({ agent, when: agents[agent]!.role })),
        ...(workers[0] !== undefined && { fallback: workers[0] }),
      };
    case 'peers':
      return { kind, peers: workers, protocol: 'debate' };
    default:
      return undefined;
  }
};

const blockIn = async (path: string): Promise<unknown> => {
  try {
    const value = parse(await readFile(path, 'utf8'), { merge: true }) as { topology?: unknown };
    return value.topology ?? value;
  } catch (cause) {
    throw new TroupeError(
      'TOPOLOGY_UNUSABLE',
      `topology ${path}: expected centralised, workflow, router, peers or a file with a topology; ${failureOf(cause).message}`,
      { cause },
    );
  }
};

const runOnce = async (topology: string, team: Team, { bus: address }: CompareOptions): Promise<Row> => {
  let messages = 0;
  let modelCalls = 0;
  const observe = ({ entry: { message }, replayed }: Observed): void => {
    if (replayed) return;
    const isOwn = message.type.startsWith('effect.') || message.type === 'timer.fired';
    if (!isOwn) messages++;
    if ((message.type === 'effect.completed' || message.type === 'effect.failed') && message.data.bill && message.data.bill.kind !== 'tool') modelCalls++;
  };
  const bus = await openBus(address);
  const troupe = await Troupe.open({ bus, models: standardModels(), tools: standardTools(), observe });
  try {
    const begun = Date.now();
    const run = await troupe.start(team);
    const ended = await run.resultOrIdle;
    const shared = { topology, run: run.id, status: ended.status, messages, modelCalls };
    if (ended.status === 'waiting') return { ...shared, spentNanos: '0', durationMs: Date.now() - begun };
    if (ended.status === 'paused')
      return { ...shared, spentNanos: ended.spending.spentNanos, durationMs: Date.now() - begun, failure: failureJson(ended.failure) };
    const { answer, failure, spending, durationMs } = ended;
    return {
      ...shared,
      ...(answer !== undefined && { answer }),
      ...(failure && { failure: failureJson(failure) }),
      spentNanos: spending?.spentNanos ?? '0',
      durationMs,
    };
  } finally {
    await troupe.close();
    await bus.close();
  }
};

const ANSWER_CHARS = 60;

const table = (rows: readonly Row[]): string => {
  const cells = [
    ['topology', 'status', 'cost', 'time', 'messages', 'model calls', 'answer'],
    ...rows.map(({ topology, status, spentNanos, durationMs, messages, modelCalls, answer, failure }) => [
      topology,
      status,
      formatDollars(BigInt(spentNanos)),
      `${(durationMs / 1000).toFixed(1)} s`,
      `${messages}`,
      `${modelCalls}`,
      shortened(oneLine(answer ?? failure?.code ?? '')),
    ]),
  ];
  const widths = cells[0]!.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)));
  return cells
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
};

const shortened = (text: string): string => (text.length <= ANSWER_CHARS ? text : `${text.slice(0, ANSWER_CHARS - 1)}…`);
