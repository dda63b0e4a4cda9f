import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { probabilisticSampler } from '../../../processors/probabilistic_sampler/probabilistic_sampler.ts'
import { encode, flatten, type Plain, requests } from '../../support/otlp.ts'
import { attributesOf, expectSame, processAll, processOne, withAttributes } from '../../support/processing.ts'

const trace = '4bf92f3577b34da6a3ce929d0e0e4736'
const ids = [
  trace,
  '0af7651916cd43dd8448eb211c80319c',
  '00000000000000000000000000000001',
  'ffffffffffffffffffffffffffffffff',
  '80f198ee56343ba864fe8b2a57d3eff7',
  '11111111111111112222222222222222',
]

const spans = (items: object[]): Buffer =>
  encode('ExportTraceServiceRequest', { resource_spans: [{ scope_spans: [{ spans: items }] }] })
const logs = (items: object[]): Buffer =>
  encode('ExportLogsServiceRequest', { resource_logs: [{ scope_logs: [{ log_records: items }] }] })
const span = (name: string, more: object = {}) => ({ trace_id: Buffer.from(trace, 'hex'), name, ...more })

/** The `tracestate` of each span by its name; `-` for one that is gone. */
async function states(config: object, items: readonly { name: string }[]) {
  const { items: left, dropped } = await processOne(probabilisticSampler, config, 'traces', spans([...items]))
  const found = new Map(left.map(({ item }) => [item['name'], item['trace_state'] ?? '']))
  return { states: items.map(({ name }) => found.get(name) ?? '-'), dropped }
}

// Written by the Collector 0.150 for the same trace ids and settings.
test.each<[object, string[]]>([
  [
    { sampling_percentage: 50 },
    [
      'ot=rv:fdc80d0b42008d;th:8',
      'ot=rv:886c204b10dde4;th:8',
      '-',
      'ot=rv:aae80a44919545;th:8',
      'ot=rv:b3c4024e93930e;th:8',
      'ot=rv:eb881c0101851d;th:8',
    ],
  ],
  [
    { sampling_percentage: 50, hash_seed: 22 },
    ['-', 'ot=rv:f984040d03019e;th:8', '-', '-', 'ot=rv:978c0341d05a1c;th:8', '-'],
  ],
  [{ sampling_percentage: 15.3, hash_seed: 4294967295 }, ['-', '-', '-', '-', '-', '-']],
  [{ sampling_percentage: 25, mode: 'equalizing' }, ['ot=th:c', '-', '-', 'ot=th:c', 'ot=th:c', '-']],
  [{ sampling_percentage: 33.33, mode: 'proportional' }, ['ot=th:aaad', '-', '-', 'ot=th:aaad', 'ot=th:aaad', '-']],
  [
    { sampling_percentage: 99.999, mode: 'proportional', sampling_precision: 2 },
    ['ot=th:0000a8', 'ot=th:0000a8', '-', 'ot=th:0000a8', 'ot=th:0000a8', 'ot=th:0000a8'],
  ],
  [
    { sampling_percentage: 66.6, mode: 'equalizing', sampling_precision: 14 },
    ['ot=th:55810666666668', '-', '-', 'ot=th:55810666666668', 'ot=th:55810666666668', '-'],
  ],
  [{ sampling_percentage: 0 }, ['-', '-', '-', '-', '-', '-']],
])('the same traces stay as with the Collector: %j', async (config, expected) => {
  const items = ids.map(id => ({ trace_id: Buffer.from(id, 'hex'), name: id }))
  const { states: found, dropped } = await states(config, items)
  expect(found).toEqual(expected)
  const gone = expected.filter(one => one === '-').length
  expect(dropped).toEqual(gone === 0 ? {} : { not_sampled: gone })
})

const arrived = [
  'ot=th:8',
  'ot=th:c',
  'ot=th:8;rv:f0000000000000',
  'ot=th:8;rv:70000000000000',
  'a=b, ot=x:1;rv:c0000000000001 ,c=d',
  'ot=th:',
  'not a tracestate',
]

// Written by the Collector 0.150, but that it also spells anew what it does not change.
test.each<[object, string[], object]>([
  [{ sampling_percentage: 50 }, ['-', '-', '-', '-', '-', '-', '-'], { sampling_error: 7 }],
  [{ sampling_percentage: 50, fail_closed: false }, arrived, {}],
  [
    { sampling_percentage: 25, mode: 'equalizing' },
    ['ot=th:c', 'ot=th:c', 'ot=rv:f0000000000000;th:c', '-', 'ot=rv:c0000000000001;th:c;x:1,a=b,c=d', '-', '-'],
    { sampling_error: 3 },
  ],
  [
    { sampling_percentage: 50, mode: 'proportional' },
    ['ot=th:c', 'ot=th:e', 'ot=rv:f0000000000000;th:c', '-', 'ot=rv:c0000000000001;th:8;x:1,a=b,c=d', '-', '-'],
    { sampling_error: 3 },
  ],
  [
    { sampling_percentage: 50, mode: 'proportional', fail_closed: false },
    [
      'ot=th:c',
      'ot=th:e',
      'ot=rv:f0000000000000;th:c',
      'ot=rv:70000000000000;th:0',
      'ot=rv:c0000000000001;th:8;x:1,a=b,c=d',
      'ot=th:',
      'not a tracestate',
    ],
    {},
  ],
])('what earlier samplers said is taken up: %j', async (config, expected, reasons) => {
  // The last 56 bits of this trace id are above every threshold here.
  const trace_id = Buffer.from('4bf92f3577b34da6a3fe929d0e0e4736', 'hex')
  const { states: found, dropped } = await states(
    config,
    arrived.map(state => ({ trace_id, name: state, trace_state: state })),
  )
  expect(found).toEqual(expected)
  expect(dropped).toEqual(reasons)
})

