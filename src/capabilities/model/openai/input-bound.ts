/**
 * An upper bound of the tokens that an endpoint will count as the input of a request. Pure, and cheap for a conversation that
 * grows: what a message comes to is kept with the message.
 *
 *   U1  Every text counts as it is sent, and what is added around it as a margin that is fixed below.
 *   U2  Where texts are counted by bytes, the bound holds for any byte-level tokenizer.
 *   U3  How tools and formats are shown to a model is not published. The one rendering that is known takes four tokens for the
 *       value of an enum, which is two as JSON; so the tokens of the JSON count twice, but never for more than its bytes.
 *   U4  Messages are text. An image would be billed by its size in pixels, which nobody here knows; it is refused.
 */
import type { ChatMessage, ModelRequest } from '../../../protocols/model.ts';
import { ModelError, type ToolSpec } from '../port.ts';
import { countBytes, type Count } from './encoding.ts';
import { messageOf, strictSchema } from './request.ts';

/** Tokens. Errors: MODEL_REJECTED for what is no text (U4). */
export type InputBound = (request: ModelRequest, tools: readonly ToolSpec[]) => number;

/** For what frames a conversation, and the system text that some servers put before it. */
const BASE = 64;
/** Of which OpenAI's models take four. */
const PER_MESSAGE = 16;
const PER_CALL = 16;
/** For the instructions on how tools are called that servers add once there are any. */
const TOOLS_BASE = 256;
const PER_TOOL = 32;
const FORMAT_BASE = 64;

export const createInputBound = (count: Count): InputBound => {
  /** Of messages and tools, which never change; an entry goes when its object does. */
  const known = new WeakMap<object, number>();
  const once = <T extends object>(part: T, boundOf: (part: T) => number): number => {
    const before = known.get(part);
    if (before !== undefined) return before;
    const bound = boundOf(part);
    known.set(part, bound);
    return bound;
  };

  const schema = (shown: object): number => {
    const json = JSON.stringify(shown);
    return Math.min(2 * count(json), countBytes(json));
  };

  const toolBound = (tool: ToolSpec): number => PER_TOOL + schema(tool);

  const messageBound = (message: ChatMessage): number => {
    const sent = messageOf(message);
    let bound = PER_MESSAGE + (typeof sent.content === 'string' ? count(sent.content) : 0);
    if (message.role === 'tool') bound += count(message.callId);
    if (message.role !== 'assistant') return bound;
    for (const { id, name, input } of message.toolCalls) {
      const given = JSON.stringify(input);
      // Servers may count the call as it is meant, or as it is sent: a JSON text within JSON.
      bound += PER_CALL + count(id) + Math.max(count(name) + count(given), count(JSON.stringify({ name, arguments: given })));
    }
    return bound;
  };

  return ({ model, messages, format, shape }, tools) => {
    let bound = BASE;
    for (const [index, message] of messages.entries()) {
      if (typeof message.text !== 'string') throw notText(model, index, message);
      bound += once(message, messageBound);
    }
    if (tools.length > 0) bound += TOOLS_BASE;
    for (const tool of tools) bound += once(tool, toolBound);
    if (format) bound += FORMAT_BASE + once(shape ?? strictSchema(format), schema);
    return bound;
  };
};

const notText = (model: string, index: number, { role }: ChatMessage): ModelError =>
  new ModelError(
    'MODEL_REJECTED',
    `${model}: message ${index + 1} (${role}) is not text; images and other parts have no upper bound here, so they are not sent`,
    {
      billing: 'none',
      retryable: false,
    },
  );
