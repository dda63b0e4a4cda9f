/** One processor in a graph, and what it makes of a request, as the oracle reads it. */
import { expect } from 'vitest'
import * as z from 'zod'
import type { Batch } from '../../core/batch.ts'
import type { Reasons } from '../../core/books.ts'
import { defineExporter, type ExporterDefinition, type ProcessorDefinition } from '../../core/component.ts'
import { sending } from '../../core/sending.ts'
import { encodeGroups } from '../../proto/group.ts'
import { readRequest } from '../../proto/request.ts'
import { allSignals, type Signal } from '../../proto/signals.ts'
import { toyGraph } from './graph.ts'
import { type FlatItem, flatten, type Plain } from './otlp.ts'

/** What came of one request. */
export interface Processed {
  readonly body: Buffer
  readonly items: readonly FlatItem[]
  /** Items dropped, by reason. */
  readonly dropped: Readonly<Record<string, number>>
  /** Items rejected, by reason. */
  readonly rejected: Readonly<Record<string, number>>
  /** Resource groups that came out. */
  readonly groups: number
}

/** An exporter that keeps what it is sent. */
function keeper(batches: Batch[]): ExporterDefinition {
  return defineExporter({
    type: 'keep',
    stability: 'stable',
    summary: 'Keeps what it is sent.',
    signals: allSignals,
    ordering: 'none',
    config: z.strictObject(sending()),
    examples: [],
    create: () => ({
      async send(batch) {
        batches.push(batch)
        return undefined
      },
    }),
  })
}

/** Says later how many items more there are of each reason. */
function counting(reasons: Reasons | undefined): () => Record<string, number> {
  const all = () => [...(reasons?.all() ?? [])]
  const before = new Map(all().map(({ reason, value }) => [reason, value]))
  return () => {
    const more = all().map(({ reason, value }) => [reason, value - (before.get(reason) ?? 0)] as const)
    return Object.fromEntries(more.filter(([, value]) => value > 0))
  }
}

/** Sends requests through a processor, each for itself; checks that each ended well and that the books balance. */
export async function processAll(
  definition: ProcessorDefinition,
  config: object,
  signal: Signal,
  bodies: readonly Buffer[],
  metadata: Record<string, string> = {},
): Promise<Processed[]> {
  const batches: Batch[] = []
  const toy = await toyGraph({
    exporters: {},
    components: { [definition.type]: { definition, config }, keep: { definition: keeper(batches) } },
    pipelines: [{ id: signal, processors: [definition.type], exporters: ['keep'] }],
  })
  const node = toy.books.nodes.find(({ name }) => name.kind === 'processor')
  const results: Processed[] = []
  for (const body of bodies) {
    // What has no items never comes in.
    if (readRequest(signal, body).items === 0) {
      results.push({ body: Buffer.alloc(0), items: [], dropped: {}, rejected: {}, groups: 0 })
      continue
    }
    batches.length = 0
    const before = node?.in ?? 0
    const ends = { dropped: counting(node?.dropped), rejected: counting(node?.rejected) }
    const { kind } = await toy.push(body, { signal, metadata }).outcome
    const out = Buffer.concat(batches.map(batch => encodeGroups(batch.groups)))
    const dropped = ends.dropped()
    const rejected = ends.rejected()
    const left = batches.reduce((sum, batch) => sum + batch.items, 0)
    const [gone, bad] = [dropped, rejected].map(counts => Object.values(counts).reduce((sum, n) => sum + n, 0))
    expect(left + gone + bad).toBe((node?.in ?? 0) - before)
    expect(kind).toBe(bad === 0 ? 'success' : bad === left + gone + bad ? 'rejected' : 'partial')
    for (const { shares, groups, items } of batches) {
      expect(shares.reduce((sum, share) => sum + share.groups, 0)).toBe(groups.length)
      expect(groups.reduce((sum, group) => sum + group.items, 0)).toBe(items)
    }
    results.push({
      body: out,
      get items() {
        return flatten(signal, out)
      },
      dropped,
      rejected,
      groups: batches.reduce((sum, batch) => sum + batch.groups.length, 0),
    })
  }
  await toy.graph.stop(200)
  expect(toy.books.faults()).toEqual([])
  expect(toy.budget.used).toBe(0)
  return results
}

/** The same for one request. */
export async function processOne(
  definition: ProcessorDefinition,
  config: object,
  signal: Signal,
  body: Buffer,
  metadata: Record<string, string> = {},
): Promise<Processed> {
  const [result] = await processAll(definition, config, signal, [body], metadata)
  return result
}

/** Attributes of a plain message as an object: the content of each value. */
export function attributesOf(plain: unknown): Record<string, unknown> {
  const list = (plain as Plain | undefined)?.['attributes'] as { key: string; value?: Plain }[] | undefined
  return Object.fromEntries((list ?? []).map(({ key, value }) => [key, Object.values(value ?? {})[0]]))
}

/** Attributes for a plain message, from texts, numbers and bools. */
export const withAttributes = (values: Record<string, unknown>): { key: string; value: object }[] =>
  Object.entries(values).map(([key, value]) => ({ key, value: valueOf(value) }))

/** An AnyValue for a plain message. */
export function valueOf(value: unknown): object {
  if (typeof value === 'string') return { string_value: value }
  if (typeof value === 'boolean') return { bool_value: value }
  if (typeof value === 'number') return Number.isInteger(value) ? { int_value: value } : { double_value: value }
  if (value instanceof Uint8Array) return { bytes_value: value }
  if (Array.isArray(value)) return { array_value: { values: value.map(valueOf) } }
  return value === null ? {} : { kvlist_value: { values: withAttributes(value as Record<string, unknown>) } }
}

/** The kinds of data of a metric. */
export const metricKinds = ['gauge', 'sum', 'histogram', 'exponential_histogram', 'summary'] as const

/** The messages of an item that have attributes: itself, or the data points of a metric. */
export function carriersOf(signal: Signal, item: Plain): Plain[] {
  if (signal !== 'metrics') return [item]
  return metricKinds.flatMap(kind => ((item[kind] as Plain | undefined)?.['data_points'] as Plain[] | undefined) ?? [])
}

/** Compares lists of items one by one as text: the difference of two large objects takes vitest very long to show. */
export function expectSame(found: readonly unknown[], wanted: readonly unknown[]): void {
  expect(found.length).toBe(wanted.length)
  found.forEach((one, i) => {
    const [a, b] = [ordered(one), ordered(wanted[i])]
    if (a === b) return
    let at = 0
    while (a[at] === b[at]) at++
    expect(a.slice(Math.max(0, at - 200), at + 200)).toBe(b.slice(Math.max(0, at - 200), at + 200))
  })
}

/** A plain value as JSON with its keys in order; empty lists count as none. */
export const ordered = (value: unknown): string =>
  JSON.stringify(value, (_key, inner: unknown) => {
    if (typeof inner !== 'object' || inner === null || Array.isArray(inner)) return inner
    const entries = Object.entries(inner).filter(([, one]) => !(Array.isArray(one) && one.length === 0))
    return Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)))
  })
