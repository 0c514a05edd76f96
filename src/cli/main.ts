/** The command line. Each command is a file of its own, loaded when it is used, so that asking for help stays quick. */
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { DEFAULT_BUS } from '../bus/open.ts';
import { failure } from '../protocols/failure.ts';
import { outliveBrokenOutput } from './broken-output.ts';
import { endWith, EXIT, failureJson, printJson } from './exit.ts';
import { tuneV8 } from './node-options.ts';
import { version } from './version.ts';

tuneV8();

const keyValue = (given: string, before: Readonly<Record<string, string>> = {}): Record<string, string> => {
  const at = given.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('expected name=value.');
  return { ...before, [given.slice(0, at)]: given.slice(at + 1) };
};

const busOption = () => new Option('--bus <address>', 'embedded:<file>, memory, or nats://<host>:<port>').env('TROUPE_BUS').default(DEFAULT_BUS);
const jsonOption = () => new Option('--json', 'one machine-readable object on stdout').default(false);
const logOptions = (command: Command) =>
  command
    .option('--log <file>', 'write logs as JSON lines to a file; - is stderr')
    .addOption(new Option('--log-level <level>', 'how much is logged').choices(['debug', 'info', 'warn', 'error']).default('info'));
const inputOption = () => new Option('--input <name=value>', 'an input of the file: a folder or a text; may be given again').argParser(keyValue);

const count = (given: string): number => {
  if (!/^[1-9]\d{0,5}$/.test(given)) throw new InvalidArgumentError('expected a whole number from 1.');
  return Number(given);
};
/** Behind a cut a log still has room for what comes while it is made. */
const entries = (given: string): number => {
  const parsed = count(given);
  if (parsed < 100 || parsed > 90_000) throw new InvalidArgumentError('expected a whole number from 100 to 90000.');
  return parsed;
};
const seconds = (given: string): number => {
  if (!/^\d{1,6}$/.test(given)) throw new InvalidArgumentError('expected whole seconds.');
  return Number(given);
};
const reason = (given: string): string => {
  if (given.trim() === '') throw new InvalidArgumentError('expected a reason, found none.');
  return given;
};
const port = (given: string): number => {
  if (!/^\d{1,5}$/.test(given) || Number(given) > 65_535) throw new InvalidArgumentError('expected a port, from 0 (any that is free) to 65535.');
  return Number(given);
};
const more = (given: string, before: readonly string[] = []): string[] => [...before, given];
const playing = (command: Command) =>
  logOptions(
    command
      .argument('<file>', 'the team file')
      .addOption(inputOption())
      .addOption(busOption())
      .addOption(new Option('--drain <seconds>', 'for what is under way when the process is told to stop').argParser(seconds).default(30)),
  );

const program = new Command('troupe')
  .description('Runs teams of LLM agents: durable, in any topology, within a budget that cannot be overspent.')
  .version(version)
  .showSuggestionAfterError()
  .showHelpAfterError('(troupe --help lists the commands)')
  .exitOverride();

logOptions(
  program
    .command('run')
    .description('run a team on a task; the answer goes to stdout')
    .argument('[file]', 'the team file')
    .argument('[task]', "in place of the file's task")
    .addOption(inputOption())
    .addOption(busOption())
    .option('--budget <dollars>', "in place of the file's budget.limit")
    .addOption(jsonOption())
    .option('--resume <run>', 'go on with a run that was stopped')
    .option('--session <name>', 'a conversation that goes on from run to run')
    .option('--detach', 'leave the run to the processes that play its parts', false)
    .option('--quiet', 'no progress', false)
    .addOption(new Option('--inspect [port]', "show the actors in Stately's inspector, on a port of this machine").argParser(port).preset(8080)),
).action(async (file: string | undefined, task: string | undefined, options) => {
  const { run } = await import('./run.ts');
  await endWith(() => run(file, task, options), options);
});

