/** What this model knows of words: which mean nearly the same, and which only say that something is to be done. */
import { stem } from '../../tool/stem.ts';

const ALIKE: readonly string[] = [
  'install setup set-up',
  'delete remove erase drop uninstall discard',
  'start run launch begin execute',
  'stop end quit exit abort terminate halt bail finish',
  'config configure configuration settings option setting preference',
  'error exception failure fail throw',
  'maximum max limit most cap upper',
  'minimum min least lower',
  'disable off deactivate suppress',
  'enable on activate',
  'change modify alter adjust override customise customize edit',
  'create make generate produce build',
  'cost price fee charge rate pay paid payment reimburse refund',
  'charge responsible head lead manager boss',
  'allow permit may able possible',
  'forbid prohibit ban refuse disallow',
  'required mandatory must necessary need obligatory',
  'quick fast speed performance',
  'directory folder',
  'argument parameter param',
  'test spec',
  'show display print output log',
  'author writer creator maintainer',
  'begin open',
  'time hour clock',
  'often frequency interval every',
  'length long duration',
  'employee staff worker colleague personnel',
  'holiday vacation leave',
  'buy purchase order acquire',
  'repair fix mend',
  'kid child children',
  'phone telephone',
  'version release',
  'ignore skip exclude omit',
  'support compatible',
  'custom own',
  'validate check verify',
  'parse read',
  'convert transform coerce cast',
  'optional optionally',
  'colour color',
  'licence license',
  'reason because why cause',
  'purpose goal aim',
  'beside alongside parallel concurrent',
  'backup copy',
  'retry again repeat',
  'keep kept retain retention store hold held preserve',
  'lose lost loss missing',
  'fly flew flight plane',
  'pick collect fetch',
  'medical doctor physician',
  'own private personal',
  'phone device laptop',
  'wine beer alcohol',
  'car vehicle drive drove driven',
  'build built construct',
  'buy bought sell sold',
  'give gave given grant',
  'take took taken',
  'meet met meeting',
  'write wrote written',
  'choose chose chosen select pick',
  'found founded founder establish',
  'big large size',
  'wage salary pay',
  'dismiss fire terminate notice',
  'ask request share',
  'remote home',
  'sick ill illness absence',
  'train training course',
  'old age',
  'unused remaining left',
  'two multiple several both second',
  'send write deliver push',
  'member people person',
];

const alike = new Map<string, Set<string>>();
for (const group of ALIKE) {
  const stems = group.split(' ').map(stem);
  for (const one of stems) alike.set(one, new Set([...(alike.get(one) ?? []), ...stems]));
}

/** Terms that may stand for this one; itself not among them. */
export const alikeTerms = (term: string): string[] => [...(alike.get(term) ?? [])].filter((other) => other !== term);

/** Words of instructions. They say nothing about the subject, unless there is nothing else. */
const GENERIC = new Set(
  (
    'find look search read answer question document documents documentation doc docs file folder source sources cite citation quote relevant passage fact facts detail details ' +
    'information info summarise summarize summary report step task explain describe collect gather check verify result finding findings statement exact exactly ' +
    'note write clear short concise reader team thing things way ways mean means happen work works want know tell need needs kind sort belong apply word words text according ' +
    'differ difference versus compare rule rules policy regulation many much long take takes last lasts good best people person someone anything something'
  )
    .split(' ')
    .map(stem),
);

export const isGeneric = (term: string): boolean => GENERIC.has(term);
