/** `troupe run --detach`: writes a run down for the processes that play its parts, and leaves. */
import { openBus } from '../bus/open.ts';
import { systemClock } from '../runtime/clock.ts';
import { standardModels, standardTools } from '../topology/standard.ts';
import { submitRun } from '../topology/submit.ts';
import { externalAgents, type Team } from '../topology/team.ts';
import { Workshop } from '../topology/workshop.ts';
import { EXIT, print, printJson, say } from './exit.ts';
import { busArgument, inShell, tailCommand } from './next-command.ts';
import { agentCommand, listParts } from './parts.ts';

export type DetachOptions = { readonly bus: string; readonly json: boolean; readonly quiet: boolean };

export const detach = async (file: string, team: Team, { bus: address, json, quiet }: DetachOptions): Promise<number> => {
  const workshop = new Workshop({ models: standardModels(), tools: standardTools(), clock: systemClock });
  const bus = await openBus(address);
  try {
    const { run, models, missing } = await submitRun(bus, team, (unplayed) => workshop.chooseModels(unplayed), Date.now());
    if (json) printJson({ run, status: 'submitted', models, missing });
    else print(run);
    if (missing.length > 0) {
      const external = externalAgents(team).filter((name) => missing.includes(name));
      const hosted = missing.filter((part) => !external.includes(part));
      say(`nobody plays ${listParts(missing)} yet, and the run waits for them`);
      if (external.length > 0) say(`start the program that plays ${listParts(external)}: it is external`);
      if (hosted.length > 0) {
        say(`start ${external.length > 0 ? 'the others' : 'them'} with one of`);
        say(`  troupe up ${inShell(file)}${busArgument(address)}`);
        say(`  ${agentCommand(file, hosted, address)}`);
      }
    }
    if (!quiet) say(`follow it with: ${tailCommand(run, address)}`);
    return EXIT.done;
  } finally {
    await bus.close();
  }
};
