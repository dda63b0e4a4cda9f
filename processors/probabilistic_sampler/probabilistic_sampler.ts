import * as z from 'zod'
import { defineProcessor } from '../../core/component.ts'
import { decidesDrops, int } from '../../core/fields.ts'
import type { Touch } from '../../core/touch.ts'
import { DROP, KEEP, REPLACE, type Visitor } from '../../proto/rewrite.ts'
import { each, itemJudge } from '../steps.ts'
import { SampledRecord } from './record.ts'
import { type Mode, Sampler } from './sampler.ts'
import { SampledSpan } from './span.ts'
import { maxDigits, minProbability } from './threshold.ts'

const config = z.strictObject({
  sampling_percentage: z
    .number()
    .min(0, { error: 'must be at least 0' })
    .refine(n => n <= 0 || Math.fround(n) / 100 >= minProbability, { error: 'is too small a percentage' })
    .default(0)
    .describe('How many of a hundred traces or log records stay; 100 and more keeps all.')
    .meta(decidesDrops),
  hash_seed: int(0)
    .refine(n => n <= 0xffffffff, { error: 'must be below 2^32' })
    .default(0)
    .describe(
      'The seed of the hash; samplers one after the other need different ones, samplers side by side the same.',
    ),
  mode: z
    .enum(['', 'hash_seed', 'equalizing', 'proportional'])
    .default('')
    .describe(
      'How it is decided: by a hash with `hash_seed`, or consistently with other samplers, down to the percentage ' +
        '(`equalizing`) or to the percentage of what arrives (`proportional`). Empty is `hash_seed`.',
    ),
  fail_closed: z
    .boolean()
    .default(true)
    .describe('Whether items that have no randomness, or say wrong things of their sampling, are dropped.'),
  sampling_precision: int(1)
    .refine(n => n <= maxDigits, { error: `must be at most ${maxDigits}` })
    .default(4)
    .describe('Significant hex digits of the threshold that is written to the items, from 1 to 14.'),
  attribute_source: z
    .enum(['traceID', 'record'])
    .default('traceID')
    .describe('Logs: whether the hash is of the trace id, or of the attribute `from_attribute` alone.'),
  from_attribute: z
    .string()
    .default('')
    .describe('Logs: the attribute that is hashed where there is no trace id, or with `attribute_source: record`.'),
  sampling_priority: z
    .string()
    .default('')
    .describe(
      'Logs: an attribute with the percentage for its record, in place of `sampling_percentage`: a number, or a text that ' +
        'is one. 0 keeps none, 100 and more all. Spans ask with `sampling.priority`.',
    ),
})
type Config = z.output<typeof config>

const notSampled = 'not_sampled'
const failedToSample = 'sampling_error'

/** The `probabilistic_sampler` processor. */
export const probabilisticSampler = defineProcessor<Config>({
  type: 'probabilistic_sampler',
  stability: 'beta',
  runs: 'each',
  summary: 'Keeps a percentage of the traces or log records, the same ones as every other sampler with these settings.',
  signals: ['traces', 'logs'],
  hold: 'none',
  config,
  examples: [
    { title: 'Every tenth trace', config: { sampling_percentage: 10 } },
    {
      title: 'A percentage of log records by an id of theirs, errors as they ask',
      config: {
        sampling_percentage: 15,
        attribute_source: 'record',
        from_attribute: 'log.record.uid',
        sampling_priority: 'priority',
      },
    },
    { title: 'Down to one percent, consistently', config: { mode: 'equalizing', sampling_percentage: 1 } },
  ],

  touches({ from_attribute, sampling_priority }) {
    const reads = (key: string, what: string): Touch => ({ depth: 'item', does: 'reads', key, what })
    return [
      reads('', 'trace_id'),
      ...(from_attribute === '' ? [] : [reads('from_attribute', from_attribute)]),
      ...(sampling_priority === '' ? [] : [reads('sampling_priority', sampling_priority)]),
      { depth: 'item', does: 'edits', key: 'mode', what: 'trace_state of spans, sampling.* of log records' },
      { depth: 'item', does: 'drops', key: 'sampling_percentage', what: 'what is not sampled', reason: notSampled },
      { depth: 'item', does: 'drops', key: 'fail_closed', what: 'what cannot be sampled', reason: failedToSample },
    ]
  },

  create(settings, context) {
    const { signal } = context
    const mode: Mode = settings.mode === '' ? 'hash_seed' : settings.mode
    const sampler = new Sampler({
      mode,
      percentage: settings.sampling_percentage,
      seed: settings.hash_seed,
      precision: settings.sampling_precision,
      failClosed: settings.fail_closed,
      byTraceId: signal === 'traces' || settings.attribute_source === 'traceID',
      marksMissing: signal === 'traces',
    })
    const item =
      signal === 'traces'
        ? new SampledSpan()
        : new SampledRecord(settings.from_attribute, settings.sampling_priority, settings.sampling_precision)
    const reasons = [context.reason(notSampled, 'rule'), context.reason(failedToSample, 'rule')]
    return each(context, itemJudge(context, { item: deciding(sampler, item) }, reasons))
  },
})

/** Decides on one item after the other. */
function deciding(sampler: Sampler, item: SampledSpan | SampledRecord): NonNullable<Visitor['item']> {
  return (bytes, start, end, out) => {
    switch (sampler.decide(item.read(bytes, start, end))) {
      case 'stay':
        return KEEP
      case 'write':
        item.write(sampler, out)
        return REPLACE
      case 'go':
        return DROP
      case 'fail':
        return DROP + 1
    }
  }
}
