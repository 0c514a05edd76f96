/** `troupe chart`: an actor's chart as it runs, or a team, as a picture; with a run, what became of it there. */
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { extname } from 'node:path';
import { actorDrawing } from '../observe/actor-drawing.ts';
import { chartJson } from '../observe/chart-json.ts';
import { pictureOf, type Picture } from '../observe/picture/picture.ts';
import type { ThemeName } from '../observe/picture/theme.ts';
import { followTrail } from '../observe/trail.ts';
import { TroupeError } from '../protocols/failure.ts';
import { parseAddress, RunId, type Address } from '../protocols/ids.ts';
import { saidBy } from '../protocols/json-schema.ts';
import { charts } from '../topology/charts.ts';
import { replay } from '../topology/replay.ts';
import { EXIT, print, printJson } from './exit.ts';
import { loadRecording, position } from './replay.ts';
import { runPicture, teamPicture, type TeamPictureOptions } from './team-picture.ts';

const FORMATS = ['svg', 'png', 'mermaid', 'dot', 'json'] as const;
type Format = (typeof FORMATS)[number];

export type ChartOptions = TeamPictureOptions & {
  readonly format?: Format;
  readonly theme: ThemeName;
  readonly out?: string;
  readonly json: boolean;
};

export const chart = async (what: string | undefined, options: ChartOptions): Promise<number> => {
  if (what === undefined) {
    const names = Object.keys(charts);
    if (options.json) printJson({ charts: names });
    else print(names.join('\n'));
    return EXIT.done;
  }
  const picture = await pictureFor(what, options);
  if (options.json) printJson({ chart: what, mermaid: picture.mermaid() });
  else await write(picture, options);
  return EXIT.done;
};

/** `what`: a team file, a run or a recording of one, or an actor. */
const pictureFor = (what: string, options: ChartOptions): Promise<Picture> => {
  if (RunId.safeParse(what).success || what.endsWith('.jsonl')) {
    if (options.run !== undefined) throw new TroupeError('USAGE', `${what} is a run already: leave out --run`);
    return runPicture(what, options);
  }
  if (existsSync(what) && statSync(what).isFile()) return teamPicture(what, options);
  if (options.as !== undefined) throw new TroupeError('USAGE', `--as ${options.as}: expected a team file or a run, found "${what}"`);
  return actorPicture(what, options);
};

/** `what`: an actor, or one that a run has, as `ps --run` lists it: `worker`, `worker.writer`, `worker.writer.draft`. */
const actorPicture = async (what: string, { run, at, bus }: ChartOptions): Promise<Picture> => {
  const name = what.split('.')[0]!;
  if (!Object.hasOwn(charts, name)) {
    throw new TroupeError('CHART_UNKNOWN', `no actor, team file or run is called "${what}"; the actors are ${Object.keys(charts).join(', ')}`);
  }
  const { machine } = charts[name as keyof typeof charts];
  const actor = { machine, says: saidBy(name) };
  if (run === undefined) {
    if (at !== undefined || name !== what) throw new TroupeError('USAGE', `${at === undefined ? what : `--at ${at}`}: of which run? Add --run <run>`);
    return pictureOf(actorDrawing(actor), () => chartJson(machine));
  }
  const recording = await loadRecording(run, bus);
  const upTo = position(at);
  const isMeant = (address: Address): boolean => `${partOf(address)}.`.startsWith(`${what}.`);
  const trail = followTrail(isMeant, (observe) => replay(recording, upTo, observe));
  if (trail.actors.size === 0) {
    const there = [...new Set(replay(recording).actors.map(({ address }) => partOf(address)))];
    throw new TroupeError('CHART_UNKNOWN', `run ${recording.run} has no ${what}${at === undefined ? '' : ` up to entry ${at}`}; it has ${there.join(', ')}`);
  }
  const title = upTo === undefined ? recording.run : `${recording.run}, up to entry ${upTo}`;
  return pictureOf(actorDrawing({ ...actor, trail, run: title }), () => ({
    chart: chartJson(machine),
    run: recording.run,
    actors: Object.fromEntries([...trail.actors].map(([address, { value }]) => [address, value])),
    entered: [...trail.entered],
  }));
};

const partOf = (address: Address): string => {
  const { role, agent, key } = parseAddress(address);
  return [role, agent, key].filter((part) => part !== undefined).join('.');
};

const write = async (picture: Picture, { format, theme, out }: ChartOptions): Promise<void> => {
  const content = await inFormat(picture, format ?? formatOf(out), theme);
  if (out !== undefined) save(out, content);
  else if (typeof content === 'string') print(content.trimEnd());
  else if (process.stdout.isTTY) throw new TroupeError('USAGE', '--format png: expected a file, add -o <file>');
  else process.stdout.write(content);
};

const save = (file: string, content: string | Buffer): void => {
  try {
    writeFileSync(file, content);
  } catch (cause) {
    throw new TroupeError('CHART_UNWRITABLE', `--out ${file}: ${(cause as Error).message}`, { cause });
  }
};

const inFormat = async (picture: Picture, format: Format, theme: ThemeName): Promise<string | Buffer> => {
  switch (format) {
    case 'svg':
      return picture.svg(theme);
    case 'png': {
      const { pngOf } = await import('../observe/picture/png.ts');
      return pngOf(await picture.svg(theme));
    }
    case 'mermaid':
      return picture.mermaid();
    case 'dot':
      if (picture.dot) return picture.dot();
      throw new TroupeError('USAGE', '--format dot: a conversation is no graph; expected svg, png, mermaid or json');
    case 'json':
      return `${JSON.stringify(picture.json(), null, 2)}\n`;
  }
};

/** From the name of the file. */
const formatOf = (out: string | undefined): Format => {
  const extension = out === undefined ? '' : extname(out).slice(1);
  if (extension === 'mmd') return 'mermaid';
  return FORMATS.find((format) => format === extension) ?? 'mermaid';
};