playing(program.command('agent').description('play agents of a team in every run of it, until told to stop'))
  .option('--agent <name>', 'which; may be given again; without it, all of the file', more)
  .option('--budget-server', "grant the runs' money as well", false)
  .addOption(new Option('--concurrency <actors>', 'how many at once').argParser(count).default(8))
  .action(async (file: string, options) => {
    const { agent } = await import('./agent.ts');
    await endWith(() => agent(file, options));
  });

playing(program.command('budget-server').description("grant the money of a team's runs, until told to stop; any number may")).action(
  async (file: string, options) => {
    const { budgetServer } = await import('./budget-server.ts');
    await endWith(() => budgetServer(file, options));
  },
);

program
  .command('validate')
  .description('check a team file and list every mistake in it')
  .argument('<file>', 'the team file')
  .addOption(inputOption())
  .addOption(jsonOption())
  .action(async (file: string, options) => {
    const { validate } = await import('./validate.ts');
    await endWith(() => validate(file, options), options);
  });

program
  .command('init')
  .description('a folder with a team that runs as it stands, and a test of it')
  .argument('[folder]', 'where', '.')
  .option('--topology <topology>', 'centralised, workflow, hierarchical, router or peers', 'centralised')
  .action(async (folder: string, options) => {
    const { init } = await import('./init.ts');
    await endWith(() => init(folder, options));
  });

program
  .command('compare')
  .description('run the same agents and task under several topologies, and put what each came to side by side')
  .argument('<file>', 'the team file')
  .argument('[task]', "in place of the file's task")
  .requiredOption('--topologies <list>', 'centralised, workflow, router, peers, or files with a topology, separated by commas')
  .addOption(inputOption())
  .addOption(busOption())
  .option('--budget <dollars>', 'for each run')
  .addOption(jsonOption())
  .action(async (file: string, task: string | undefined, options) => {
    const { compare } = await import('./compare.ts');
    await endWith(() => compare(file, task, options), options);
  });

program
  .command('approve')
  .description('answer what a run waits for; without an approval, list what is open')
  .argument('<run>', 'the run')
  .argument('[approval]', 'which question')
  .option('--deny', 'the answer is no', false)
  .option('--note <text>', 'a word to the agents', '')
  .addOption(busOption())
  .addOption(jsonOption())
  .action(async (run: string, approval: string | undefined, options) => {
    const { approve } = await import('./approve.ts');
    await endWith(() => approve(run, approval, options), options);
  });

const budget = program.command('budget').description("look at a run's accounts and its ledger; raise, freeze, verify");
const ofRun = (name: string, description: string) =>
  budget.command(name).description(description).argument('<run>', 'the run, or a shared account').addOption(busOption());
const byHand = (command: Command) =>
  command
    .option('--account <account>', "of the run's accounts; without it, the run's own")
    .addOption(new Option('--why <reason>', 'stands in the ledger').argParser(reason).makeOptionMandatory())
    .addOption(jsonOption());

budget
  .command('open')
  .description('open an account that many runs share; team files name it as budget.account')
  .argument('<account>', 'its name')
  .argument('<dollars>', 'its limit')
  .addOption(new Option('--per <window>', 'how often the limit begins anew').choices(['hour', 'day', 'month']))
  .addOption(new Option('--cut-after <entries>', 'of its log, which is then replaced by its state; 50000 without it').argParser(entries))
  .addOption(busOption())
  .addOption(jsonOption())
  .action(async (account: string, amount: string, options) => {
    const { open } = await import('./budget.ts');
    await endWith(() => open(account, amount, options), options);
  });
ofRun('show', 'accounts, limits, and what was spent by agent, step and model')
  .addOption(jsonOption())
  .action(async (run: string, options) => {
    const { show } = await import('./budget.ts');
    await endWith(() => show(run, options), options);
  });
ofRun('ledger', 'every line: what was held, spent, given back, by whom')
  .addOption(jsonOption())
  .action(async (run: string, options) => {
    const { ledger } = await import('./budget.ts');
    await endWith(() => ledger(run, options), options);
  });
ofRun('export', 'the ledger as JSON lines, each with the hash of the one before')
  .option('--out <file>', 'to a file')
  .action(async (run: string, options) => {
    const { exportLedger } = await import('./budget.ts');
    await endWith(() => exportLedger(run, options), options);
  });
