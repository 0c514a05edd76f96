/**
 * Writes docs/protocol from the messages' schemas and the bus's names: `node scripts/protocol-docs.ts`.
 * With `--check` it writes nothing and fails when a file there does not say what the schemas say.
 */
import { publishedProtocol } from '../src/protocols/json-schema.ts';
import { asyncApiYaml } from './asyncapi.ts';
import { publish } from './publish.ts';

await publish('docs/protocol', new Map([...publishedProtocol(), ['asyncapi.yaml', asyncApiYaml()]]));
