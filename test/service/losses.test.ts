/** What `kymo losses` says, against what senders were answered, what sinks have and what lies on disk. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, onTestFinished, test } from 'vitest'
import { lossesText } from '../../cli/losses.ts'
import { DeliveryError } from '../../core/errors.ts'
import { count } from '../../connectors/count/count.ts'
import { namespaceFilter } from '../../processors/namespace_filter.ts'
import { redaction } from '../../processors/redaction/redaction.ts'
import { Losses, type LossesDocument, type LossRow, type SignalLosses } from '../../service/losses.ts'
import { MovableClock } from '../support/clock.ts'
import { kymo } from '../support/command.ts'
import { toyGraph, type ToyGraph, type ToyParts } from '../support/graph.ts'
import { names, tracesRequest } from '../support/otlp-bytes.ts'
import { type OtlpSink, otlpSink, type Received } from '../support/otlp-sink.ts'
import { runService } from '../support/service.ts'

const ended = { dropped: 0, rejected: 0, dead_lettered: 0, lost: 0, refused: 0 }

/** Both sides of a signal's equation, added up by the test itself. */
function sidesOf(one: SignalLosses): { came: number; went: number } {
  return {
    came: one.in + one.waited + one.recovered + one.copied + one.made,
    went:
      one.delivered +
      one.dropped +
      one.rejected +
      one.dead_lettered +
      one.lost +
      one.refused +
      one.made_into_other +
      one.left +
      one.waiting,
  }
}

function expectBalance({ signals, books_faults }: LossesDocument): void {
  expect(books_faults).toEqual([])
  for (const one of signals) {
    const { came, went } = sidesOf(one)
    expect([one.unaccounted, came]).toEqual([0, went])
  }
}

