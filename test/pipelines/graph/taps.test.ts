/** Where taps look, what they may not see, and what becomes of them when another configuration is taken over. */
import { afterEach, expect, test } from 'vitest'
import { forward } from '../../../connectors/forward.ts'
import type { Batch } from '../../../core/batch.ts'
import type { NodeName } from '../../../core/books.ts'
import type { TapSide } from '../../../pipelines/flow/tapped.ts'
import type { TapPlace, TapViewer } from '../../../pipelines/graph/taps.ts'
import { batch } from '../../../processors/batch.ts'
import { namespaceFilter } from '../../../processors/namespace_filter.ts'
import { redaction } from '../../../processors/redaction/redaction.ts'
import { encodeGroups } from '../../../proto/group.ts'
import { toyGraph, type ToyGraph, type ToyParts } from '../../support/graph.ts'
import { spanNames, tracesRequest } from '../../support/otlp-bytes.ts'

let toy: ToyGraph
afterEach(async () => {
  await toy.graph.stop(200)
  expect(toy.books.faults()).toEqual([])
  expect(toy.budget.used).toBe(0)
})

/** Notes what it sees: at which node and side, and names of spans. */
class Noting implements TapViewer {
  readonly seen: string[] = []
  readonly endings: string[] = []

  at({ kind, id, pipeline }: NodeName, sides: readonly TapSide[]) {
    const place = kind === 'processor' ? `${id} in ${pipeline}` : `${kind} ${id}`
    const see = (side: TapSide) => ({
      see: ({ groups }: Batch) => void this.seen.push(`${place} ${side}: ${spanNames(encodeGroups(groups)).join()}`),
    })
    return Object.fromEntries(sides.map(side => [side, see(side)]))
  }

  ended(why: string): void {
    this.endings.push(why)
  }
}

const place = (text: string): TapPlace => {
  const [component, pipeline, side] = text.split(' ').map(word => (word === '-' ? undefined : word))
  return { component, pipeline, side: side as TapSide | undefined }
}
const body = tracesRequest([
  { namespace: 'kube-system', spans: ['system'] },
  { namespace: 'shop', spans: ['mine'] },
])
const redact = { definition: redaction, config: { allow_all_keys: true } }
const filter = { definition: namespaceFilter }
const sinks: ToyParts['exporters'] = { sink: {}, other: {} }

const parts: ToyParts = {
  exporters: sinks,
  components: { namespace_filter: filter, forward: { definition: forward }, batch: { definition: batch } },
  pipelines: [
    { id: 'traces', processors: ['namespace_filter'], exporters: ['sink', 'forward'] },
    { id: 'traces/2', receivers: ['forward'], processors: ['namespace_filter'], exporters: ['other'] },
    { id: 'traces/bare', receivers: ['forward'], exporters: ['other'] },
    { id: 'logs', processors: ['namespace_filter'], exporters: ['sink'] },
  ],
}

test.each<[string, string[]]>([
  ['- - -', ['exporter other in: mine', 'exporter other in: mine', 'exporter sink in: mine']],
  ['toy - -', ['receiver toy out: system,mine']],
  ['toy traces out', ['receiver toy out: system,mine']],
  ['toy logs out', []],
  [
    'namespace_filter - -',
    [
      'namespace_filter in traces in: system,mine',
      'namespace_filter in traces out: mine',
      'namespace_filter in traces/2 in: mine',
      'namespace_filter in traces/2 out: mine',
    ],
  ],
  ['namespace_filter traces in', ['namespace_filter in traces in: system,mine']],
  ['namespace_filter traces/2 out', ['namespace_filter in traces/2 out: mine']],
  ['sink - -', ['exporter sink in: mine']],
  ['other traces/bare -', ['exporter other in: mine', 'exporter other in: mine']],
  ['forward - -', ['connector forward in: mine']],
  ['forward - out', ['connector forward out: mine']],
  ['- traces in', ['namespace_filter in traces in: system,mine']],
  ['- traces -', ['namespace_filter in traces out: mine']],
  ['- traces/bare -', ['connector forward out: mine']],
  ['- traces/bare in', ['connector forward out: mine']],
])('a tap at %s sees %j, and nothing once it is gone', async (where, seen) => {
  toy = await toyGraph(parts)
  const [viewer, another] = [new Noting(), new Noting()]
  toy.graph.tap(place(where), viewer)
  toy.graph.tap(place(where), another)
  toy.graph.untap(another)
  await toy.push(body).outcome
  expect(viewer.seen.toSorted()).toEqual(seen)
  expect(another.seen).toEqual([])
  toy.graph.untap(viewer)
  await toy.push(body).outcome
  expect(viewer.seen.length).toBe(seen.length)
  await expect.poll(() => toy.sinks['sink'].all).toEqual(['mine', 'mine'])
})

