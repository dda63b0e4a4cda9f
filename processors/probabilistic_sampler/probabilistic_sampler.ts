import * as z from 'zod'
import type { Batch } from '../../core/batch.ts'
import type { Counter } from '../../core/books.ts'
import { defineProcessor, type ProcessorContext } from '../../core/component.ts'
import { int } from '../../core/fields.ts'
import type { Touch } from '../../core/touch.ts'
import { DROP, KEEP, REPLACE, rewriteItems, type Visitor } from '../../proto/rewrite.ts'
import { WireError } from '../../proto/wire.ts'
import { each } from '../steps.ts'
import { SampledRecord } from './record.ts'
import { type Mode, Sampler, type Verdict } from './sampler.ts'
import { SampledSpan } from './span.ts'
import { maxDigits, minProbability } from './threshold.ts'

const config = z.strictObject({
  sampling_percentage: z
    .number()
    .min(0, { error: 'must be at least 0' })
    .refine(n => n <= 0 || Math.fround(n) / 100 >= minProbability, { error: 'is too small a percentage' })
    .default(0)
    .describe('How many of a hundred traces or log records stay; 100 and more keeps all.'),
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
    .describe('Logs: an attribute with the percentage for its record, in place of `sampling_percentage`.'),
})
type Config = z.output<typeof config>

const notSampled = 'not_sampled'
const failedToSample = 'sampling_error'

/** The `probabilistic_sampler` processor. */
export const probabilisticSampler = defineProcessor<Config>({
  type: 'probabilistic_sampler',
  stability: 'beta',
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
    const step = new SamplerStep(sampler, item, settings.fail_closed, context)
    return each(context, batch => step.sample(batch))
  },
})

class SamplerStep {
  readonly #context: ProcessorContext
  readonly #notSampled: Counter
  readonly #failed: Counter
  /** Items of the current batch that could not be sampled. */
  #failures = 0
  readonly #decide: Visitor
  readonly #dropFailing: Visitor

  constructor(sampler: Sampler, item: SampledSpan | SampledRecord, failClosed: boolean, context: ProcessorContext) {
    this.#context = context
    this.#notSampled = context.dropReason(notSampled)
    this.#failed = context.dropReason(failedToSample)
    const verdictOn = (bytes: Buffer, start: number, end: number): Verdict => {
      try {
        return sampler.decide(item.read(bytes, start, end))
      } catch (error) {
        if (error instanceof WireError) return failClosed ? 'fail' : 'stay'
        throw error
      }
    }
    this.#decide = {
      item: (bytes, start, end, out) => {
        const verdict = verdictOn(bytes, start, end)
        if (verdict === 'stay') return KEEP
        if (verdict === 'fail') this.#failures++
        if (verdict !== 'write') return DROP
        item.write(sampler, out)
        return REPLACE
      },
    }
    this.#dropFailing = { item: (bytes, start, end) => (verdictOn(bytes, start, end) === 'fail' ? DROP : KEEP) }
  }

  /** What stays of a batch. */
  sample(batch: Batch): Batch | undefined {
    this.#failures = 0
    let result = rewriteItems(batch.signal, batch.groups, this.#decide)
    let left = batch
    if (this.#failures > 0) {
      // Rare: those get a reason of their own, and the others are decided on once more.
      const without = rewriteItems(batch.signal, batch.groups, this.#dropFailing)
      const [kept, failing] = batch.withoutItems(without.groups, without.made)
      if (failing !== undefined) this.#context.drop(failing, this.#failed)
      if (kept === undefined) return undefined
      left = kept
      result = rewriteItems(left.signal, left.groups, this.#decide)
    }
    if (result.made === 0 && result.dropped === 0) return left
    const [kept, gone] = left.withoutItems(result.groups, result.made)
    if (gone !== undefined) this.#context.drop(gone, this.#notSampled)
    return kept
  }
}
