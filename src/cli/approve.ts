/** `troupe approve`: a person's answer to what a run asks. */
import { userInfo } from 'node:os';
import { answerQuestion, openQuestions } from '../topology/remote.ts';
import { EXIT, print, printJson, say } from './exit.ts';
import { resumeCommand } from './next-command.ts';
import { deadlineOf, questionJson } from './question.ts';
import { withBus } from './with-bus.ts';

export type ApproveOptions = { readonly bus: string; readonly deny: boolean; readonly note: string; readonly json: boolean };

export const approve = (run: string, approval: string | undefined, { bus: address, deny, note, json }: ApproveOptions): Promise<number> =>
  withBus(address, async (bus) => {
    if (approval === undefined) {
      const questions = await openQuestions(bus, run);
      if (json) printJson({ run, questions: questions.map(questionJson) });
      else if (questions.length === 0) say(`${run} asks nothing`);
      else for (const asked of questions) print(`${asked.approval}  ${asked.question}\n  ${deadlineOf(asked)}\n${JSON.stringify(asked.details, undefined, 2)}`);
      return EXIT.done;
    }
    const decision = deny ? 'deny' : 'approve';
    await answerQuestion(bus, run, { approval, decision, by: userInfo().username, note });
    if (json) printJson({ run, approval, decision });
    else say(`${deny ? 'denied' : 'approved'}. If nothing hosts the run: ${resumeCommand(run, address)}`);
    return EXIT.done;
  });
