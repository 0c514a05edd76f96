/** Peers for tests of the runtime: the real charts and the company's money and workers; a model that plays every duty of a peer. */
import type { ConvenerInput } from '../../src/actors/convener/machine.ts';
import type { PeerInput } from '../../src/actors/peer/machine.ts';
import { address, parseAddress, type Address, type RunId } from '../../src/protocols/ids.ts';
import type { ModelReply, ModelRequest } from '../../src/protocols/model.ts';
import type { PeerRules } from '../../src/protocols/peer.ts';
import type { Definition } from '../../src/runtime/fold.ts';
import { charts } from '../../src/topology/charts.ts';
import { company, profile } from './company.ts';

export type PeerCompanyOptions = {
  readonly run: RunId;
  readonly rules: PeerRules;
  readonly peers: readonly string[];
  readonly limitNanos?: bigint;
  readonly grantMs?: number;
  readonly patienceMs?: number;
};

/** Who lives where. */
export const peerCompany = ({ run, rules, peers, patienceMs = 10_000_000, ...money }: PeerCompanyOptions): ((at: Address) => Definition | undefined) => {
  const others = company({ run, ...money });
  const account = address(run, 'budget');
  const convener = address(run, 'supervisor');
  return (at) => {
    const { run: of, role, agent } = parseAddress(at);
    if (of !== run) return undefined;
    if (role === 'supervisor') {
      const input: ConvenerInput = { run, peers, account, approver: address(run, 'approver'), deadlineMs: 100_000_000, askMs: 1_000_000, patienceMs };
      return { chart: charts.convener, input };
    }
    if (role === 'peer' && agent !== undefined && peers.includes(agent)) {
      const input: PeerInput = { run, profile: profile(agent), peers, rules, patienceMs, convener };
      return { chart: charts.peer, input, account };
    }
    return others(at);
  };
};

/** What a peer's model says: the first peer bids best and is voted for, everybody objects once, and every edit keeps what was there. */
export const peerAnswer = (request: ModelRequest): Pick<ModelReply, 'text' | 'toolCalls' | 'finish'> | undefined => {
  const me = /^You are (\w+),/.exec(request.messages[0]!.text)![1]!;
  const asked = request.messages.map(({ text }) => text).join('\n');
  const said = (value: unknown) => ({ text: JSON.stringify(value), toolCalls: [], finish: 'stop' as const });
  const named = [...asked.matchAll(/^## position \((\w+)\)$/gm)].map(([, name]) => name!);
  switch (request.format) {
    case 'bid':
      return said({ price: 0.001, confidence: me === 'ann' ? 0.9 : 0.5 });
    case 'critique':
      return said({ objections: asked.includes('revised') ? [] : named.map((agent) => ({ agent, text: 'say why' })) });
    case 'ballot':
      return said({ choice: named.toSorted()[0] });
    case 'edit': {
      const document = /# Document\n([\s\S]*?)(?:\n\n# |$)/.exec(asked)![1]!;
      return said(document.includes(`(${me})`) ? { accept: true } : { accept: false, text: `${document} (${me})` });
    }
    default:
      return undefined;
  }
};
