import { createExtractiveAdapter, EXTRACTIVE_MODEL } from '../../src/capabilities/model/extractive/adapter.ts';
import { modelAdapterSuite } from './model-adapter-suite.ts';

modelAdapterSuite('extractive', () => ({ adapter: createExtractiveAdapter({ now: Date.now }), model: EXTRACTIVE_MODEL }));