test('five ways to lose data at once: all of it is told by reason and component, and nothing else', async () => {
  const sinks = await Promise.all(Array.from({ length: 4 }, () => otlpSink()))
  const [part, aside, full, late] = sinks as [OtlpSink, OtlpSink, OtlpSink, OtlpSink]
  const directory = mkdtempSync(join(tmpdir(), 'kymo-losses-'))
  onTestFinished(async () => {
    await Promise.all(sinks.map(sink => sink.close()))
    rmSync(directory, { recursive: true })
  })
  const bad = ({ items }: Received, prefix: string): number =>
    items.filter(({ item }) => String(item['name']).startsWith(prefix)).length
  part.answer = request => {
    const rejected = bad(request, 'bad')
    return rejected === 0 ? undefined : { rejected, message: 'too old' }
  }
  aside.answer = request => (bad(request, 'poison') > 0 ? { code: 3, message: 'no' } : undefined)
  const opened = Promise.withResolvers<undefined>()
  full.answer = () => opened.promise
  late.answer = () => ({ code: 14, message: 'down' })
  const running = await runService(`
receivers: {otlp: {protocols: {http: {endpoint: '127.0.0.1:0'}}}}
processors: {namespace_filter: {exclude: [test, load]}}
extensions: {file_storage: {directory: '${directory}'}}
exporters:
  otlp_http/part: {endpoint: '${part.httpEndpoint}'}
  otlp_http/aside: {endpoint: '${aside.httpEndpoint}', sending_queue: {storage: file_storage}}
  otlp_http/full: {endpoint: '${full.httpEndpoint}', sending_queue: {queue_size: 2, num_consumers: 1, when_full: drop}}
  otlp_http/late:
    endpoint: '${late.httpEndpoint}'
    retry_on_failure: {initial_interval: 20ms, max_interval: 50ms, max_elapsed_time: 200ms}
service:
  extensions: [file_storage]
  pipelines:
    traces: {receivers: [otlp], processors: [namespace_filter], exporters: [otlp_http/part, otlp_http/aside, otlp_http/full, otlp_http/late]}
`)
  const sent = { test: 0, load: 0, shop: 0 }
  for (let i = 0; i < 8; i++) {
    const resources = [
      { namespace: 'test', spans: names('t', 3) },
      {
        namespace: 'shop',
        spans: [...names('s', 4), ...(i === 2 ? names('bad', 2) : []), ...(i === 5 ? ['poison'] : [])],
      },
      { namespace: 'load', spans: names('l', i) },
    ] as const
    for (const { namespace, spans } of resources) sent[namespace] += spans.length
    const headers = { 'content-type': 'application/x-protobuf' }
    const body = new Uint8Array(tracesRequest(resources))
    const answer = await fetch(`http://${running.endpoints[0]}/v1/traces`, { method: 'POST', headers, body })
    expect(answer.status).toBe(200)
  }
  opened.resolve(undefined)
  const document = async (query = ''): Promise<LossesDocument> =>
    JSON.parse(await running.page(`/v1/losses?${query}`)) as LossesDocument
  await expect.poll(async () => (await document()).signals[0]?.waiting, { timeout: 20_000 }).toBe(0)

  // What the sinks have, and what lies on disk, is the truth.
  const taken = (sink: OtlpSink): number => sink.items('traces').length
  const { dead_letters: letters } = JSON.parse(await running.page('/v1/dead-letters')) as {
    dead_letters: { items: number }[]
  }
  const dead = letters.reduce((sum, { items }) => sum + items, 0)
  expect([taken(part), taken(aside), taken(late), dead]).toEqual([sent.shop, sent.shop - 1, 0, 1])
  const whole = await document()
  const overflow = sent.shop - taken(full)
  expect(overflow).toBeGreaterThan(0)
  expect(whole.signals).toMatchObject([
    {
      signal: 'traces',
      in: sent.test + sent.load + sent.shop,
      copied: 3 * sent.shop,
      delivered: taken(part) - 2 + taken(aside) + taken(full),
      dropped: sent.test + sent.load,
      rejected: 2,
      dead_lettered: 1,
      lost: overflow + sent.shop,
      refused: 0,
    },
  ])
  expectBalance(whole)
  const sorted = (rows: LossesDocument['rows']) => rows.map(row => JSON.stringify(row)).toSorted()
  const at = (component: string, kind = 'exporter') => ({ kind, component, of: 'traces' })
  const rows = [
    { ...at('otlp_http/late'), reason: 'expired', ...ended, lost: sent.shop },
    { ...at('otlp_http/full'), reason: 'queue_full', ...ended, lost: overflow },
    { ...at('otlp_http/part'), reason: 'partial_success', ...ended, rejected: 2 },
    { ...at('otlp_http/aside'), reason: 'rejected', ...ended, dead_lettered: 1 },
    { ...at('namespace_filter', 'processor'), reason: 'namespace_excluded', ...ended, dropped: sent.test + sent.load },
  ]
  expect(sorted(whole.rows)).toEqual(sorted(rows))
  expect((await document('by=receiver')).rows).toEqual([
    {
      receiver: 'otlp',
      signal: 'traces',
      in: whole.signals[0]?.in,
      accepted: whole.signals[0]?.in,
      rejected: 0,
      refused: 0,
    },
  ])
  const byNamespace = await document('by=namespace')
  expect(byNamespace.rows).toEqual(
    [
      { value: 'shop', ...ended, rejected: 2, dead_lettered: 1, lost: overflow + sent.shop },
      { value: 'test', ...ended, dropped: sent.test },
      { value: 'load', ...ended, dropped: sent.load },
    ].toSorted((a, b) => b.lost - a.lost || b.dropped - a.dropped),
  )

  const { code, out } = await kymo(['losses', '--admin', `http://${running.service.adminAddress}`])
  expect(code).toBe(2)
  expect(out).toContain(`${overflow + sent.shop} items were lost since the process started`)
  expect(out).toContain('kymo batches --what lost --since 15m\n')
  expect(out).toContain('2 items were rejected for good')
  expect(out).toContain('kymo queue ls --dead-letters\n')
  expect(out).toMatch(new RegExp(`^otlp_http/full +exporter +traces +queue_full( +0){3} +${overflow} +0$`, 'm'))
  expect(out).toMatch(/^traces {2}\d+ in \+ \d+ copies for other destinations = \d+ delivered .* 0 waiting$/m)
  await running.stop()
})

