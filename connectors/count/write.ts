/** Counts as the bytes of an ExportMetricsServiceRequest. */
import type { Group } from '../../proto/group.ts'
import { encodeField } from '../../proto/values.ts'
import { fieldNamed, readText } from '../../proto/views.ts'
import { putVarint, varintSize } from '../../proto/wire.ts'
import type { CountedMetric, LevelTally, Series, Tally } from './tally.ts'

const schemaUrl = fieldNamed('ResourceMetrics', 'schema_url')
const scope = encodeField(0x0a, encodeField(0x0a, Buffer.from('kymo/connectors/count')))

/**
 * A request with the counts: of each resource one group, of each metric a monotonic delta sum. `now`, in milliseconds since
 * the epoch, is the time of what has none of its own. Undefined when nothing was counted.
 */
export function encodeTallies(tallies: Iterable<Tally>, now: number): Buffer | undefined {
  const groups: Buffer[] = []
  for (const { group, levels } of tallies) {
    const metrics = [...levels.values()].flatMap(level => metricsOf(level, now))
    if (metrics.length > 0) groups.push(encodeField(0x0a, groupOf(group, metrics)))
  }
  return groups.length === 0 ? undefined : Buffer.concat(groups)
}

function groupOf(group: Group, metrics: readonly Buffer[]): Buffer {
  const { bytes, start, end, resource, resourceStart, resourceEnd } = group
  const url = readText(bytes, start, end, schemaUrl)
  return Buffer.concat([
    encodeField(0x0a, resource.subarray(resourceStart, resourceEnd)),
    encodeField(0x12, Buffer.concat([scope, ...metrics])),
    ...(url === '' ? [] : [encodeField(0x1a, Buffer.from(url))]),
  ])
}

function metricsOf(level: LevelTally, now: number): Buffer[] {
  const time = timeOf(level, now)
  return level.counted.flatMap(({ metric, series }) =>
    series.size === 0 ? [] : [metricOf(metric, [...series.values()], time)],
  )
}

function metricOf({ name, description }: CountedMetric, series: readonly Series[], time: Buffer): Buffer {
  const points = series.map(({ attributes, count }) =>
    encodeField(0x0a, Buffer.concat([attributes, time, fixed64(0x31, count)])),
  )
  // Delta, monotonic.
  const sum = Buffer.concat([...points, Buffer.from([0x10, 1, 0x18, 1])])
  return encodeField(
    0x12,
    Buffer.concat([
      encodeField(0x0a, Buffer.from(name)),
      ...(description === '' ? [] : [encodeField(0x12, Buffer.from(description))]),
      encodeField(0x3a, sum),
    ]),
  )
}

/** Start time and time of a data point, as its fields. */
function timeOf(level: LevelTally, now: number): Buffer {
  const { earliestHigh, earliestLow, latestHigh, latestLow } = level
  const out = Buffer.alloc(18)
  out[0] = 0x11
  out[9] = 0x19
  if (latestHigh === 0 && latestLow === 0) {
    out.writeBigUInt64LE(BigInt(now) * 1_000_000n, 10)
    return out.subarray(9)
  }
  out.writeUInt32LE(earliestLow, 1)
  out.writeUInt32LE(earliestHigh, 5)
  out.writeUInt32LE(latestLow, 10)
  out.writeUInt32LE(latestHigh, 14)
  return out
}

function fixed64(tag: number, n: number): Buffer {
  const out = Buffer.alloc(varintSize(tag) + 8)
  out.writeBigInt64LE(BigInt(n), putVarint(out, 0, tag))
  return out
}
