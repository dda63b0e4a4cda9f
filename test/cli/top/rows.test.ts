import { expect, test } from 'vitest'
import { columns, rowsOf } from '../../../cli/top/rows.ts'
import { lookOf, type Made, pipeline } from './documents.ts'

const made: readonly Made[] = [
  { id: 'busy', queueSize: 10, oldest: Date.now() - 1000 },
  { id: 'full', queueSize: 90, oldest: Date.now() - 2000, lost: 5 },
  { id: 'sick', queueSize: 1, oldest: Date.now() - 600_000, state: 'RecoverableError', error: 'no route', lost: 1 },
]
const pipelines = [
  pipeline('traces', { items_per_second: { in: 5, out: 4 } }),
  pipeline('logs', { items_per_second: { in: 50, out: 40 }, held: 1 }),
]
const cellOf = (cells: readonly string[], of: 'pipeline' | 'exporter', heading: string) =>
  cells[columns[of].findIndex(column => column.heading === heading)]

test.each([
  [undefined, ['traces', 'logs', 'busy', 'full', 'sick']],
  ['rate', ['logs', 'traces', 'busy', 'full', 'sick']],
  ['queue', ['logs', 'traces', 'full', 'busy', 'sick']],
  ['age', ['traces', 'logs', 'sick', 'full', 'busy']],
  ['errors', ['traces', 'logs', 'sick', 'full', 'busy']],
  ['name', ['logs', 'traces', 'busy', 'full', 'sick']],
] as const)('sorted by %s, pipelines stay before exporters', (sort, ids) => {
  expect(rowsOf(lookOf(made, pipelines), { sort, filter: '' }).map(({ id }) => id)).toEqual(ids)
})

test.each([
  ['FULL', ['full']],
  ['recoverable', ['sick']],
  ['no route', ['sick']],
  ['exporter', ['busy', 'full', 'sick']],
  ['otlp ->', ['traces', 'logs']],
  ['nothing like it', []],
])('filtered by %s', (filter, ids) => {
  expect(rowsOf(lookOf(made, pipelines), { sort: undefined, filter }).map(({ id }) => id)).toEqual(ids)
})

test.each([
  ['QUEUE', { queueSize: 25 }, '25%'],
  ['OLDEST', { oldest: Date.now() - 3_600_000 * 5 }, '5h'],
  ['OLDEST', {}, ''],
  ['NEXT', { nextAttempt: 29_500 }, '30s'],
  ['NEXT', { nextAttempt: 0 }, 'now'],
  ['NEXT', {}, ''],
  ['LOST', { lost: 1200 }, '1.2k'],
  ['ERROR', { state: 'RecoverableError', error: 'refused' }, 'refused'],
  // What is over is no error any more.
  ['ERROR', { state: 'OK' }, ''],
] as const)('%s of an exporter with %j is `%s`', (heading, one, text) => {
  const [row] = rowsOf(lookOf([{ id: 'a', ...one }], []), { sort: undefined, filter: '' })
  expect(cellOf(row.cells, 'exporter', heading)).toBe(text)
})

test('versions that tell neither pipelines nor next attempts have their exporters', () => {
  const look = lookOf(made)
  const { pipelines: _, ...whole } = look.whole
  const parts = look.components.map(one => ({
    ...one,
    parts: one.parts.map(({ queue, ...part }) => {
      const { next_attempt_in_seconds: _, ...older } = queue!
      return { ...part, queue: older }
    }),
  }))
  const rows = rowsOf({ at: look.at, whole, components: parts as never }, { sort: undefined, filter: '' })
  expect(rows.map(({ id, cells }) => [id, cellOf(cells, 'exporter', 'NEXT')])).toEqual([
    ['busy', ''],
    ['full', ''],
    ['sick', ''],
  ])
})

test('nothing that a terminal would obey is in a cell; it is to be seen instead', () => {
  const bad = 'a\u001b[2J\u202eb\n'
  const look = lookOf([{ id: bad, state: 'RecoverableError', error: bad }], [pipeline(bad, { receivers: [bad] })])
  const rows = rowsOf(look, { sort: undefined, filter: '' })
  // eslint-disable-next-line no-control-regex -- these are what is looked for
  for (const { cells, error } of rows) expect([...cells, error].join('')).not.toMatch(/[\u0000-\u001f\u202e]/)
  expect(rows[0].cells[0]).toBe('a\\u001b[2J\\u202eb\\u000a')
  // Asked about is what the process calls it.
  expect(rows[0].id).toBe(bad)
})
