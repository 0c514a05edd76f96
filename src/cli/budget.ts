/** `troupe budget`: a run's accounts and its ledger, and what people may do about them. */
import { readFile, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { TroupeError } from '../protocols/failure.ts';
import { parseAddress, type Address } from '../protocols/ids.ts';
import { BEGINNING, breakdown, firstBreak, parseLine, type LedgerLine } from '../protocols/ledger.ts';
import { formatDollars, parseDollars } from '../protocols/money.ts';
import { openSharedAccount } from '../topology/shared-account.ts';
import { accountsIn, booksOf, cutAccount, freezeBudget, raiseBudget, verifyLedger, type Books } from '../topology/remote.ts';
import { EXIT, print, printJson, say } from './exit.ts';
import { resumeCommand } from './next-command.ts';
import { withBus } from './with-bus.ts';

type OnBus = { readonly bus: string };
type Shown = OnBus & { readonly json: boolean };
type ByHand = Shown & { readonly account?: string; readonly why: string };

/** For a file that was named beside a command. */
const unusable =
  (option: string, file: string) =>
  (cause: Error): never => {
    throw new TroupeError('LEDGER_FILE_UNUSABLE', `${option} ${file}: ${cause.message}`, { cause });
  };

const hand = (why: string) => ({ by: userInfo().username, why });

/** Of whole dollars: more than an amount may have. */
const TOO_MANY_DIGITS = /^\$?\d{13,}(\.\d+)?$/;

const dollars = (text: string): bigint => {
  const nanos = parseDollars(text);
  if (TOO_MANY_DIGITS.test(text.trim())) throw new TroupeError('USAGE', `an amount of ${text} dollars is too large: expected less than 1000000000000`);
  if (nanos === undefined || nanos === 0n) throw new TroupeError('USAGE', `expected an amount in dollars such as 0.50, found "${text}"`);
  return nanos;
};

const howToGoOn = (name: string, bus: string): string =>
  `if nothing hosts ${name.startsWith('r-') ? 'the run' : 'a run that paused'}: ${resumeCommand(name.startsWith('r-') ? name : '<run>', bus)}`;

const inUnits = (measure: string, amount: bigint): string => {
  if (measure === 'money') return formatDollars(amount);
  return measure === 'seconds' ? `${Number(amount) / 1_000} s` : `${amount} ${measure.replace('_', ' ')}`;
};

export const open = (
  account: string,
  amount: string,
  { bus, per, cutAfter, json }: Shown & { readonly per?: 'hour' | 'day' | 'month'; readonly cutAfter?: number },
): Promise<number> =>
  withBus(bus, async (opened) => {
    const limits = [{ measure: 'money' as const, amount: dollars(amount).toString(), window: per ?? ('total' as const) }];
    await openSharedAccount(opened, {
      account: { id: account, limits },
      onExhausted: 'pause',
      orphans: 'charge',
      grantMs: 180_000,
      waitMs: 60_000,
      ...(cutAfter !== undefined && { cutAfter }),
    });
    if (json) printJson({ account, limitNanos: dollars(amount), window: per ?? 'total' });
    else
      say(
        `${account} is open, with ${formatDollars(dollars(amount))}${per === undefined ? '' : ` a ${per}`}; a team uses it with budget: { account: ${account}, limit: ... }`,
      );
    return EXIT.done;
  });

export const show = (run: string, { bus, json }: Shown): Promise<number> =>
  withBus(bus, async (open) => {
    const books = await booksOf(open, run);
    const accounts = accountsIn(books);
    if (json) {
      printJson({ account: run, accounts });
      return EXIT.done;
    }
    for (const { id, parent, state, sliceNanos, limits, spentNanos, heldNanos } of accounts) {
      const kind = sliceNanos === undefined ? '' : `, a slice of ${formatDollars(sliceNanos)}`;
      print(`${parent === undefined ? '' : '  '}${id}  ${state}${kind}  spent ${formatDollars(spentNanos)}, held ${formatDollars(heldNanos)}`);
      for (const { measure, window, amount, spent, held } of limits) {
        print(
          `${parent === undefined ? '' : '  '}  at most ${inUnits(measure, amount)}${window === 'total' ? '' : ` a ${window}`}: ${inUnits(measure, spent)} spent, ${inUnits(measure, held)} held`,
        );
      }
    }
    if (books.before.seq > 0) print(`since the log was cut, behind line ${books.before.seq}`);
    tellShares('by agent', books.lines, ({ holder }) => agentOf(holder));
    tellShares('by step', books.lines, ({ holder }) => stepOf(holder));
    tellShares('by model', books.lines, ({ model = 'unknown' }) => model);
    return EXIT.done;
  });

const agentOf = (holder: string | undefined): string => {
  if (holder === undefined) return 'unknown';
  const { role, agent } = parseAddress(holder as Address);
  return agent ?? role;
};

const stepOf = (holder: string | undefined): string =>
  holder === undefined ? 'unknown' : (parseAddress(holder as Address).key?.replace(/-\d+$/, '') ?? 'the whole');

const tellShares = (title: string, lines: readonly LedgerLine[], of: (line: LedgerLine) => string): void => {
  const shares = breakdown(lines, of);
  if (shares.length > 0) print(title);
  for (const [name, { calls, nanos, tokens }] of shares) print(`  ${name.padEnd(28)} ${formatDollars(nanos).padStart(14)}  ${calls} calls, ${tokens} tokens`);
};

export const ledger = (run: string, { bus, json }: Shown): Promise<number> =>
  withBus(bus, async (open) => {
    const { lines } = await booksOf(open, run);
    if (json) {
      printJson({ account: run, lines });
      return EXIT.done;
    }
    for (const { seq, at, kind, account, amounts, holder, model, spentNanos, heldNanos, note, hash } of lines) {
      const amount = amounts['money'] === undefined ? '' : formatDollars(BigInt(amounts['money']));
      const whose = holder === undefined ? account : holder.slice(holder.indexOf('.') + 1);
      const after = `spent ${formatDollars(BigInt(spentNanos))} held ${formatDollars(BigInt(heldNanos))}`;
      print(
        `${String(seq).padStart(5)}  ${new Date(at).toISOString()}  ${kind.padEnd(8)} ${amount.padStart(12)}  ${whose}${model === undefined ? '' : ` ${model}`}  (${after})  ${hash.slice(0, 8)}${note === undefined ? '' : `  ${note}`}`,
      );
    }
    return EXIT.done;
  });

export const exportLedger = (run: string, { bus, out }: OnBus & { readonly out?: string }): Promise<number> =>
  withBus(bus, async (open) => {
    const { lines } = await booksOf(open, run);
    const text = lines.map((line) => JSON.stringify(line)).join('\n');
    if (out === undefined) print(text);
    else await writeFile(out, `${text}\n`).catch(unusable('--out', out));
    return EXIT.done;
  });

export const cut = (run: string, { bus, out, json }: Shown & { readonly out?: string }): Promise<number> =>
  withBus(bus, async (open) => {
    if (out !== undefined) await exportLedger(run, { bus, out });
    const { after, entries } = await cutAccount(open, run);
    if (json) printJson({ account: run, entries, after: after.seq });
    else
      say(`${run}: ${entries} entries are cut away; the ledger goes on behind line ${after.seq}${out === undefined ? '' : `, what was before is in ${out}`}`);
    return EXIT.done;
  });

export const verify = async (run: string, { bus, file, json }: Shown & { readonly file?: string }): Promise<number> =>
  withBus(bus, async (open) => {
    const { lines, anchors, cut: gone, broken } = await verifyLedger(open, run);
    const problem = broken
      ? `the ledger of ${run} cannot be trusted: ${broken.why} (lines up to ${broken.trustedUpTo} hold)`
      : file === undefined
        ? undefined
        : await compareFile(file, await booksOf(open, run));
    if (json) printJson({ account: run, holds: problem === undefined, lines, anchors, cut: gone, ...(problem !== undefined && { problem }) });
    if (problem !== undefined) {
      say(`troupe: ${problem}`);
      return EXIT.failed;
    }
    if (!json)
      print(
        `${run}: ${lines} lines hold, against ${anchors} hashes in other logs${gone === 0 ? '' : `; ${gone} more are of lines that were cut away`}${file === undefined ? '' : `; ${file} has the same`}`,
      );
    return EXIT.done;
  });

const compareFile = async (file: string, { lines, before }: Books): Promise<string | undefined> => {
  const read: LedgerLine[] = [];
  for (const [index, text] of (await readFile(file, 'utf8').catch(unusable('--file', file))).split('\n').filter(Boolean).entries()) {
    const line = parseLine(text);
    if (typeof line === 'string') return `${file}:${index + 1}: expected a line of a ledger: ${line}`;
    read.push(line);
  }
  const first = read[0];
  const broken = firstBreak(read, first && first.seq > 1 ? { seq: first.seq - 1, hash: first.previous } : BEGINNING);
  if (broken) return `${file}:${broken.index + 1}: ${broken.why}`;
  // What was cut away since it was exported can be compared at its end only.
  const known = new Map([before, ...lines].map(({ seq, hash }) => [seq, hash]));
  const different = read.findIndex(({ seq, hash }) => (known.has(seq) || seq > before.seq) && known.get(seq) !== hash);
  if (different >= 0) return `${file}:${different + 1}: this line is not in the run's ledger`;
  const [last, end] = [read.at(-1)?.seq ?? 0, lines.at(-1)?.seq ?? before.seq];
  return last < end ? `${file} ends after line ${last}, the run's ledger has ${end}` : undefined;
};

export const raise = (run: string, amount: string, { bus, account, why, json }: ByHand): Promise<number> =>
  withBus(bus, async (open) => {
    const nanos = dollars(amount);
    await raiseBudget(open, run, account, nanos, hand(why));
    if (json) printJson({ account: account ?? run, raisedNanos: nanos });
    else say(`${account ?? run} has ${formatDollars(nanos)} more; ${howToGoOn(run, bus)}`);
    return EXIT.done;
  });

export const freeze = (
  run: string,
  { bus, account, why, revoke, thaw, json }: ByHand & { readonly revoke: boolean; readonly thaw: boolean },
): Promise<number> =>
  withBus(bus, async (open) => {
    await freezeBudget(open, run, account, { frozen: !thaw, revoke }, hand(why));
    if (json) printJson({ account: account ?? run, frozen: !thaw, revoke });
    else
      say(
        thaw
          ? `${account ?? run} is thawed; ${howToGoOn(run, bus)}`
          : `${account ?? run} is frozen: nothing new is granted${revoke ? ', and calls under way are told to stop' : ''}`,
      );
    return EXIT.done;
  });
