/**
 * A model provider on this machine: an HTTP server that speaks the chat-completions protocol as OpenAI does, whole and streamed,
 * with tools and structured output, and that fails on demand in the ways real ones do.
 *
 * It keeps a bill of its own: it counts tokens with a real tokenizer and takes its own prices, so that a ledger can be held
 * against it. And it keeps every request, with the id that the client gave the attempt (`x-client-request-id`), so that a call
 * that was made and paid twice is seen.
 *
 *     const server = await startModelServer({ answer: (request) => `You said ${request.messages.at(-1)!.content}` });
 *     server.next({ fault: 'status', status: 429, headers: { 'retry-after': '1' } });
 */
import { createHash } from 'node:crypto';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as timer } from 'node:timers/promises';
import { Tiktoken } from 'js-tiktoken/lite';
import o200k from 'js-tiktoken/ranks/o200k_base';

export type ChatRequest = {
  readonly model: string;
  readonly messages: readonly {
    readonly role: string;
    readonly content: string | null;
    readonly tool_calls?: readonly unknown[];
    readonly tool_call_id?: string;
  }[];
  readonly tools?: readonly { readonly function: { readonly name: string; readonly description?: string; readonly parameters?: Record<string, unknown> } }[];
  readonly response_format?: { readonly type: string; readonly json_schema?: { readonly name: string; readonly strict?: boolean; readonly schema: Schema } };
  readonly stream?: boolean;
  readonly stream_options?: { readonly include_usage?: boolean };
  readonly max_completion_tokens?: number;
  readonly max_tokens?: number;
};

type Schema = {
  readonly type?: string;
  readonly properties?: Record<string, Schema>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean;
  readonly items?: Schema;
  readonly enum?: readonly unknown[];
};

/** What the model says. Tools are called with `arguments` as they stand, JSON or not. */
export type Answer = {
  readonly text?: string;
  readonly json?: unknown;
  readonly refusal?: string;
  readonly calls?: readonly { readonly name: string; readonly arguments: string | Record<string, unknown>; readonly id?: string }[];
  readonly finish?: string;
  /** `none`: the answer does not say what was used. It is billed all the same. */
  readonly usage?: 'none';
  readonly cachedTokens?: number;
  /** Thought before the answer and billed with it. */
  readonly reasoningTokens?: number;
  /** A pause before each piece. */
  readonly pieceMs?: number;
  /** The connection stays open after the last event. */
  readonly endless?: boolean;
};

export type Fault =
  | { readonly fault: 'status'; readonly status: number; readonly code?: string; readonly message?: string; readonly headers?: Record<string, string> }
  /** Takes the request and never says a word. */
  | { readonly fault: 'hang' }
  /** Says so many pieces; then the connection breaks, or stays open in silence. */
  | { readonly fault: 'cut' | 'stall'; readonly text: string; readonly pieces: number }
  /** A page instead of an answer, an event that is not JSON, an error among the events, or an end without a finish. */
  | { readonly fault: 'html' | 'bad-event' | 'error-event' | 'unfinished' }
  /** Never stops: text, the arguments of a call, calls, one event, or the words of an error. */
  | { readonly fault: 'flood'; readonly of: 'text' | 'arguments' | 'calls' | 'event' | 'error' };

export type Behaviour = string | Answer | Fault;
export type Responder = (request: ChatRequest, index: number) => Behaviour | Promise<Behaviour>;

export type ModelServerOptions = {
  /** By default it repeats the last message, or gives the smallest value that a demanded schema allows. */
  readonly answer?: Responder;
  /** Any other key is refused with 401. */
  readonly apiKey?: string;
  /** Nano-dollars per million tokens. */
  readonly price?: { readonly input: bigint; readonly cachedInput: bigint; readonly output: bigint };
  /** Fields of the request that this provider does not know: 400. */
  readonly refuses?: readonly (keyof ChatRequest)[];
};

/** A request as it arrived, and what became of it. */
export type LoggedRequest = {
  readonly index: number;
  /** Milliseconds since 1970. */
  readonly arrivedAt: number;
  /** `x-client-request-id`. */
  readonly attempt: string | undefined;
  readonly headers: IncomingHttpHeaders;
  /** sha256 of the body, in hex. */
  readonly hash: string;
  readonly body: ChatRequest;
  readonly billed: { inputTokens: number; outputTokens: number; cachedTokens: number };
  status: number | undefined;
  /** The client went away before the end. */
  abandoned: boolean;
};

export type Bill = { readonly calls: number; readonly inputTokens: number; readonly outputTokens: number; readonly nanos: bigint };