/** A graph of toys whose losses are told by a clock that the test moves. */
let toy: ToyGraph
afterEach(async () => {
  await toy?.graph.stop(50)
  expect(toy?.books.faults() ?? []).toEqual([])
})

async function start(parts: ToyParts) {
  toy = await toyGraph(parts)
  const clock = new MovableClock()
  const losses = new Losses(toy.books, toy.journal, undefined, clock)
  losses.start()
  return { clock, told: (query: Record<string, string> = {}) => losses.document(query) }
}

/** The same by the clock of the machine, which the journal goes by. */
async function startNow(parts: ToyParts) {
  toy = await toyGraph(parts)
  const losses = new Losses(toy.books, toy.journal, undefined)
  return { told: (query: Record<string, string> = {}) => losses.document(query) }
}

const spans = (n: number, namespace = 'shop') => tracesRequest([{ namespace, spans: names('s', n) }])
const refuse = (kind: 'retry' | 'rejected') => () =>
  Promise.reject(new DeliveryError(kind === 'retry' ? 'DELIVERY_BUSY' : 'DELIVERY_REJECTED', kind, 'no'))
const waits = { sending_queue: { enabled: false }, retry_on_failure: { enabled: false } }
const filter = { namespace_filter: { definition: namespaceFilter } }

test.each<[string, ToyParts, () => Promise<unknown>, Partial<SignalLosses>[]]>([
  ['what is delivered', { exporters: { sink: {} } }, () => toy.push(spans(3)).outcome, [{ in: 3, delivered: 3 }]],
  [
    'what goes to two destinations of one pipeline and to another pipeline',
    {
      exporters: { sink: {}, 'sink/b': {} },
      pipelines: [{ exporters: ['sink', 'sink/b'] }, { id: 'traces/b', exporters: ['sink/b'] }],
    },
    () => toy.push(spans(3)).outcome,
    [{ in: 3, copied: 6, delivered: 9 }],
  ],
  [
    'what is given back to its sender',
    { exporters: { sink: waits } },
    () => ((toy.sinks['sink'].behave = refuse('retry')), toy.push(spans(3)).outcome),
    [{ in: 3, refused: 3 }],
  ],
  [
    'what is rejected',
    { exporters: { sink: waits } },
    () => ((toy.sinks['sink'].behave = refuse('rejected')), toy.push(spans(1)).outcome),
    [{ in: 1, rejected: 1 }],
  ],
  [
    'what waits',
    { exporters: { sink: {} } },
    () => ((toy.sinks['sink'].behave = () => new Promise(() => {})), toy.push(spans(4)).outcome),
    [{ in: 4, waiting: 4 }],
  ],
  [
    'what a connector makes of other data',
    {
      exporters: { sink: {}, 'sink/m': {} },
      components: { count: { definition: count } },
      pipelines: [{ exporters: ['sink', 'count'] }, { id: 'metrics', receivers: ['count'], exporters: ['sink/m'] }],
    },
    () => toy.push(spans(5)).outcome,
    [
      { in: 5, copied: 5, delivered: 5, made_into_other: 5 },
      { signal: 'metrics', made: 1, delivered: 1 },
    ],
  ],
])('the equation holds of %s', async (_, parts, push, expected) => {
  const { told, clock } = await start(parts)
  await push()
  const none = {
    in: 0,
    waited: 0,
    recovered: 0,
    copied: 0,
    made: 0,
    ...ended,
    delivered: 0,
    made_into_other: 0,
    left: 0,
  }
  const whole = expected.map(one => ({ signal: 'traces', ...none, waiting: 0, unaccounted: 0, ...one }))
  await expect.poll(() => told().signals).toEqual(whole)
  expectBalance(told())
  // What waits is in the next range, too, and nothing else is.
  await clock.advance(60_000)
  const later = told({ since: '30s' })
  expectBalance(later)
  const waiting = expected[0]?.waiting ?? 0
  expect(later.signals.map(({ in: taken, waited, waiting: now }) => [taken, waited, now])).toEqual(
    waiting > 0 ? [[0, waiting, waiting]] : [],
  )
})

