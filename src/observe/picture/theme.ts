/** The colours of a picture. */
export type ThemeName = 'light' | 'dark';

export type Theme = {
  readonly paper: string;
  readonly ink: string;
  readonly muted: string;
  readonly guard: string;
  /** What goes out to others. */
  readonly says: string;
  readonly line: string;
  readonly box: string;
  readonly boxBorder: string;
  readonly bar: string;
  /** Of a box that holds others, by how deep it stands. */
  readonly holders: readonly string[];
  readonly holderBar: string;
  readonly pill: string;
  readonly pillBorder: string;
  readonly failure: string;
  readonly failureFill: string;
  readonly success: string;
  readonly successFill: string;
  readonly active: string;
  readonly activeFill: string;
  readonly taken: string;
  readonly takenFill: string;
};

export const themes: Readonly<Record<ThemeName, Theme>> = {
  light: {
    paper: '#ffffff',
    ink: '#1a2233',
    muted: '#667085',
    guard: '#7a4fb5',
    says: '#0b6e8f',
    line: '#7d889c',
    box: '#ffffff',
    boxBorder: '#b9c2d0',
    bar: '#eaeef6',
    holders: ['#f6f8fb', '#eef2f8', '#e6ebf4'],
    holderBar: '#dfe6f1',
    pill: '#ffffff',
    pillBorder: '#d5dbe5',
    failure: '#b3443f',
    failureFill: '#fbefee',
    success: '#2c7a4b',
    successFill: '#edf7f0',
    active: '#d98a00',
    activeFill: '#fff1cc',
    taken: '#2457d6',
    takenFill: '#e8effd',
  },
  dark: {
    paper: '#11151d',
    ink: '#e8ecf4',
    muted: '#98a3b6',
    guard: '#c3a3f0',
    says: '#6fc6e2',
    line: '#77849b',
    box: '#1d2430',
    boxBorder: '#475368',
    bar: '#2a3342',
    holders: ['#161b25', '#1a202c', '#1f2634'],
    holderBar: '#273041',
    pill: '#1a202b',
    pillBorder: '#3a4558',
    failure: '#e58a84',
    failureFill: '#3a2324',
    success: '#7cc79a',
    successFill: '#1c3127',
    active: '#f0b43c',
    activeFill: '#47391a',
    taken: '#82a8ff',
    takenFill: '#1f2d4d',
  },
};
