import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { countIn, quantileOf } from '../support/datadog-sketch.ts'
import { id, list, span } from '../support/datadog-spans.ts'
import { expectedStats, type Row } from '../support/datadog-stats-reference.ts'
import { type Found, statsOf, moment } from '../support/datadog-stats.ts'
import { encode } from '../support/otlp-proto.ts'

const keys = (
  'service.name operation.name http.request.method http.route http.response.status_code db.system ' +
  'db.statement db.namespace messaging.system messaging.operation messaging.destination.name ' +
  'rpc.system rpc.service rpc.method deployment.environment service.version _dd.measured host.name ' +
  'span.type other'
).split(' ')
const value = fc.constantFrom<unknown>('GET', 'x', 'postgresql', 'Some Thing', 'SELECT 1', 200, 1, '', true)
const some = (max: number) =>
  fc
    .uniqueArray(fc.tuple(fc.constantFrom(...keys), value), { maxLength: max, selector: ([key]) => key })
    .map(entries => Object.fromEntries(entries))
const spans = fc.array(
  fc.record({
    trace: fc.integer({ min: 1, max: 2 }),
    parent: fc.integer({ min: 0, max: 6 }),
    kind: fc.integer({ min: 0, max: 5 }),
    attributes: some(4),
    code: fc.integer({ min: 0, max: 2 }),
    end: fc.integer({ min: 0, max: 9_999 }),
    length: fc.integer({ min: 0, max: 3_000_000_000 }),
  }),
  { maxLength: 12 },
)
const groups = fc.array(
  fc.record({ resource: some(3).filter(one => !('host.name' in one) || one['host.name'] === 'x'), spans }),
  { maxLength: 3 },
)

test.each([
  { byKind: true, topLevelByKind: false, peers: true },
  { byKind: false, topLevelByKind: false, peers: true },
  { byKind: false, topLevelByKind: true, peers: false },
])('stats of random spans are what a plain reference adds up, with %o', rules => {
  fc.assert(
    fc.property(groups, made => {
      const body = encode('traces', {
        resource_spans: made.map(({ resource, spans }) => ({
          resource: { attributes: list(resource) },
          scope_spans: [
            {
              spans: spans.map(({ trace, parent, kind, attributes, code, end, length }, i) => {
                const to = BigInt(moment + end) * 1_000_000n + 500_000n
                return span(attributes, {
                  trace_id: id(trace, 16),
                  span_id: id(i + 1, 8),
                  kind,
                  status: { code },
                  ...(parent === 0 ? {} : { parent_span_id: id(parent, 8) }),
                  start_time_unix_nano: String(to - BigInt(length)),
                  end_time_unix_nano: String(to),
                })
              }),
            },
          ],
        })),
      })
      const found = statsOf(body, {
        byKind: rules.byKind,
        topLevelByKind: rules.topLevelByKind,
        peerTags: rules.peers ? [] : undefined,
      })
      const expected = [...expectedStats(body, { ...rules, interval: 10_000 }).values()]
      expect(found.map(seen).toSorted()).toEqual(expected.map(told).toSorted())
      for (const one of found) {
        const row = expected.find(candidate => told(candidate) === seen(one))
        expectSketch(one.okSummary, row?.ok ?? [])
        expectSketch(one.errorSummary, row?.failed ?? [])
      }
    }),
    { numRuns: 150 },
  )
})

const seen = (one: Found): string =>
  JSON.stringify([
    one.env,
    one.version,
    one.hostname,
    Number(BigInt(one.start) / 1_000_000n),
    one.service,
    one.name,
    one.resource,
    one.type,
    one.span_kind,
    one.HTTP_status_code,
    one.is_trace_root === 1,
    one.peer_tags.join(','),
    Number(one.hits),
    Number(one.errors),
    Number(one.topLevelHits),
    Number(one.total),
  ])

const told = (row: Row): string =>
  JSON.stringify([
    row.env,
    row.version,
    row.hostname,
    row.start,
    row.service,
    row.name,
    row.resource,
    row.type,
    row.kind,
    row.status,
    row.root,
    row.peers,
    row.hits,
    row.errors,
    row.topLevel,
    row.duration,
  ])

function expectSketch(bytes: Uint8Array, durations: readonly number[]): void {
  const sorted = durations.toSorted((a, b) => a - b)
  expect(countIn(bytes)).toBe(sorted.length)
  for (const quantile of sorted.length > 0 ? [0, 0.5, 1] : []) {
    const exact = sorted[Math.floor(quantile * (sorted.length - 1))]
    expect(Math.abs(quantileOf(bytes, quantile) - exact)).toBeLessThanOrEqual(exact * 0.010001)
  }
}