test('more than an hour later it is still told what was lost, where and whose', async () => {
  const { told, clock } = await start({
    exporters: { sink: {} },
    components: filter,
    pipelines: [{ processors: ['namespace_filter'], exporters: ['sink'] }],
  })
  await toy.push(spans(5, 'kube-system')).outcome
  await toy.push(spans(2, 'istio-system')).outcome
  await clock.advance(90 * 60_000)
  await toy.push(spans(3, 'kyma-system')).outcome
  const rows = (since: string): LossRow[] => told({ since, by: 'namespace' }).rows as LossRow[]
  const dropped = (since: string) => rows(since).map(({ value, dropped: n }) => [value, n])
  expect(dropped('15m')).toEqual([['kyma-system', 3]])
  expect(dropped('85m')).toEqual([['kyma-system', 3]])
  const all = [
    ['kube-system', 5],
    ['kyma-system', 3],
    ['istio-system', 2],
  ]
  expect(dropped('89m49s')).toEqual([['kyma-system', 3]])
  expect(dropped('89m55s')).toEqual(all)
  expect(dropped('48h')).toEqual(all)
  await clock.advance(5 * 3_600_000)
  expect(told({ since: '4h' }).rows).toEqual([])
  expect(told({ since: '6h' })).toMatchObject({ since_start: false, signals: [{ in: 3, dropped: 3 }] })
  expect(dropped('6h')).toEqual([['kyma-system', 3]])
  expect(dropped('23h')).toEqual(all)
})

/** A request of requests with a namespace, put together before it is sent. */
const gathered = { sending_queue: { batch: { min_size: 40, flush_timeout: '5s' } } }

test('of requests that were sent as one it is told whose each was', async () => {
  const { told } = await startNow({ exporters: { sink: { ...gathered, retry_on_failure: { enabled: false } } } })
  toy.sinks['sink'].behave = refuse('retry')
  await Promise.all([spans(25, 'shop'), spans(15, 'cart')].map(body => toy.push(body).outcome))
  await expect.poll(() => told().lost_for_good).toBe(40)
  const { rows, known } = told({ by: 'namespace' })
  expect(rows).toMatchObject([
    { value: 'shop', lost: 25 },
    { value: 'cart', lost: 15 },
  ])
  expect(known).toEqual({ items: 40, of: 40 })
})

test('of a part of several requests nobody knows whose it is, and that is told', async () => {
  const { told } = await startNow({ exporters: { sink: gathered } })
  toy.sinks['sink'].behave = () => Promise.resolve({ rejected: 7, message: 'seven are wrong' })
  await Promise.all([spans(25, 'shop'), spans(15, 'cart')].map(body => toy.push(body).outcome))
  await expect.poll(() => told().lost_for_good).toBe(7)
  const document = told({ by: 'namespace' })
  expect(document.rows).toMatchObject([{ value: '(not told)', rejected: 7 }])
  expect(document.known).toEqual({ items: 0, of: 7 })
  expect(lossesText(document, '15m')).toContain('Whose it was is known of 0 of 7 items')
})

