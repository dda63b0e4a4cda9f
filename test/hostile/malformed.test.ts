/** One rule for items that cannot be read, whatever step looks into them: they are taken out and rejected, the rest goes on. */
import { expect, test } from 'vitest'
import { attributes } from '../../processors/attributes.ts'
import { groupByAttrs } from '../../processors/groupbyattrs/groupbyattrs.ts'
import { probabilisticSampler } from '../../processors/probabilistic_sampler/probabilistic_sampler.ts'
import { redaction } from '../../processors/redaction/redaction.ts'
import type { Signal } from '../../proto/signals.ts'
import { encode } from '../support/otlp-proto.ts'
import { carriersOf, processOne } from '../support/processing.ts'

const field = (tag: number, content: Buffer) => Buffer.concat([Buffer.from([tag, content.length]), content])
/** An attribute whose key is longer than what is there. */
const cut = Buffer.from([0x0a, 0x7f, 0x61])

/** An item of each signal that is framed well and malformed inside, and one that is good. */
const items: Record<Signal, { bad: Buffer; good: Buffer }> = {
  traces: {
    bad: field(0x4a, cut),
    good: encode('Span', { name: 'good', trace_id: Buffer.alloc(16, 1), attributes: [{ key: 'k', value: {} }] }),
  },
  logs: {
    bad: field(0x32, cut),
    good: encode('LogRecord', { trace_id: Buffer.alloc(16, 1), attributes: [{ key: 'k', value: {} }] }),
  },
  metrics: {
    bad: field(0x2a, field(0x0a, field(0x3a, cut))),
    good: encode('Metric', { name: 'good', gauge: { data_points: [{ as_int: 1, attributes: [{ key: 'k' }] }] } }),
  },
}

const steps = [
  ['attributes', attributes, { actions: [{ key: 'k', value: 1, action: 'upsert' }] }],
  [
    'attributes of what matches',
    attributes,
    {
      include: { match_type: 'strict', attributes: [{ key: 'k' }] },
      actions: [{ key: 'k', action: 'delete' }],
    },
  ],
  ['groupbyattrs', groupByAttrs, { keys: ['k'] }],
  ['redaction', redaction, { allow_all_keys: true, blocked_values: ['x'] }],
  ['probabilistic_sampler', probabilisticSampler, { sampling_percentage: 100 }],
] as const

const rows = steps.flatMap(([name, definition, config]) =>
  definition.signals
    // A point's attributes are no property to match metrics by.
    .filter(signal => !(name === 'attributes of what matches' && signal === 'metrics'))
    .map(signal => [name, signal, definition, config] as const),
)

test.each(rows)('%s, %s: the one that cannot be read goes as malformed', async (_, signal, definition, config) => {
  const { bad, good } = items[signal]
  const scope = (...all: Buffer[]) => field(0x0a, field(0x12, Buffer.concat(all.map(item => field(0x12, item)))))
  const { items: left, rejected, dropped } = await processOne(definition, config, signal, scope(good, bad, good))
  // Steps may put points into one metric.
  const count = left.flatMap(({ item }) => carriersOf(signal, item)).length
  expect([count, rejected, dropped]).toEqual([2, { malformed: 1 }, {}])
  const alone = await processOne(definition, config, signal, scope(bad))
  expect([alone.items.length, alone.rejected]).toEqual([0, { malformed: 1 }])
})