export type ModelServer = {
  /** Ends in /v1. */
  readonly url: string;
  readonly requests: readonly LoggedRequest[];
  /** Of what was billed, rounded down to a nano-dollar. */
  readonly bill: Bill;
  /** How the coming requests are met, one each, before `answer` is asked again. */
  next(...behaviours: readonly Behaviour[]): void;
  /** Resolves when so many requests have arrived in all. */
  arrived(count: number): Promise<void>;
  /** Resolves when no request is open: whatever a client left has been noticed. */
  idle(): Promise<void>;
  stop(): Promise<void>;
};

const GPT_4O_MINI = { input: 150_000_000n, cachedInput: 75_000_000n, output: 600_000_000n };

/** Listens on a free port of the loopback interface. */
export const startModelServer = async (options: ModelServerOptions = {}): Promise<ModelServer> => {
  const price = options.price ?? GPT_4O_MINI;
  const answer = options.answer ?? byDefault;
  const requests: LoggedRequest[] = [];
  const queue: Behaviour[] = [];
  const waiting = new Set<() => void>();
  const stopping = new AbortController();
  let open = 0;

  const changed = (): void => waiting.forEach((look) => look());
  const until = (holds: () => boolean): Promise<void> =>
    new Promise((resolve) => {
      const look = (): void => {
        if (!holds()) return;
        waiting.delete(look);
        resolve();
      };
      waiting.add(look);
      look();
    });

  const server = createServer((incoming, response) => {
    open++;
    response.once('close', () => {
      open--;
      const logged = requests.find((one) => one === mine);
      if (logged && !response.writableFinished) logged.abandoned = true;
      changed();
    });
    let mine: LoggedRequest | undefined;
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const raw = Buffer.concat(chunks);
      if (incoming.method !== 'POST' || !incoming.url?.endsWith('/v1/chat/completions'))
        return refuse(response, 404, 'not_found', `no such path: ${incoming.method} ${incoming.url}`);
      const body = JSON.parse(raw.toString()) as ChatRequest;
      mine = {
        index: requests.length,
        arrivedAt: Date.now(),
        attempt: incoming.headers['x-client-request-id'] as string | undefined,
        headers: incoming.headers,
        hash: createHash('sha256').update(raw).digest('hex'),
        body,
        billed: { inputTokens: 0, outputTokens: 0, cachedTokens: 0 },
        status: undefined,
        abandoned: false,
      };
      requests.push(mine);
      changed();
      respond(mine, response).catch((thrown: unknown) => response.destroy(thrown as Error));
    });
  });

  const respond = async (logged: LoggedRequest, response: ServerResponse): Promise<void> => {
    const { body } = logged;
    const deny = (status: number, code: string, message: string, headers?: Record<string, string>): void => {
      logged.status = status;
      refuse(response, status, code, message, headers);
    };
    if (options.apiKey !== undefined && logged.headers.authorization !== `Bearer ${options.apiKey}`) {
      return deny(401, 'invalid_api_key', `Incorrect API key provided: ${logged.headers.authorization?.slice('Bearer '.length)}.`);
    }
    const unknown = options.refuses?.find((field) => body[field] !== undefined);
    if (unknown) return deny(400, 'unsupported_parameter', `Unsupported parameter: '${unknown}'.`);
    const schema = body.response_format?.json_schema;
    if (schema?.strict && !isStrict(schema.schema)) return deny(400, 'invalid_json_schema', `Invalid schema for response_format '${schema.name}'.`);

    const behaviour = queue.shift() ?? (await answer(body, logged.index));
    if (typeof behaviour === 'object' && 'fault' in behaviour) return fail(logged, response, behaviour, deny);
    return say(logged, response, typeof behaviour === 'string' ? { text: behaviour } : behaviour);
  };

  const fail = async (
    logged: LoggedRequest,
    response: ServerResponse,
    fault: Fault,
    deny: (status: number, code: string, message: string, headers?: Record<string, string>) => void,
  ): Promise<void> => {
    if (fault.fault === 'status') return deny(fault.status, fault.code ?? 'server_error', fault.message ?? `status ${fault.status} on demand`, fault.headers);
    // From here on the provider has begun to work, so the input is billed.
    logged.billed.inputTokens = inputTokensOf(logged.body);
    if (fault.fault === 'flood') return flood(logged, response, fault.of);
    if (fault.fault === 'hang') return;
    logged.status = 200;
    if (fault.fault === 'html') return void response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>Welcome</title>');
    const send = beginStream(response, logged);
    if (fault.fault === 'bad-event') return void response.end('data: {"choices": [\n\n');
    if (fault.fault === 'error-event')
      return void response.end(`data: ${JSON.stringify({ error: { message: 'The server had an error.', type: 'server_error', code: null } })}\n\n`);
    const pieces = 'pieces' in fault ? piecesOf(fault.text).slice(0, fault.pieces) : ['Half ', 'an '];
    for (const piece of pieces) {
      logged.billed.outputTokens += tokensOf(piece);
      await send({ content: piece });
    }
    if (fault.fault === 'unfinished') return void response.end();
    if (fault.fault === 'cut') response.destroy();
  };

  const flood = async (logged: LoggedRequest, response: ServerResponse, of: Extract<Fault, { fault: 'flood' }>['of']): Promise<void> => {
    const piece = 'x'.repeat(60_000);
    logged.status = of === 'error' ? 400 : 200;
    if (of === 'event' || of === 'error') {
      response.writeHead(logged.status, { 'content-type': of === 'event' ? 'text/event-stream' : 'text/plain' });
      // Lines end, and the event does not.
      while (!response.destroyed) await new Promise((resolve) => response.write(`data: ${piece}\n`, resolve));
      return;
    }
    const send = beginStream(response, logged);
    for (let n = 0; !response.destroyed; n++) {
      if (of === 'text') await send({ content: piece });
      else if (of === 'arguments') await send({ tool_calls: [{ index: 0, function: { name: n === 0 ? 'look' : '', arguments: piece } }] });
      else await send({ tool_calls: [{ index: n, id: `call-${n}`, function: {} }] });
    }
  };

  const say = async (logged: LoggedRequest, response: ServerResponse, said: Answer): Promise<void> => {
    const { body } = logged;
    const cap = body.max_completion_tokens ?? body.max_tokens ?? Infinity;
    const whole = said.text ?? (said.json === undefined ? '' : JSON.stringify(said.json));
    const text = firstTokens(whole, cap - (said.reasoningTokens ?? 0));
    const calls = text === whole ? (said.calls ?? []).map((call, index) => toolCall(call, logged.index, index)) : [];
    const finish = said.finish ?? (text !== whole ? 'length' : calls.length > 0 ? 'tool_calls' : 'stop');
    // Billed in full as soon as it begins: a provider does not notice that its client went away.
    logged.billed.inputTokens = inputTokensOf(body);
    logged.billed.cachedTokens = Math.min(said.cachedTokens ?? 0, logged.billed.inputTokens);
    logged.billed.outputTokens =
      (said.reasoningTokens ?? 0) +
      tokensOf(text) +
      tokensOf(said.refusal ?? '') +
      calls.reduce((sum, call) => sum + tokensOf(JSON.stringify(call.function)), 0);
    const usage = said.usage === 'none' ? undefined : usageOf(logged, said.reasoningTokens ?? 0);
    logged.status = 200;

    if (!body.stream) {
      const message = { role: 'assistant', content: text, refusal: said.refusal ?? null, ...(calls.length > 0 && { tool_calls: calls }) };
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ ...head(logged), object: 'chat.completion', choices: [{ index: 0, message, finish_reason: finish }], usage }));
      return;
    }
    const send = beginStream(response, logged);
    for (const piece of piecesOf(text)) {
      if (said.pieceMs) await timer(said.pieceMs, undefined, { signal: stopping.signal });
      await send({ content: piece });
    }
    if (said.refusal !== undefined) await send({ refusal: said.refusal });
    for (const [index, call] of calls.entries()) {
      await send({ tool_calls: [{ index, id: call.id, type: 'function', function: { name: call.function.name, arguments: '' } }] });
      for (const piece of call.function.arguments.match(/.{1,8}/gsu) ?? []) await send({ tool_calls: [{ index, function: { arguments: piece } }] });
    }
    await send({}, finish);
    if (usage && body.stream_options?.include_usage)
      response.write(`data: ${JSON.stringify({ ...head(logged), object: 'chat.completion.chunk', choices: [], usage })}\n\n`);
    if (!said.endless) response.end('data: [DONE]\n\n');
  };

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;

  return {
    url: `http://127.0.0.1:${port}/v1`,
    requests,
    get bill() {
      let millionths = 0n;
      const sum = { calls: 0, inputTokens: 0, outputTokens: 0 };
      for (const { billed } of requests) {
        if (billed.inputTokens === 0) continue;
        sum.calls++;
        sum.inputTokens += billed.inputTokens;
        sum.outputTokens += billed.outputTokens;
        millionths +=
          BigInt(billed.inputTokens - billed.cachedTokens) * price.input +
          BigInt(billed.cachedTokens) * price.cachedInput +
          BigInt(billed.outputTokens) * price.output;
      }
      return { ...sum, nanos: millionths / 1_000_000n };
    },
    next: (...behaviours) => void queue.push(...behaviours),
    arrived: (count) => until(() => requests.length >= count),
    idle: () => until(() => open === 0),
    async stop() {
      stopping.abort();
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
};

const byDefault: Responder = ({ messages, response_format }) =>
  response_format?.json_schema ? { json: smallest(response_format.json_schema.schema) } : `You said: ${messages.at(-1)?.content ?? ''}`;

const refuse = (response: ServerResponse, status: number, code: string, message: string, headers: Record<string, string> = {}): void => {
  response.writeHead(status, { 'content-type': 'application/json', 'x-request-id': 'req-refused', ...headers });
  response.end(JSON.stringify({ error: { message, type: 'error', param: null, code } }));
};

const head = ({ index, body }: LoggedRequest) => ({ id: `chatcmpl-${index}`, created: 0, model: `${body.model}-served` });

/** Gives what sends one event; it resolves when the event is on its way, or when nobody listens any more. */
const beginStream = (response: ServerResponse, logged: LoggedRequest): ((delta: Record<string, unknown>, finish?: string) => Promise<void>) => {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'x-request-id': `req-${logged.index}` });
  return (delta, finish) =>
    new Promise((resolve) => {
      const event = { ...head(logged), object: 'chat.completion.chunk', choices: [{ index: 0, delta, finish_reason: finish ?? null }] };
      if (response.destroyed) return resolve();
      response.write(`data: ${JSON.stringify(event)}\n\n`, () => resolve());
    });
};

