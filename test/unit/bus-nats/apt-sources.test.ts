import { expect, test } from 'vitest';
import { urisOfLines, urisOfStanzas } from '../../../scripts/nats-server.ts';

test('a mirror is found in one-line sources, with and without options', () => {
  const text = `# deb http://commented.example/debian trixie main
deb-src http://source.example/debian trixie main
deb [arch=amd64 signed-by=/usr/share/keyrings/a.gpg] https://one.example/debian/ trixie main
  deb http://two.example/debian trixie main contrib
`;
  expect(urisOfLines(text)).toEqual(['https://one.example/debian/', 'http://two.example/debian']);
});

test('a mirror is found in deb822 stanzas, with comments, several URIs and disabled stanzas between', () => {
  const text = `# managed
Types: deb deb-src
# URIs: http://commented.example/debian
URIs: http://one.example/debian
  http://two.example/debian
Suites: bookworm bookworm-updates
Components: main

Enabled: no
Types: deb
URIs: http://disabled.example/debian
Suites: bookworm

Types: deb-src
URIs: http://source.example/debian
`;
  expect(urisOfStanzas(text)).toEqual(['http://one.example/debian', 'http://two.example/debian']);
});