ofRun('cut', 'replace the log of an account by its state: what is before is gone')
  .option('--out <file>', 'the ledger as it was, as export writes it')
  .addOption(jsonOption())
  .action(async (run: string, options) => {
    const { cut } = await import('./budget.ts');
    await endWith(() => cut(run, options), options);
  });
ofRun('verify', 'find a line that was changed, dropped or slipped in')
  .option('--file <file>', 'an exported ledger to compare')
  .addOption(jsonOption())
  .action(async (run: string, options) => {
    const { verify } = await import('./budget.ts');
    await endWith(() => verify(run, options), options);
  });
ofRun('reconcile', "compare the ledger with a provider's usage report")
  .requiredOption('--report <file>', 'CSV, or JSON where it is called so')
  .addOption(jsonOption())
  .action(async (run: string, options) => {
    const { reconcile } = await import('./reconcile.ts');
    await endWith(() => reconcile(run, options), options);
  });
byHand(ofRun('raise', 'more money; a run that paused goes on').argument('<dollars>', 'how much more')).action(async (run: string, amount: string, options) => {
  const { raise } = await import('./budget.ts');
  await endWith(() => raise(run, amount, options), options);
});
byHand(ofRun('freeze', 'nothing new is granted, until it is thawed'))
  .option('--revoke', 'calls under way are told to stop', false)
  .option('--thaw', 'the other way round', false)
  .action(async (run: string, options) => {
    const { freeze } = await import('./budget.ts');
    await endWith(() => freeze(run, options), options);
  });

const session = program.command('session').description('conversations that go on from run to run');
session
  .command('show')
  .description('what was said in one; without a name, their names')
  .argument('[session]', 'its name')
  .addOption(busOption())
  .addOption(jsonOption())
  .action(async (name: string | undefined, options) => {
    const { show } = await import('./session.ts');
    await endWith(() => show(name, options), options);
  });
session
  .command('rm')
  .description('forget one')
  .argument('<session>', 'its name')
  .addOption(busOption())
  .addOption(jsonOption())
  .action(async (name: string, options) => {
    const { remove } = await import('./session.ts');
    await endWith(() => remove(name, options), options);
  });

playing(program.command('up').description('play every part of a team, each as a process of its own on this machine'))
  .option('--replicas <name=number>', 'how many processes of an agent, or of the budget-server; may be given again', keyValue)
  .addOption(new Option('--concurrency <actors>', 'how many at once in each').argParser(count).default(8))
  .action(async (file: string, options) => {
    const { up } = await import('./up.ts');
    await endWith(() => up(file, options));
  });

program
  .command('ps')
  .description('list the processes on a bus and what they host')
  .option('--run <run>', 'the actors of one run instead, and their states')
  .addOption(busOption())
  .addOption(jsonOption())
  .action(async (options) => {
    const { ps } = await import('./ps.ts');
    await endWith(() => ps(options), options);
  });

program
  .command('tail')
  .description('follow a run that others host, to its end')
  .argument('<run>', 'the run')
  .option('--no-follow', 'only what there is')
  .option('--quiet', 'no progress', false)
  .addOption(busOption())
  .option('--json', 'JSON lines on stdout: each change, and the result last', false)
  .action(async (run: string, options) => {
    const { tail } = await import('./tail.ts');
    await endWith(() => tail(run, options), options);
  });

program
  .command('cancel')
  .description('tell a run to end')
  .argument('<run>', 'the run')
  .addOption(new Option('--why <reason>', 'stands in its failure').argParser(reason).makeOptionMandatory())
  .addOption(busOption())
  .addOption(jsonOption())
  .action(async (run: string, options) => {
    const { cancel } = await import('./cancel.ts');
    await endWith(() => cancel(run, options), options);
  });

logOptions(
  program
    .command('resume')
    .description('go on with a run, and play here what nobody else plays of it')
    .argument('<run>', 'the run')
    .addOption(busOption())
    .addOption(jsonOption())
    .option('--quiet', 'no progress', false),
).action(async (run: string, options) => {
  const { resume } = await import('./resume.ts');
  await endWith(() => resume(run, options), options);
});

