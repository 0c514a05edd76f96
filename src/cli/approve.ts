/** `troupe approve`: a person's answer to what a run asks. */
import { userInfo } from 'node:os';
import { DEFAULT_BUS, openBus } from '../bus/open.ts';
import { answerQuestion, openQuestions } from '../topology/remote.ts';
import { EXIT, print, say } from './exit.ts';

export type ApproveOptions = { readonly bus: string; readonly deny: boolean; readonly note: string };

export const approve = async (run: string, approval: string | undefined, { bus: address, deny, note }: ApproveOptions): Promise<number> => {
  const bus = await openBus(address);
  try {
    if (approval === undefined) {
      const questions = await openQuestions(bus, run);
      if (questions.length === 0) say(`${run} asks nothing`);
      for (const { approval: id, question, details } of questions) print(`${id}  ${question}\n${JSON.stringify(details, undefined, 2)}`);
      return EXIT.done;
    }
    await answerQuestion(bus, run, { approval, decision: deny ? 'deny' : 'approve', by: userInfo().username, note });
    say(`${deny ? 'denied' : 'approved'}. If nothing hosts the run: troupe run --resume ${run}${address === DEFAULT_BUS ? '' : ` --bus ${address}`}`);
    return EXIT.done;
  } finally {
    await bus.close();
  }
};