test.each<[string, unknown, boolean, boolean]>([
  ['0 asks to go', 0, false, false],
  ['a text of 0 asks to go', '0', false, false],
  ['1 asks to stay', 1, true, true],
  ['a double asks to stay', 0.5, true, true],
  ['a text asks to stay', '2', true, true],
  ['less than 0 asks for nothing', -1, true, false],
  ['a word asks for nothing', 'yes', true, false],
])('sampling.priority: %s', async (_name, priority, ofAll, ofNone) => {
  const item = span('a', { attributes: withAttributes({ 'sampling.priority': priority }) })
  const stays = async (config: object) => (await states(config, [item])).states[0] !== '-'
  expect([await stays({ sampling_percentage: 100 }), await stays({ sampling_percentage: 0 })]).toEqual([ofAll, ofNone])
})

test('a trace id that is missing, empty or too short cannot be sampled', async () => {
  const items = [
    span('none', { trace_id: undefined }),
    span('zero', { trace_id: Buffer.alloc(16) }),
    span('short', { trace_id: Buffer.alloc(8, 1) }),
  ]
  expect(await states({ sampling_percentage: 100 }, items)).toEqual({
    states: ['-', '-', '-'],
    dropped: { sampling_error: 3 },
  })
  expect((await states({ sampling_percentage: 50, fail_closed: false }, items)).states).toEqual(
    Array.from({ length: 3 }, () => 'ot=rv:ffffffffffffff;th:0'),
  )
})

const records = [
  { uid: 'a' },
  { uid: 'b' },
  { uid: 12 },
  {},
  { uid: 'a', prio: 100 },
  { uid: 'a', prio: 0.01 },
  { uid: 'b', 'sampling.threshold': '8' },
]

// Written by the Collector 0.150.
test.each<[object, string[]]>([
  [
    {
      sampling_percentage: 50,
      attribute_source: 'record',
      from_attribute: 'uid',
      sampling_priority: 'prio',
    },
    ['-', '-', '89142aedb9ddba 8', '-', '698c1c4311259c 0', '-', '-'],
  ],
  [
    { sampling_percentage: 50, from_attribute: 'uid', hash_seed: 3, fail_closed: false },
    [
      'd0e81e699b8bc5 8',
      'e3cc1da96b870c 8',
      'd3e804eb3a8b05 8',
      'undefined 0',
      'd0e81e699b8bc5 8',
      'd0e81e699b8bc5 8',
      'undefined 8',
    ],
  ],
])('log records are sampled by an attribute of theirs: %j', async (config, expected) => {
  const body = logs(records.map((one, i) => ({ event_name: String(i), attributes: withAttributes(one) })))
  const { items } = await processOne(probabilisticSampler, config, 'logs', body)
  const found = new Map(
    items.map(({ item }) => {
      const all = attributesOf(item)
      return [item['event_name'], `${String(all['sampling.randomness'])} ${String(all['sampling.threshold'])}`]
    }),
  )
  expect(records.map((_, i) => found.get(String(i)) ?? '-')).toEqual(expected)
})

test('samplers one after the other keep less and less of the same traces', async () => {
  const random = fc.sample(fc.uint8Array({ minLength: 16, maxLength: 16 }), 400)
  const body = spans(random.map((id, i) => ({ trace_id: Buffer.from(id), name: String(i) })))
  const kept = async (from: Buffer, percentage: number) => {
    const config = { mode: 'equalizing', sampling_percentage: percentage }
    return processOne(probabilisticSampler, config, 'traces', from)
  }
  const half = await kept(body, 50)
  const tenth = await kept(half.body, 10)
  const atOnce = await kept(body, 10)
  expect(half.items.length).toBeGreaterThan(150)
  expect(half.items.length).toBeLessThan(250)
  expectSame(tenth.items, atOnce.items)
})

test('random requests: what stays is as it was, but for what says that it was sampled', async () => {
  const plain = ({ item, ...above }: { item: Plain }) => {
    const { trace_state: _, attributes = [], ...rest } = item
    const list = (attributes as Plain[]).filter(({ key }) => !String(key).startsWith('sampling.'))
    return { ...above, item: { ...rest, attributes: list } }
  }
  const samples = fc.sample(requests(), 150)
  for (const signal of ['traces', 'logs'] as const) {
    const bodies = samples.filter(sample => sample.signal === signal).map(({ body }) => body)
    const config = { sampling_percentage: 100, mode: 'proportional', fail_closed: false }
    const results = await processAll(probabilisticSampler, config, signal, bodies)
    results.forEach(({ items }, i) => {
      if (items.length > 0) expectSame(items.map(plain), flatten(signal, bodies[i]).map(plain))
    })
  }
})

test.each<[string, object, string]>([
  ['a percentage below 0', { sampling_percentage: -1 }, 'sampling_percentage'],
  ['a percentage that is no number', { sampling_percentage: 'all' }, 'sampling_percentage'],
  ['a percentage that is too small', { sampling_percentage: 1e-20 }, 'sampling_percentage'],
  ['an unknown mode', { mode: 'random' }, 'mode'],
  ['a precision of 0', { sampling_precision: 0 }, 'sampling_precision'],
  ['a precision of 15', { sampling_precision: 15 }, 'sampling_precision'],
  ['an unknown attribute_source', { attribute_source: 'span' }, 'attribute_source'],
  ['a seed of 33 bits', { hash_seed: 2 ** 32 }, 'hash_seed'],
])('%s is an error at its place', (_name, config, path) => {
  const result = probabilisticSampler.config.safeParse(config)
  expect(result.error?.issues.map(issue => issue.path.join('.'))).toEqual([path])
})
