/** Counts as the bytes of an ExportMetricsServiceRequest: measured first, then written in one go, as there can be thousands of resources. */
import type { Group } from '../../proto/group.ts'
import { encodeField } from '../../proto/values.ts'
import { fieldNamed, readText } from '../../proto/views.ts'
import { fieldSize, putVarint } from '../../proto/wire.ts'
import type { CountedMetric, LevelTally, MetricTally, Series, Tally } from './tally.ts'

const schemaUrl = fieldNamed('ResourceMetrics', 'schema_url')
const scope = encodeField(0x0a, encodeField(0x0a, Buffer.from('kymo/connectors/count')))
const noText = Buffer.alloc(0)

/**
 * A request with the counts: of each resource one group, of each metric a monotonic delta sum. `now`, in milliseconds since
 * the epoch, is the time of what has none of its own. Undefined when nothing was counted.
 */
export function encodeTallies(tallies: Iterable<Tally>, now: number): Buffer | undefined {
  const plan = new Plan()
  const groups: GroupPlan[] = []
  let size = 0
  for (const { group, levels } of tallies) {
    const metrics = plan.metrics(levels)
    if (metrics.length === 0) continue
    const planned = groupPlan(group, metrics)
    groups.push(planned)
    size += fieldSize(planned.size)
  }
  if (groups.length === 0) return undefined
  const writer = new Writer(size, now)
  for (const group of groups) writer.group(group)
  return writer.out
}

/** A metric that will be; the sizes are those of the contents of messages. */
interface MetricPlan {
  /** Name and description, as its fields. */
  readonly head: Buffer
  readonly level: LevelTally
  readonly tally: MetricTally
  readonly sum: number
  readonly size: number
}

interface GroupPlan {
  readonly group: Group
  readonly url: Buffer
  readonly metrics: readonly MetricPlan[]
  /** Of its scope group. */
  readonly inner: number
  readonly size: number
}

/** `is_monotonic` and the temporality, delta, as fields of a Sum. */
const kind = Buffer.from([0x10, 1, 0x18, 1])

const hasTime = ({ latestHigh, latestLow }: LevelTally): boolean => latestHigh !== 0 || latestLow !== 0

/** Bytes of the times and the count of a point. */
const pointTail = (level: LevelTally): number => (hasTime(level) ? 27 : 18)

/** Measures metrics. */
class Plan {
  readonly #heads = new Map<CountedMetric, Buffer>()

  metrics(levels: Iterable<LevelTally>): MetricPlan[] {
    const all: MetricPlan[] = []
    for (const level of levels) {
      const tail = pointTail(level)
      for (const tally of level.counted) {
        let points = 0
        for (const { attributes } of tally.all()) points += fieldSize(attributes.length + tail)
        if (points === 0) continue
        const head = this.#head(tally.metric)
        const sum = kind.length + points
        all.push({ head, level, tally, sum, size: head.length + fieldSize(sum) })
      }
    }
    return all
  }

  #head(metric: CountedMetric): Buffer {
    let head = this.#heads.get(metric)
    if (head === undefined) {
      const { name, description } = metric
      const fields = [encodeField(0x0a, Buffer.from(name))]
      if (description !== '') fields.push(encodeField(0x12, Buffer.from(description)))
      this.#heads.set(metric, (head = Buffer.concat(fields)))
    }
    return head
  }
}

function groupPlan(group: Group, metrics: readonly MetricPlan[]): GroupPlan {
  const text = readText(group.bytes, group.start, group.end, schemaUrl)
  const url = text === '' ? noText : Buffer.from(text)
  let inner = scope.length
  for (const { size } of metrics) inner += fieldSize(size)
  let size = fieldSize(group.resourceEnd - group.resourceStart) + fieldSize(inner)
  if (url.length > 0) size += fieldSize(url.length)
  return { group, url, metrics, inner, size }
}

/** Writes what was measured. */
class Writer {
  readonly out: Buffer
  readonly #now = Buffer.alloc(8)
  #at = 0

  constructor(size: number, now: number) {
    this.out = Buffer.allocUnsafeSlow(size)
    this.#now.writeBigUInt64LE(BigInt(now) * 1_000_000n)
  }

  group({ group, url, metrics, inner, size }: GroupPlan): void {
    const { resource, resourceStart, resourceEnd } = group
    this.#open(0x0a, size)
    this.#open(0x0a, resourceEnd - resourceStart)
    this.#at += resource.copy(this.out, this.#at, resourceStart, resourceEnd)
    this.#open(0x12, inner)
    this.#copy(scope)
    for (const metric of metrics) this.#metric(metric)
    if (url.length === 0) return
    this.#open(0x1a, url.length)
    this.#copy(url)
  }

  #metric({ head, level, tally, sum, size }: MetricPlan): void {
    this.#open(0x12, size)
    this.#copy(head)
    this.#open(0x3a, sum)
    for (const one of tally.all()) this.#point(one, level)
    this.#copy(kind)
  }

  #point({ attributes, count }: Series, level: LevelTally): void {
    const { out } = this
    this.#open(0x0a, attributes.length + pointTail(level))
    this.#copy(attributes)
    if (hasTime(level)) {
      this.#fixed64(0x11, level.earliestLow, level.earliestHigh)
      this.#fixed64(0x19, level.latestLow, level.latestHigh)
    } else {
      out[this.#at++] = 0x19
      this.#copy(this.#now)
    }
    this.#fixed64(0x31, count >>> 0, Math.floor(count / 2 ** 32))
  }

  #open(tag: number, size: number): void {
    this.out[this.#at] = tag
    this.#at = putVarint(this.out, this.#at + 1, size)
  }

  #copy(bytes: Buffer): void {
    this.#at += bytes.copy(this.out, this.#at)
  }

  #fixed64(tag: number, low: number, high: number): void {
    this.out[this.#at] = tag
    this.out.writeUInt32LE(low, this.#at + 1)
    this.#at = this.out.writeUInt32LE(high, this.#at + 5)
  }
}
