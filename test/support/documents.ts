/** A small folder of documents, with facts that stand in one line each. */

export const documents: Readonly<Record<string, string>> = {
  'docs/billing.md': [
    '# Billing',
    '',
    'An invoice is sent on the first working day of each month.',
    'When a payment fails, the system retries it three times within ten days.',
    'After the third failed payment the account is suspended and its owner gets a letter.',
    '',
  ].join('\n'),
  'docs/support.md': [
    '# Support',
    '',
    'Support answers within four hours on working days.',
    'A suspended account is opened again once the invoice is paid.',
    '',
  ].join('\n'),
  'docs/guides/backup.md': ['# Backups', '', 'Backups are kept for thirty-five days in two regions.', 'A restore is rehearsed every quarter.', ''].join('\n'),
};

/** Whether a quote stands in that line of that document, word for word. */
export const stands = ({ file, line, quote }: { readonly file: string; readonly line: number; readonly quote: string }): boolean =>
  documents[file]?.split('\n')[line - 1]?.includes(quote) ?? false;