program
  .command('rm')
  .description('remove runs from a bus, by name or by rule')
  .argument('[run...]', 'the runs')
  .option('--ended', 'all that have ended', false)
  .option('--older-than <age>', 'of those, the ones that ended so long ago: 90s, 15m, 12h, 7d')
  .addOption(new Option('--keep-last <number>', 'of those, not the newest').argParser(count))
  .option('--dry-run', 'only say which', false)
  .option('--force', 'also a run that has not ended', false)
  .addOption(busOption())
  .addOption(jsonOption())
  .action(async (names: string[], options) => {
    const { rm } = await import('./rm.ts');
    await endWith(() => rm(names, options), options);
  });

program
  .command('runs')
  .description('list the runs on a bus')
  .addOption(busOption())
  .addOption(jsonOption())
  .action(async (options) => {
    const { runs } = await import('./runs.ts');
    await endWith(() => runs(options), options);
  });

program
  .command('replay')
  .description('fold a recorded run again, without a call, and compare it with what happened')
  .argument('<run>', 'the run, or a file that --save wrote')
  .option('--at <position>', 'only up to this entry')
  .option('--save <file>', 'write the run to a file')
  .addOption(busOption())
  .addOption(jsonOption())
  .action(async (run: string, options) => {
    const { replay } = await import('./replay.ts');
    await endWith(() => replay(run, options), options);
  });

program
  .command('chart')
  .description('draw the state chart of an actor, or a team; with a run, where it is and how it came there')
  .argument('[what]', 'an actor, as troupe chart without one lists them, of a run also as in worker.writer; a team file; a run')
  .addOption(new Option('--as <view>', 'of a team or a run: who is in it, its plan, or what was said').choices(['team', 'plan', 'sequence']))
  .addOption(new Option('--format <format>', "without it, by the file's name, or mermaid").choices(['svg', 'png', 'mermaid', 'dot', 'json']))
  .addOption(new Option('--theme <theme>', 'the colours of svg and png').choices(['light', 'dark']).default('light'))
  .option('--run <run>', 'a run, or a file that troupe replay --save wrote')
  .option('--at <position>', 'as of this entry of the run')
  .option('-o, --out <file>', 'to a file')
  .addOption(inputOption())
  .addOption(busOption())
  .addOption(jsonOption())
  .action(async (what: string | undefined, options) => {
    const { chart } = await import('./chart.ts');
    await endWith(() => chart(what, options), options);
  });

program
  .command('prices')
  .description('what models cost, where that stands, and what a call comes to')
  .argument('[model]', 'provider/name; without one, all that have a price')
  .option('--team <file>', 'with the prices of a team file before the list')
  .addOption(jsonOption())
  .action(async (model: string | undefined, options) => {
    const { prices } = await import('./prices.ts');
    await endWith(() => prices(model, options), options);
  });

program
  .command('doctor')
  .description('look at what a run needs: Node, the bus, keys, prices')
  .addOption(busOption())
  .addOption(jsonOption())
  .action(async (options) => {
    const { doctor } = await import('./doctor.ts');
    await endWith(() => doctor(options), options);
  });

outliveBrokenOutput();

/** What comes after `--` is no option. */
const asksForJson = (argv: readonly string[]): boolean => argv.slice(0, argv.includes('--') ? argv.indexOf('--') : undefined).includes('--json');

/** Where a command is missing the parser shows its help and says no more. */
const usageMessage = ({ code, message }: CommanderError): string =>
  code === 'commander.help' ? 'expected a command; see troupe --help' : message.replace(/^error: /, '').replaceAll('\n', ' ');

try {
  await program.parseAsync();
} catch (thrown) {
  if (!(thrown instanceof CommanderError)) throw thrown;
  // It has said what is wrong, or shown the help that was asked for.
  process.exitCode = thrown.exitCode === 0 ? EXIT.done : EXIT.usage;
  if (thrown.exitCode !== 0 && asksForJson(process.argv)) printJson({ status: 'failed', failure: failureJson(failure('USAGE', usageMessage(thrown))) });
}
