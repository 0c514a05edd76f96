/** A chart as a Mermaid state diagram, from the machine itself. */
import { toDirectedGraph, type DirectedGraphNode } from '@xstate/graph';
import type { AnyStateMachine } from 'xstate';

export const mermaidOf = (machine: AnyStateMachine): string => {
  const root = toDirectedGraph(machine);
  return ['stateDiagram-v2', ...statesIn(root, 1), ...edgesOf(root).map((edge) => `  ${edge}`)].join('\n');
};

/** Mermaid knows states by one name, so a nested one carries its path. */
const nameOf = ({ id }: { readonly id: string }): string => id.replaceAll(/[^A-Za-z0-9]+/g, '_');

const statesIn = (node: DirectedGraphNode, depth: number): string[] => {
  const indent = '  '.repeat(depth);
  const first = node.stateNode.initial?.target?.[0];
  return [
    ...(first ? [`${indent}[*] --> ${nameOf(first)}`] : []),
    ...node.children.flatMap((child) => [
      `${indent}state "${child.stateNode.key}" as ${nameOf(child)}${child.children.length > 0 ? ' {' : ''}`,
      ...(child.children.length > 0 ? [...statesIn(child, depth + 1), `${indent}}`] : []),
      ...(child.stateNode.type === 'final' ? [`${indent}${nameOf(child)} --> [*]`] : []),
    ]),
  ];
};

const edgesOf = (node: DirectedGraphNode): string[] => [
  ...node.edges.map((edge) => `${nameOf(edge.source)} --> ${nameOf(edge.target)} : ${labelOf(edge)}`),
  ...node.children.flatMap(edgesOf),
];

type Edge = DirectedGraphNode['edges'][number];

const labelOf = ({ label, transition }: Edge): string => {
  const { guard } = transition;
  const asked = typeof guard === 'string' ? guard : typeof guard === 'object' && guard !== null && 'type' in guard ? guard.type : undefined;
  return `${eventInWords(label.text)}${asked === undefined ? '' : ` [${asked}]`}`;
};

/** XState's names for what an effect, a timer or nothing at all leads to. */
const eventInWords = (event: string): string => {
  if (event === '') return 'always';
  return event
    .replace(/^xstate\.done\.actor\.(.*)$/, (_, id: string) => `${id === '*' ? 'an effect' : id} is done`)
    .replace(/^xstate\.error\.actor\.(.*)$/, (_, id: string) => `${id === '*' ? 'an effect' : id} failed`)
    .replace(/^xstate\.after\.([^.]*)\..*$/, 'after $1');
};