const toolCall = ({ id, name, arguments: input }: NonNullable<Answer['calls']>[number], request: number, index: number) => ({
  id: id ?? `call_${request}_${index}`,
  type: 'function' as const,
  function: { name, arguments: typeof input === 'string' ? input : JSON.stringify(input) },
});

const usageOf = ({ billed }: LoggedRequest, reasoning: number) => ({
  prompt_tokens: billed.inputTokens,
  completion_tokens: billed.outputTokens,
  total_tokens: billed.inputTokens + billed.outputTokens,
  prompt_tokens_details: { cached_tokens: billed.cachedTokens },
  completion_tokens_details: { reasoning_tokens: reasoning },
});

const piecesOf = (text: string): string[] => text.match(/\S+\s*|\s+/g) ?? [];

/** As the tokenizer cuts a text. */
const WORDS = new RegExp(o200k.pat_str, 'gu');
let tokenizer: Tiktoken | undefined;
const encode = (text: string): number[] => {
  tokenizer ??= new Tiktoken(o200k);
  if (!/\S{301}|\s{301}/.test(text)) return tokenizer.encode(text, [], []);
  // The tokenizer is quadratic in the length of a word; a very long one is counted in parts.
  return [...text.matchAll(WORDS)].flatMap(([word]) => word.match(/.{1,300}/gsu)!).flatMap((part) => tokenizer!.encode(part, [], []));
};
const tokensOf = (text: string): number => encode(text).length;

