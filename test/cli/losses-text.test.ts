/** The page of `kymo losses` as text. */
import { expect, test } from 'vitest'
import { lossesText } from '../../cli/losses.ts'
import type { LossesDocument } from '../../service/losses.ts'

test.each<[string, Partial<LossesDocument>, string[]]>([
  ['nothing came in', {}, ['nothing was lost in the last 15m', 'Nothing came in in the last 15m.']],
  ['the process is younger', { since_start: true }, [/^nothing was lost since the process started \S+ ago$/m.source]],
  [
    'the books do not balance',
    { books_faults: ['exporter sink (traces): 2 items unaccounted for'] },
    ['The books do not balance, which is a fault of Kymo', 'exporter sink \\(traces\\): 2 items unaccounted for'],
  ],
  [
    'requests were turned away',
    { turned_away: [{ receiver: 'otlp', reason: 'memory', requests: 3 }] },
    ['^Requests turned away at the door: 3 memory at otlp\n  kymo senders --refused$'],
  ],
])('the page says so when %s', (_, part, expected) => {
  const nothing: LossesDocument = {
    from: new Date(Date.now() - 900_000).toISOString(),
    until: new Date().toISOString(),
    since_start: false,
    lost_for_good: 0,
    signals: [],
    books_faults: [],
    turned_away: [],
    by: 'reason',
    rows: [],
  }
  const text = lossesText({ ...nothing, ...part }, '15m')
  for (const words of expected) expect(text).toMatch(new RegExp(words, 'm'))
})
