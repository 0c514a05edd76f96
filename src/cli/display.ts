/** Progress on stderr: on a terminal a line an agent that changes in place, elsewhere a line for each change. */
import { Progress, type AgentLine } from '../observe/progress.ts';
import { formatDollars } from '../protocols/money.ts';
import type { Address } from '../protocols/ids.ts';
import type { Observed } from '../runtime/host.ts';
import { oneLine, redact } from './redact.ts';

export type Display = {
  see(seen: Observed): void;
  /** A line that stays. */
  note(line: string): void;
  /** From here on lines are shown: the run has its headline. */
  begin(): void;
};

export const openDisplay = (stream: NodeJS.WriteStream): Display => {
  const progress = new Progress();
  return stream.isTTY ? inPlace(stream, progress) : lineByLine(stream, progress);
};

const textOf = ({ who, doing, spentNanos }: AgentLine, spending: string): string => {
  const own = spentNanos > 0n ? `  ${formatDollars(spentNanos)}` : '';
  return oneLine(redact(`${who.padEnd(28)} ${doing}${own}${spending && own ? `  (run: ${spending})` : ''}`));
};

const lineByLine = (stream: NodeJS.WriteStream, progress: Progress): Display => {
  let early: string[] | undefined = [];
  const write = (text: string): void => {
    if (early) early.push(text);
    else stream.write(text);
  };
  return {
    see: (seen) => {
      const line = progress.see(seen);
      if (line) write(`${textOf(line, progress.spending)}\n`);
    },
    note: (line) => write(`${oneLine(redact(line))}\n`),
    begin: () => {
      stream.write((early ?? []).join(''));
      early = undefined;
    },
  };
};

const inPlace = (stream: NodeJS.WriteStream, progress: Progress): Display => {
  const lines = new Map<Address, AgentLine>();
  let begun = false;
  let height = 0;
  const notes: string[] = [];
  const draw = (): void => {
    if (!begun) return;
    const above = notes.splice(0).map((note) => `${redact(note)}\n`);
    const text = [...lines.values()].map((line) => `${line.ended ? '✓' : '·'} ${textOf(line, progress.spending)}`.slice(0, stream.columns - 1));
    stream.write(`${height > 0 ? `\u001b[${height}A` : ''}\u001b[J${above.join('')}${text.join('\n')}\n`);
    height = text.length;
  };
  return {
    see: (seen) => {
      const line = progress.see(seen);
      if (!line) return;
      lines.set(line.address, line);
      // More lines than the window has cannot be drawn again: the oldest go.
      while (lines.size >= stream.rows - 1) lines.delete(lines.keys().next().value!);
      draw();
    },
    note: (line) => {
      notes.push(line);
      draw();
    },
    begin: () => {
      begun = true;
      if (lines.size + notes.length > 0) draw();
    },
  };
};
