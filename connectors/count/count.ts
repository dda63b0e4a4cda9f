import { filter, finalize, map } from 'rxjs'
import * as z from 'zod'
import { Account } from '../../core/account.ts'
import type { Batch } from '../../core/batch.ts'
import { budgetKey } from '../../core/budget.ts'
import { type ConnectorContext, defineConnector, type Step } from '../../core/component.ts'
import { messageOf } from '../../core/errors.ts'
import { ownBatch } from '../../core/own-batch.ts'
import { textOrNumber } from '../../core/value-field.ts'
import { Share } from '../../proto/room.ts'
import { allSignals } from '../../proto/signals.ts'
import { encodeValue } from '../../proto/values.ts'
import { type CountedMetric, type Level, levelsOf, tallyGroups } from './tally.ts'
import { encodeTallies } from './write.ts'

const attribute = z.strictObject({
  key: z.string().min(1, { error: '`key` must not be empty' }).describe('Name of the attribute.'),
  default_value: textOrNumber()
    .nullish()
    .describe(
      'Counted under this where the attribute is missing; without it, what lacks the attribute is not counted.',
    ),
})

const counted = z.strictObject({
  description: z.string().default('').describe('Description of the metric.'),
  conditions: z
    .array(z.string())
    .nullish()
    .refine(conditions => !conditions || conditions.length === 0, {
      error:
        'this build has no OTTL yet, so that conditions cannot be checked; remove `conditions`, or filter in a pipeline in front of the connector',
    })
    .describe('OTTL conditions, of which one must hold. Not in this build.'),
  attributes: z
    .array(attribute)
    .nullish()
    .transform(list => list ?? [])
    .describe('Counts apart for each combination of these: of the item, else of its scope, else of its resource.'),
})
type CountedConfig = z.output<typeof counted>

/** What is counted when nothing is configured. */
const usual: Readonly<Record<Level, readonly [name: string, description: string]>> = {
  spans: ['trace.span.count', 'The number of spans observed.'],
  spanevents: ['trace.span.event.count', 'The number of span events observed.'],
  metrics: ['metric.count', 'The number of metrics observed.'],
  datapoints: ['metric.datapoint.count', 'The number of data points observed.'],
  logs: ['log.record.count', 'The number of log records observed.'],
}

const metricsOf = (what: string, level: Level) =>
  z
    .record(
      z.string().min(1, { error: 'the name of a metric must not be empty' }),
      z.preprocess(value => value ?? {}, counted),
    )
    .nullish()
    .transform(metrics => metrics ?? { [usual[level][0]]: { description: usual[level][1], attributes: [] } })
    .describe(`Metrics that count ${what}, by their names; without any, \`${usual[level][0]}\`.`)

const config = z.strictObject({
  spans: metricsOf('spans', 'spans'),
  spanevents: metricsOf('events of spans', 'spanevents'),
  metrics: metricsOf('metrics', 'metrics').refine(
    metrics => Object.values(metrics).every(({ attributes }) => attributes.length === 0),
    { error: 'a metric has no attributes, its data points have; count `datapoints`, or remove `attributes`' },
  ),
  datapoints: metricsOf('data points', 'datapoints'),
  logs: metricsOf('log records', 'logs'),
})
type Config = z.output<typeof config>

/** Counts what passes. */
export const count = defineConnector<Config>({
  type: 'count',
  stability: 'beta',
  runs: 'each',
  summary: 'Counts spans, span events, metrics, data points and log records, as metrics of each resource.',
  signals: allSignals,
  joins: allSignals.map(signal => [signal, 'metrics'] as const),
  derives: true,
  hold: 'none',
  config,
  examples: [
    { title: 'Everything that passes', config: {} },
    {
      title: 'Log records of each environment',
      config: {
        logs: {
          'my.log.count': {
            description: 'The number of log records of each environment.',
            attributes: [{ key: 'env', default_value: 'unspecified_environment' }],
          },
        },
      },
    },
  ],
  touches(config) {
    const apart = Object.values(config).flatMap(metrics => Object.values(metrics).flatMap(one => one.attributes))
    const names = [...new Set(apart.map(({ key }) => `\`${key}\``))]
    const more = names.length > 0 ? ` and the attributes ${names.join(', ')}` : ''
    return [{ depth: 'item', does: 'reads', key: '', what: `the time of each item${more}` }]
  },
  create(config, context) {
    return new Count(config, context).step
  },
})

class Count {
  readonly #context: ConnectorContext
  /** What the counts of one batch take. */
  readonly #account: Account
  readonly #room: Share
  readonly #metrics: ReadonlyMap<Level, readonly CountedMetric[]>

  constructor(config: Config, context: ConnectorContext) {
    this.#context = context
    this.#account = new Account(context.host.find(budgetKey), 'connector', context.id)
    this.#room = new Share(this.#account)
    this.#metrics = new Map(
      levelsOf[context.signal].map(level => [level, Object.entries(config[level]).map(countedOf)] as const),
    )
  }

  readonly step: Step = source =>
    source.pipe(
      map(batch => this.#countedOf(batch)),
      filter(derived => derived !== undefined),
      finalize(() => this.#account.close()),
    )

  /** The counts of a batch, which ends here; undefined when there are none. */
  #countedOf(batch: Batch): Batch | undefined {
    const { log, consume, clock } = this.#context
    let bytes: Buffer | undefined
    try {
      const { tallies, unreadable, crowded } = tallyGroups(batch.signal, batch.groups, this.#metrics, this.#room)
      if (crowded > 0) {
        log.warn(
          { items: crowded, of: batch.items },
          'there is no memory for so many combinations of `attributes`: these items are not counted',
        )
      }
      if (unreadable > 0) log.warn({ items: unreadable, of: batch.items }, 'items that cannot be read are not counted')
      bytes = encodeTallies(tallies, clock.wall())
    } catch (error) {
      // What is derived never refuses what it is derived from.
      log.error({ error: messageOf(error), items: batch.items }, 'counting failed; the batch is not counted')
    } finally {
      this.#room.clear()
    }
    const { context } = batch
    consume(batch)
    return bytes && ownBatch(this.#context.host.get(budgetKey), 'metrics', bytes, context)
  }
}

function countedOf([name, { description, attributes }]: [string, CountedConfig]): CountedMetric {
  return {
    name,
    description,
    attributes: attributes.map(({ key, default_value: value }) => ({
      key: Buffer.from(key),
      // An empty text is none, as in the Collector.
      missing: value === undefined || value === null || value === '' ? undefined : encodeValue(value),
    })),
  }
}