test.each<[string, string]>([
  ['toy - in', 'receiver `toy` has no --in: what comes into it is no OTLP yet'],
  ['sink - out', 'exporter `sink` has no --out: what comes out of it is no OTLP'],
  ['namespace_fitler - -', 'nothing here is called `namespace_fitler`'],
  ['- trace -', 'there is no pipeline `trace` here'],
  ['other traces -', 'pipeline `traces` has no `other`'],
  ['- - in', 'say of what'],
])('there is no tap at %s: %s', async (where, message) => {
  toy = await toyGraph(parts)
  expect(() => toy.graph.tap(place(where), new Noting())).toThrow(message)
})

const redacting: ToyParts = {
  exporters: { sink: {}, other: {}, apart: {}, inner: {} },
  components: { namespace_filter: filter, redaction: redact, forward: { definition: forward } },
  pipelines: [
    {
      id: 'traces',
      processors: ['namespace_filter', 'redaction', 'namespace_filter/2'],
      exporters: ['sink', 'forward'],
    },
    { id: 'traces/raw', processors: ['namespace_filter'], exporters: ['other'] },
    { id: 'traces/behind', receivers: ['forward'], processors: ['namespace_filter'], exporters: ['inner'] },
    // None of its data is redacted anywhere.
    { id: 'logs', processors: ['namespace_filter'], exporters: ['apart'] },
  ],
}
const withSecond: ToyParts = {
  ...redacting,
  components: { ...redacting.components, 'namespace_filter/2': filter },
}

test.each<[string, boolean]>([
  ['toy traces out', false],
  ['toy logs out', true],
  ['toy - out', false],
  ['namespace_filter traces in', false],
  ['namespace_filter traces out', false],
  ['redaction - in', false],
  ['redaction - -', false],
  ['redaction - out', true],
  ['namespace_filter/2 - in', true],
  ['namespace_filter/2 - out', true],
  ['- traces in', false],
  ['- traces out', true],
  ['sink - in', true],
  ['forward - in', true],
  ['forward - out', true],
  // The same data, which another pipeline redacts.
  ['namespace_filter traces/raw out', false],
  ['other - in', false],
  ['namespace_filter traces/behind in', true],
  ['inner - in', true],
  ['namespace_filter logs in', true],
  ['apart - in', true],
  ['- - -', false],
])('where a redaction is, a tap at %s is allowed: %s', async (where, isAllowed) => {
  toy = await toyGraph(withSecond)
  const tap = () => toy.graph.tap(place(where), new Noting())
  if (isAllowed) expect(tap).not.toThrow()
  else expect(tap).toThrow(/is not shown: processor `redaction` of pipeline `traces` redacts this data/)
  await toy.push(body).outcome
})

const simple = (...processors: string[]): ToyParts => ({
  exporters: { sink: {} },
  components: { namespace_filter: filter, redaction: redact },
  pipelines: [{ processors, exporters: ['sink'] }],
})

test('over a reload a tap goes on, at the instances that run then', async () => {
  toy = await toyGraph(simple('namespace_filter'))
  const viewer = new Noting()
  toy.graph.tap(place('namespace_filter - out'), viewer)
  const changed = { definition: namespaceFilter, config: { system: true } }
  const { over } = await toy.reload({ ...simple('namespace_filter'), components: { namespace_filter: changed } })
  await toy.push(body).outcome
  await over
  await toy.push(body).outcome
  expect(viewer.seen).toEqual(Array(2).fill('namespace_filter in traces out: system,mine'))
  expect(viewer.endings).toEqual([])
})

test.each<[string, ToyParts, RegExp]>([
  [
    'a redaction comes behind it',
    simple('namespace_filter', 'redaction'),
    /taken over: what comes out of .* `redaction`/,
  ],
  ['its component is gone', { ...simple(), components: {} }, /taken over: nothing here is called `namespace_filter`/],
])('a tap ends with a word when %s', async (_, after, message) => {
  toy = await toyGraph(simple('namespace_filter'))
  const viewer = new Noting()
  toy.graph.tap(place('namespace_filter - out'), viewer)
  await (
    await toy.reload(after)
  ).over
  await toy.push(body).outcome
  expect(viewer.seen).toEqual([])
  expect(viewer.endings).toEqual([expect.stringMatching(message)])
})

test('what a redaction was to redact is not shown while it may still be on its way', async () => {
  toy = await toyGraph(simple('redaction'))
  const gone = simple('namespace_filter')
  const { over } = await toy.reload(gone)
  expect(() => toy.graph.tap(place('sink - in'), new Noting())).toThrow('a redaction was taken out just now')
  await over
  expect(() => toy.graph.tap(place('sink - in'), new Noting())).not.toThrow()
})