test('what the journal keeps no more is told as a count', async () => {
  const { told } = await startNow({ exporters: { sink: waits } })
  toy.sinks['sink'].behave = refuse('rejected')
  for (let i = 0; i < 300; i++) await toy.push(spans(1, 'shop')).outcome
  const { rows, known } = told({ by: 'k8s.namespace.name' })
  // Twenty samples a second, of 256 records.
  const shown = rows.find(row => 'value' in row && row.value === 'shop') as LossRow
  expect(shown.rejected).toBe(known?.items)
  expect(known?.items).toBeGreaterThan(0)
  expect(rows.reduce((sum, row) => sum + row.rejected, 0)).toBe(300)
})

test('a filter counts what it dropped by namespace, all of it, up to a number of values', async () => {
  const { told } = await start({
    exporters: { sink: {} },
    components: { namespace_filter: { definition: namespaceFilter, config: { include: ['shop'] } } },
    pipelines: [{ processors: ['namespace_filter'], exporters: ['sink'] }],
  })
  for (let i = 0; i < 300; i++) await toy.push(spans(1, `n${i % 100}`)).outcome
  const { rows, known } = told({ by: 'namespace' })
  expect(known).toEqual({ items: 300, of: 300 })
  expect(rows).toHaveLength(51)
  expect(rows[0]).toMatchObject({ value: '(other values)', dropped: 150 })
  expect(rows.slice(1).every(row => 'dropped' in row && row.dropped === 3)).toBe(true)
})

test('where a configuration redacts, values are told only of what has been redacted', async () => {
  const redact = { definition: redaction, config: { allow_all_keys: true, blocked_values: ['[0-9]{4}'] } }
  const { told } = await startNow({
    exporters: { sink: waits },
    components: { ...filter, redaction: redact },
    pipelines: [{ processors: ['namespace_filter', 'redaction'], exporters: ['sink'] }],
  })
  toy.sinks['sink'].behave = refuse('rejected')
  await toy.push(spans(2, 'kube-system')).outcome
  await toy.push(spans(1, 'shop-1234')).outcome
  expect(told({ by: 'namespace' }).rows).toMatchObject([
    { value: 'shop-****', rejected: 1 },
    { value: '(not redacted yet)', dropped: 2 },
  ])
})

test('an equation that does not hold is told with what is missing', async () => {
  const { told } = await start({ exporters: { sink: {} } })
  await toy.push(spans(3)).outcome
  const [node] = toy.books.nodes.filter(({ name }) => name.kind === 'exporter')
  await expect.poll(() => node?.delivered).toBe(3)
  if (node !== undefined) node.delivered -= 2
  const document = told()
  expect(document.signals).toMatchObject([{ in: 3, delivered: 1, unaccounted: 2 }])
  expect(lossesText(document, '15m')).toContain('≠ 1 delivered')
  expect(lossesText(document, '15m')).toContain('does not balance: 2 unaccounted for')
  if (node !== undefined) node.delivered += 2
})

test.each([
  ['reson', 'did you mean `reason`?'],
  ['namespaces', 'did you mean `namespace`?'],
  ['team', undefined],
  ['constructor', undefined],
  ['__proto__', undefined],
  ['namespace', undefined],
])('an attribute that nothing has may be a misspelt word: %s', async (by, hint) => {
  const { told } = await startNow({ exporters: { sink: waits } })
  toy.sinks['sink'].behave = refuse('rejected')
  await toy.push(tracesRequest([{ spans: ['a'] }])).outcome
  const document = told({ by })
  expect(document.rows).toMatchObject([{ value: '(none)', rejected: 1 }])
  if (hint === undefined) expect(document.hint).toBeUndefined()
  else expect(lossesText(document, '15m')).toContain(hint)
})

test.each([
  ['since=yesterday', '`since`: `yesterday` is no time'],
  ['bye=reason', 'there is no parameter `bye`'],
])('a question that cannot be answered says why: %s', async (query, message) => {
  const { told } = await start({ exporters: { sink: {} } })
  expect(() => told(Object.fromEntries(new URLSearchParams(query)))).toThrow(message)
})
