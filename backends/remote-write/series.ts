/** What the versions of remote write have in common when series are written, and the first of them. */
import type { Growing } from '../../proto/growing.ts'
import type { LabelSets } from '../prometheus/labels.ts'
import type { ExemplarList } from './exemplars.ts'
import type { ExtraLabel } from './extra.ts'
import type { Lane } from './lane.ts'
import { BASE, type MetricInfo } from './metric.ts'
import { putVarint64, varint64Size } from '../../proto/varint64.ts'
import { putVarint, varintSize } from '../../proto/wire.ts'

/** Writes series in one version of the protocol. The label set is the one that the label sets stand at. */
export interface SeriesWriter {
  /** Whether what is kept aside of the series goes in front of them. */
  readonly asideFirst: boolean
  /** Called before the first series of a batch. */
  begin(): void
  /** Called before the first series of a request. */
  open(lane: Lane): void
  /** A series with one sample, whose value is given as the two halves of its bits. */
  sample(lane: Lane, series: Series, low: number, high: number): void
  /** A series with one native histogram: the content of its message, from 0 to `content.at`. */
  histogram(lane: Lane, series: Series, content: Growing): void
}

/** A series, and the time of what is written to it; used again and again. */
export class Series {
  readonly labels: LabelSets
  info: MetricInfo
  /** BASE, SUM_OF, ... */
  which = BASE
  extra: ExtraLabel | undefined
  time = 0
  /** 0: there is none. */
  startTime = 0
  readonly exemplars: ExemplarList
  /** Which of the exemplars belong to it. */
  fromExemplar = 0
  toExemplar = 0

  constructor(labels: LabelSets, info: MetricInfo, exemplars: ExemplarList) {
    this.labels = labels
    this.info = info
    this.exemplars = exemplars
  }
}

/** prometheus.WriteRequest: each series carries its labels as texts. */
export class SeriesWriter1 implements SeriesWriter {
  readonly asideFirst = false
  readonly #metadata: boolean
  /** For each lane the metrics whose metadata its request has. */
  readonly #described = new Map<Lane, Set<MetricInfo>>()

  constructor(metadata: boolean) {
    this.#metadata = metadata
  }

  begin(): void {
    this.#described.clear()
  }

  open(lane: Lane): void {
    this.#described.get(lane)?.clear()
  }

  sample(lane: Lane, series: Series, low: number, high: number): void {
    const { out } = lane
    const exemplars = exemplarBytes(series)
    // tag, value; tag, time
    const content = 10 + varint64Size(series.time)
    this.#head(lane, series, 2 + content + exemplars)
    const { bytes, view } = out
    bytes[out.at++] = 0x12
    bytes[out.at++] = content
    bytes[out.at++] = 0x09
    view.setInt32(out.at, low, true)
    view.setInt32(out.at + 4, high, true)
    out.at += 8
    bytes[out.at++] = 0x10
    out.at = putVarint64(bytes, out.at, series.time)
    if (exemplars > 0) putExemplars(lane, series)
    lane.samples++
  }

  histogram(lane: Lane, series: Series, content: Growing): void {
    const { out } = lane
    const exemplars = exemplarBytes(series)
    this.#head(lane, series, 1 + varintSize(content.at) + content.at + exemplars)
    if (exemplars > 0) putExemplars(lane, series)
    out.bytes[out.at++] = 0x22
    out.at = putVarint(out.bytes, out.at, content.at)
    out.at += content.bytes.copy(out.bytes, out.at, 0, content.at)
    lane.histograms++
  }

  /** Writes tag, length and labels of a series with `rest` bytes after the labels, and makes room for these. */
  #head(lane: Lane, { labels, info, which, extra }: Series, rest: number): void {
    if (this.#metadata) this.#describe(lane, info)
    const { out } = lane
    const name = info.names[which]
    let size = labels.end - labels.start + name.length + rest
    if (extra !== undefined) size += extra.field.length
    out.ensure(size + 6)
    const to = out.bytes
    to[out.at++] = 0x0a
    let at = putVarint(to, out.at, size)
    const from = labels.bytes
    let next = labels.place('name')
    at = copy(from, labels.start, next, to, at)
    at = copy(name, 0, name.length, to, at)
    if (extra !== undefined) {
      const place = labels.place(extra.name)
      at = copy(from, next, place, to, at)
      at = copy(extra.field, 0, extra.field.length, to, at)
      next = place
    }
    out.at = copy(from, next, labels.end, to, at)
  }

  #describe(lane: Lane, info: MetricInfo): void {
    let described = this.#described.get(lane)
    if (described === undefined) this.#described.set(lane, (described = new Set()))
    if (described.has(info)) return
    described.add(info)
    const out = lane.aside
    const fields = [info.texts[BASE], info.help, info.unit] as const
    let size = 2
    for (const { length } of fields) size += 1 + varintSize(length) + length
    out.ensure(size + 6)
    const { bytes } = out
    bytes[out.at++] = 0x1a
    out.at = putVarint(bytes, out.at, size)
    bytes[out.at++] = 0x08
    bytes[out.at++] = info.type
    for (const [i, field] of fields.entries()) {
      bytes[out.at++] = metadataTags[i]
      out.at = putVarint(bytes, out.at, field.length)
      out.at += field.copy(bytes, out.at)
    }
  }
}

/** metric_family_name, help, unit. */
const metadataTags = [0x12, 0x22, 0x2a]

/** Copies a range, which is usually short, and returns where it ends. */
function copy(from: Buffer, start: number, end: number, to: Buffer, at: number): number {
  if (end - start < 48) {
    for (let i = start; i < end; i++) to[at++] = from[i]
    return at
  }
  return at + from.copy(to, at, start, end)
}

function exemplarBytes({ exemplars, fromExemplar, toExemplar }: Series): number {
  let size = 0
  for (let i = fromExemplar; i < toExemplar; i++) {
    const content = exemplarSize(exemplars, i)
    size += 1 + varintSize(content) + content
  }
  return size
}

const exemplarSize = (exemplars: ExemplarList, i: number): number =>
  exemplars.ends[i] - exemplars.starts[i] + 10 + varint64Size(exemplars.times[i])

function putExemplars(lane: Lane, { exemplars, fromExemplar, toExemplar }: Series): void {
  const { out } = lane
  const { bytes, view } = out
  for (let i = fromExemplar; i < toExemplar; i++) {
    bytes[out.at++] = 0x1a
    out.at = putVarint(bytes, out.at, exemplarSize(exemplars, i))
    out.at = copy(exemplars.out.bytes, exemplars.starts[i], exemplars.ends[i], bytes, out.at)
    bytes[out.at++] = 0x11
    view.setFloat64(out.at, exemplars.values[i], true)
    out.at += 8
    bytes[out.at++] = 0x18
    out.at = putVarint64(bytes, out.at, exemplars.times[i])
    lane.exemplars++
  }
}
