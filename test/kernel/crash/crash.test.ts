import { test } from 'node:test';
import { killRounds } from './kill-rounds.js';

const rounds = 3;
const perSecond = 8_000;

test(`${rounds} rounds of kill -9 under ${perSecond} updates/s`, { timeout: rounds * 60_000 }, async (t) => {
  for await (const { text } of killRounds(t, { rounds, perSecond })) t.diagnostic(text);
});
