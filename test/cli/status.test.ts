import { expect, test } from 'vitest'
import { statusText } from '../../cli/status.ts'
import { Books } from '../../core/books.ts'
import { Status } from '../../core/status.ts'
import { componentDocuments } from '../../service/component-pages.ts'
import { Rates } from '../../service/rates.ts'

const now = Date.now()
const whole = {
  process: { version: '1.2.3', phase: 'running', pid: 7, started: new Date(now - 180_000).toISOString() },
  memory: { rss_bytes: 90 * 2 ** 20, limit_bytes: 512 * 2 ** 20, pressed: false },
  books_faults: [],
  needs_you: [],
  lost_for_good: 0,
  shortages: [],
  doors: [],
}

/** Three exporters, each the first by something else. */
function documents() {
  const books = new Books()
  const figures = { queueCapacity: 100, inFlight: 1, latency: { quantile: () => 12 } }
  const made = [
    { id: 'busy', in: 6000, failed: 0, queueSize: 10, oldest: now - 1000, state: 'OK' },
    { id: 'full', in: 60, failed: 5, queueSize: 90, oldest: now - 2000, state: 'OK' },
    { id: 'sick', in: 0, failed: 1, queueSize: 1, oldest: now - 600_000, state: 'RecoverableError' },
  ] as const
  const components = made.map(({ id, in: items, failed, state }) => {
    const node = books.node({ kind: 'exporter', id, pipeline: '', signal: 'traces' })
    node.in = items
    node.lost.of('expired').value = failed
    const status = new Status()
    status.set('Starting')
    status.set(state, state === 'OK' ? undefined : 'no route\nto host')
    return { kind: 'exporter' as const, id, type: 'sink', pipeline: undefined, status }
  })
  return componentDocuments({
    books,
    rates: new Rates(books, now - 60_000),
    components: () => components,
    exporters: () => made.map(one => ({ ...figures, ...one, signal: 'traces' as const })),
  })
}

const ids = (text: string) => [...text.matchAll(/^(\w+) +exporter /gm)].map(match => match[1])

test.each([
  [undefined, ['busy', 'full', 'sick']],
  ['rate', ['busy', 'full', 'sick']],
  ['queue', ['full', 'busy', 'sick']],
  ['age', ['sick', 'full', 'busy']],
  ['errors', ['sick', 'full', 'busy']],
  ['name', ['busy', 'full', 'sick']],
] as const)('sorted by %s', (sort, expected) => {
  expect(ids(statusText(whole, documents(), { sort }))).toEqual(expected)
})

test.each([
  ['FULL', ['full']],
  ['recoverable', ['sick']],
  ['exporter', ['busy', 'full', 'sick']],
  ['nothing like it', []],
])('filtered by %s', (filter, expected) => {
  expect(ids(statusText(whole, documents(), { filter }))).toEqual(expected)
})

test('the page has the process and a line for each component', () => {
  const text = statusText(whole, documents(), {})
  expect(text).toMatch(/^kymo 1\.2\.3, running for 3m, pid 7, 90 MiB of 512 MiB, books balance\n/)
  expect(text).toMatch(/^busy +exporter +traces +OK \S+ +100 +0 +0 +0 +10% +\S+ +12ms$/m)
})

test('of a process that stops, how long it has run is not told as how long it has been stopping', () => {
  const stopping = { ...whole, process: { ...whole.process, phase: 'stopping' } }
  expect(statusText(stopping, [], {})).toMatch(/^kymo 1\.2\.3, stopping, started 3m ago, pid 7,/)
})

test('refused, rejected or dead, and lost stand apart, and what is gone for good above what is to come again', () => {
  const books = new Books()
  const components = ['come-again', 'aside', 'gone'].map(id => {
    const node = books.node({ kind: 'exporter', id, pipeline: '', signal: 'traces' })
    if (id === 'come-again') {
      node.returned.of('DELIVERY_QUEUE_FULL').value = 500
      node.refused.of('queue_full').value = 400
    } else if (id === 'aside') {
      node.rejected.of('malformed').value = 3
      node.deadLettered.of('rejected').value = 20
    } else node.lost.of('expired').value = 24
    const status = new Status()
    status.set('Starting')
    status.set('OK')
    return { kind: 'exporter' as const, id, type: 'sink', pipeline: undefined, status }
  })
  const rates = new Rates(books, now - 60_000)
  const sources = { books, rates, components: () => components, exporters: () => [] }
  const text = statusText(whole, componentDocuments(sources), { sort: 'errors' })
  const [headings, ...lines] = text.split('\n').filter(line => /^(COMPONENT|\S+ +exporter)/.test(line))
  const columns = ['DROPPED', 'REFUSED', 'REJECTED', 'LOST']
  const cells = (line: string) => columns.map(name => line.slice(0, line.indexOf(name) + name.length))
  const ends = cells(headings ?? '').map(part => part.length)
  const numbers = lines.map(line => ends.map(end => Number(/\d+$/.exec(line.slice(0, end))?.[0])))
  expect(lines.map((line, i) => [line.split(' ')[0], numbers[i]])).toEqual([
    ['gone', [0, 0, 0, 24]],
    ['aside', [0, 0, 23, 0]],
    ['come-again', [0, 900, 0, 0]],
  ])
  expect(statusText(whole, componentDocuments(sources), { filter: 'aside' })).toMatch(/DROPPED +REJECTED +QUEUE/)
})

test('who keeps the most beside the data is told, once that is much', () => {
  const [first] = ['prometheus', 'loki'].map((id, i) => ({ id, bytes: (40 - 30 * i) * 2 ** 20 }))
  const head = (kept: readonly { id: string; bytes: number }[]) =>
    statusText({ ...whole, memory: { ...whole.memory, kept } }, [], {}).split('\n')[0]
  expect(head([{ id: 'loki', bytes: 10 * 2 ** 20 }, first])).toContain('90 MiB of 512 MiB (40 MiB kept by prometheus),')
  expect(head([{ id: 'loki', bytes: 10 * 2 ** 20 }])).toContain('90 MiB of 512 MiB,')
})

test('what was turned away comes before the table', () => {
  const doors = [
    {
      receiver: 'otlp',
      transport: 'http',
      turned_away: [
        { status: 'none', reason: 'handshake', requests: 2 },
        { status: '503', reason: 'queue_full', requests: 1234 },
      ],
    },
  ]
  const text = statusText({ ...whole, doors }, documents(), {})
  expect(text).toMatch(
    /^Turned away since the start: 1\.2k queue_full \(otlp\/http 503\), 2 handshake \(otlp\/http\); see `kymo senders --refused`\n\nCOMPONENT/m,
  )
})
