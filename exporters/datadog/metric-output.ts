/** Where the mapping of metrics writes to: payloads that are cut before they are too large, and what could not be mapped. */
import { elementAt } from '../../core/element-at.ts'
import type { MetricBlock } from '../../backends/datadog/metric-block.ts'
import type { PointTags } from '../../backends/datadog/point-tags.ts'
import { type SeriesHead, MetricWriter } from '../../backends/datadog/series.ts'
import type { Sketch } from '../../backends/datadog/sketch.ts'
import type { Memory } from '../../proto/growing.ts'
import { Range } from '../../proto/values.ts'

/** Bytes of a payload after which the next one is begun; compressed they are seldom more than the intakes take. */
const enough = 2_000_000

/** One payload. */
export interface MetricBody {
  readonly kind: 'series' | 'sketches'
  readonly bytes: Buffer
  /** Where each of its points ends. */
  readonly ends: readonly number[]
}

/** Two payloads that are this one together; undefined where it is of one point. */
export function halves({ kind, bytes, ends }: MetricBody): [MetricBody, MetricBody] | undefined {
  const middle = ends.length >> 1
  if (middle === 0) return undefined
  const at = elementAt(ends, middle - 1)
  // What every payload ends with.
  const tail = bytes.subarray(ends.at(-1))
  return [
    { kind, bytes: Buffer.concat([bytes.subarray(0, at), tail]), ends: ends.slice(0, middle) },
    { kind, bytes: Buffer.from(bytes.subarray(at)), ends: ends.slice(middle).map(end => end - at) },
  ]
}

const none = Buffer.alloc(0)
const noTags: readonly Buffer[] = []
const noBlock: MetricBlock = { identity: '', hostname: none, host: none, seriesTags: none, sketchTags: none }

/** One payload being written. */
interface Open {
  readonly writer: MetricWriter
  readonly ends: number[]
}

export class MetricOutput {
  /** Why points were left out, and how many. */
  readonly reasons: Record<string, number> = {}
  rejected = 0
  readonly #bodies: MetricBody[] = []
  readonly #memory: Memory | undefined
  readonly #size: number
  readonly #open: { series: Open | undefined; sketches: Open | undefined } = { series: undefined, sketches: undefined }
  readonly #head: { -readonly [Key in keyof SeriesHead]: SeriesHead[Key] }

  /** `size`: about how many bytes there will be. */
  constructor(size: number, tags: PointTags, memory: Memory | undefined) {
    this.#memory = memory
    this.#size = Math.min(size, enough) + 4096
    this.#head = { block: noBlock, name: new Range(), suffix: none, tags, extra: noTags }
  }

  /** What series are written of from now on. */
  metric(block: MetricBlock, name: Range): void {
    this.#head.block = block
    this.#head.name = name
  }

  series(type: number, value: number, time: number, suffix = none, extra = noTags): void {
    const open = this.#opened('series')
    this.#head.suffix = suffix
    this.#head.extra = extra
    open.writer.series(this.#head, type, value, Math.floor(time / 1e9))
  }

  sketch(sketch: Sketch, sum: number, min: number, max: number, time: number): void {
    const open = this.#opened('sketches')
    this.#head.suffix = none
    this.#head.extra = noTags
    open.writer.sketch(this.#head, sketch, sum, min, max, Math.floor(time / 1e9))
  }

  /** Ends a point: payloads that are large enough end with it. */
  point(): void {
    for (const kind of ['series', 'sketches'] as const) {
      const open = this.#open[kind]
      if (open === undefined || open.writer.at === open.ends.at(-1)) continue
      open.ends.push(open.writer.at)
      if (open.writer.at > enough) this.#close(kind, open)
    }
  }

  reject(reason: string, points = 1): void {
    this.reasons[reason] = (this.reasons[reason] ?? 0) + points
    this.rejected += points
  }

  #opened(kind: 'series' | 'sketches'): Open {
    return (this.#open[kind] ??= { writer: new MetricWriter(this.#size, this.#memory), ends: [] })
  }

  #close(kind: 'series' | 'sketches', { writer, ends }: Open): void {
    if (kind === 'sketches') writer.metadata()
    this.#bodies.push({ kind, bytes: writer.done(), ends })
    this.#open[kind] = undefined
  }

  /** All payloads, series first. */
  done(): MetricBody[] {
    for (const kind of ['series', 'sketches'] as const) {
      const open = this.#open[kind]
      if (open !== undefined) this.#close(kind, open)
    }
    return this.#bodies.sort((a, b) => (a.kind === b.kind ? 0 : a.kind === 'series' ? -1 : 1))
  }

  /** Lets go of what was begun. */
  abandon(): void {
    this.#open.series?.writer.abandon()
    this.#open.sketches?.writer.abandon()
    for (const { bytes } of this.#bodies) this.#memory?.give(bytes)
  }
}