const firstTokens = (text: string, count: number): string => {
  const tokens = encode(text);
  if (tokens.length <= count) return text;
  let kept = Math.max(0, count);
  let cut = tokenizer!.decode(tokens.slice(0, kept));
  // A token may end within a character.
  while (kept > 0 && !text.startsWith(cut)) cut = tokenizer!.decode(tokens.slice(0, --kept));
  return cut;
};

/** Each message is framed, and tools and schemas are shown to the model as text. */
export const inputTokensOf = ({ messages, tools = [], response_format: format }: ChatRequest): number => {
  let tokens = 3;
  for (const { role, content, tool_calls: calls = [], tool_call_id: callId } of messages) {
    tokens += 3 + tokensOf(role) + tokensOf(content ?? '') + tokensOf(callId ?? '');
    for (const call of calls) tokens += 3 + tokensOf(JSON.stringify((call as { function: unknown }).function));
  }
  if (tools.length > 0) tokens += 12;
  for (const tool of tools) tokens += 8 + tokensOf(JSON.stringify(tool.function));
  if (format?.json_schema) tokens += 12 + tokensOf(JSON.stringify(format.json_schema.schema));
  return tokens;
};

/** What strict structured output demands of a schema. */
const isStrict = (schema: Schema): boolean => {
  if (Object.keys(schema).some((key) => ['default', 'minLength', 'maxLength', '$schema'].includes(key))) return false;
  if (schema.items) return isStrict(schema.items);
  if (schema.type !== 'object') return true;
  const properties = Object.entries(schema.properties ?? {});
  return schema.additionalProperties === false && properties.every(([name, inner]) => schema.required?.includes(name) && isStrict(inner));
};

const smallest = (schema: Schema): unknown => {
  if (schema.enum) return schema.enum[0];
  switch (schema.type) {
    case 'object':
      return Object.fromEntries(Object.entries(schema.properties ?? {}).map(([name, inner]) => [name, smallest(inner)]));
    case 'array':
      return schema.items ? [smallest(schema.items)] : [];
    case 'integer':
    case 'number':
      return 1;
    case 'boolean':
      return true;
    default:
      return 'text';
  }
};
