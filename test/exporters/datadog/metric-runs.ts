/** What tests of metrics share. */
import { onTestFinished } from 'vitest'
import { batchOf, forever } from '../../support/exporting.ts'
import { metricsRequest, run, type Run } from './datadog-runs.ts'

/** An exporter with these settings for metrics, in a test after which it is stopped. */
export async function started(metrics: object = {}): Promise<Run> {
  const made = await run({ metrics: { instrumentation_scope_metadata_as_tags: false, ...metrics } })
  onTestFinished(() => made.stop())
  return made
}

/** Times: seconds of some day, as nanoseconds. */
export const at = (second: number): string => `${1_800_000_000 + second}000000000`
/** That day. */
export const when = 1_800_000_000
/** After the process began: such series are counted from their first value. */
export const late = at(1)
/** Before it. */
export const early = '1500000000000000000'

/** Temporalities. */
export const delta = 1
export const cumulative = 2

/** Sends metrics of one resource and scope. */
export const send = (to: Run, metrics: readonly object[], resource = {}, scope = {}) =>
  to.exporter.send(batchOf(metricsRequest(metrics, resource, scope), 'metrics'), forever)

/** A metric with points of a kind. */
export const numbers = (name: string, kind: object, ...points: object[]) => ({ name, ...withPoints(kind, points) })
function withPoints(kind: object, points: readonly object[]): object {
  const [[member, rest]] = Object.entries(kind)
  return { [member]: { ...rest, data_points: points } }
}
/** What most counters are. */
export const counter = { sum: { aggregation_temporality: cumulative, is_monotonic: true } }

/** What came of it, in short: type, name, value. */
export const brief = ({ intake }: Run): string[] =>
  intake.series.map(
    ({ type, metric, value, tags }) => `${type} ${metric} ${value}${tags.map(tag => ` ${tag}`).join('')}`,
  )

/** A histogram with bounds. */
export const histogram = (point: object, temporality = delta) => [
  numbers(
    'h',
    { histogram: { aggregation_temporality: temporality } },
    { time_unix_nano: at(5), start_time_unix_nano: early, ...point },
  ),
]
/** One with three buckets. */
export const three = { count: 6, sum: 60, bucket_counts: [1, 3, 2], explicit_bounds: [10, 20], min: 4, max: 33 }
