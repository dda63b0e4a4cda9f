import { expect, test } from 'vitest'
import { ItemFilter } from '../../proto/item-filter.ts'
import { readRequest } from '../../proto/request.ts'
import type { Signal } from '../../proto/signals.ts'
import { ItemCursor } from '../../proto/views.ts'
import { encode } from '../support/otlp.ts'

const text = (key: string, string_value: string) => ({ key, value: { string_value } })
const trace = Buffer.from('4bf92f3577b34da6a3ce929d0e0e4736', 'hex')
const other = Buffer.from('00000000000000000000000000000001', 'hex')

const bodies: Record<Signal, Buffer> = {
  traces: encode('ExportTraceServiceRequest', {
    resource_spans: [
      {
        resource: { attributes: [text('service.name', 'shop'), { key: 'n', value: { int_value: '7' } }] },
        scope_spans: [
          {
            scope: { name: 'lib', attributes: [text('scoped', 'yes')] },
            spans: [
              {
                trace_id: trace,
                attributes: [text('http.method', 'GET'), { key: 'code', value: { int_value: '500' } }],
              },
              {
                trace_id: other,
                attributes: [{ key: 'ok', value: { bool_value: true } }, text('service.name', 'item')],
              },
              // Not its own trace.
              { trace_id: other, links: [{ trace_id: trace }] },
            ],
          },
          { spans: [{}] },
        ],
      },
      { resource: { attributes: [text('service.name', 'cart')] }, scope_spans: [{ spans: [{ trace_id: trace }] }] },
    ],
  }),
  logs: encode('ExportLogsServiceRequest', {
    resource_logs: [{ scope_logs: [{ log_records: [{ trace_id: trace, attributes: [text('k', 'v')] }, {}] }] }],
  }),
  metrics: encode('ExportMetricsServiceRequest', {
    resource_metrics: [
      {
        scope_metrics: [
          {
            metrics: [
              { name: 'a', sum: { data_points: [{ as_int: '1' }, { as_int: '1', attributes: [text('k', 'v')] }] } },
              { name: 'b', histogram: { data_points: [{ exemplars: [{ trace_id: trace }] }] } },
              { name: 'c', gauge: { data_points: [{ as_double: 1, attributes: [text('k', 'w')] }] } },
            ],
          },
        ],
      },
    ],
  }),
}

/** Numbers of the items that are taken. */
function taken(signal: Signal, filter: ItemFilter): number[] {
  const found: number[] = []
  let i = 0
  for (const group of readRequest(signal, bodies[signal]).groups) {
    const isLoaded = filter.load(group)
    const cursor = new ItemCursor().set(group)
    while (cursor.nextScope())
      while (cursor.nextItem()) {
        if (isLoaded && filter.takes(signal, cursor)) found.push(i)
        i++
      }
  }
  return found
}

test.each<[Signal, string[], number[]]>([
  ['traces', [], [0, 1, 2, 3, 4]],
  ['traces', ['service.name=shop'], [0, 1, 2, 3]],
  ['traces', ['service.name=item'], [1]],
  ['traces', ['service.name=sho'], []],
  ['traces', ['service.nam=shop'], []],
  ['traces', ['n=7'], [0, 1, 2, 3]],
  ['traces', ['scoped=yes'], [0, 1, 2]],
  ['traces', ['http.method=GET'], [0]],
  ['traces', ['http.method='], []],
  ['traces', ['code=500'], [0]],
  ['traces', ['code=50'], []],
  ['traces', ['ok=true'], [1]],
  ['traces', ['service.name=shop', 'code=500'], [0]],
  ['traces', ['service.name=cart', 'code=500'], []],
  ['logs', ['k=v'], [0]],
  ['metrics', ['k=v'], [0]],
  ['metrics', ['k=w'], [2]],
])('of %s, where %j: %j', (signal, conditions, expected) => {
  const wanted = conditions.map(one => ({
    key: one.slice(0, one.indexOf('=')),
    value: one.slice(one.indexOf('=') + 1),
  }))
  expect(taken(signal, new ItemFilter(wanted, undefined))).toEqual(expected)
})

test.each<[Signal, number[]]>([
  ['traces', [0, 4]],
  ['logs', [0]],
  ['metrics', [1]],
])('of a trace: %s %j', (signal, expected) => {
  expect(taken(signal, new ItemFilter([], trace))).toEqual(expected)
  expect(taken(signal, new ItemFilter([], Buffer.alloc(16, 9)))).toEqual([])
})
