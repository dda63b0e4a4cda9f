/** io.prometheus.write.v2.Request: texts stand once in a request, series refer to them. */
import type { Growing } from '../../proto/growing.ts'
import type { ExemplarList } from './exemplars.ts'
import type { ExtraLabel, ExtraLabels } from './extra.ts'
import type { Lane } from './lane.ts'
import type { MetricInfo } from './metric.ts'
import type { Series, SeriesWriter } from './series.ts'
import { COUNT, HEAD, LE_AT, NAME_AT, QUANTILE_AT, type Symbols } from './symbols.ts'
import { putVarint64, varint64Size } from '../../proto/varint64.ts'
import { Cursor, putVarint, varintSize } from '../../proto/wire.ts'

const empty = Buffer.alloc(0)
const nameText = Buffer.from('__name__')
const extraTexts = { le: Buffer.from('le'), quantile: Buffer.from('quantile') } as const
/** Where help and unit stand among the symbols of a metric, after its names. */
const HELP = 4
const UNIT = 5
/** And for which epoch of the symbols these are right. */
const EPOCH = 6

/** Writes version 2.0. */
export class SeriesWriter2 implements SeriesWriter {
  readonly asideFirst = true
  readonly #symbols: Symbols
  readonly #extras: readonly ExtraLabels[]
  readonly #startTimes: boolean
  #epoch = 0
  #empty = -1
  #name = -1
  #le = -1
  #quantile = -1
  /** References of the series being written, as varints. */
  #refs = Buffer.allocUnsafeSlow(1024)
  #refsEnd = 0
  readonly #cursor = new Cursor(empty)
  readonly #inner = new Cursor(empty)

  /** `extras`: the labels whose numbers of symbols are to be forgotten together with the symbols. */
  constructor(symbols: Symbols, extras: readonly ExtraLabels[], startTimes: boolean) {
    this.#symbols = symbols
    this.#extras = extras
    this.#startTimes = startTimes
  }

  begin(): void {
    const symbols = this.#symbols
    if (this.#epoch === symbols.epoch && this.#empty >= 0) return
    this.#epoch = symbols.epoch
    for (const extras of this.#extras) extras.forgetSymbols()
    this.#empty = symbols.of(empty, 0, 0)
    this.#name = symbols.of(nameText, 0, nameText.length)
    this.#le = symbols.of(extraTexts.le, 0, extraTexts.le.length)
    this.#quantile = symbols.of(extraTexts.quantile, 0, extraTexts.quantile.length)
  }

  open(lane: Lane): void {
    // The first symbol is always the empty text.
    this.#symbols.place(lane, this.#empty)
  }

  sample(lane: Lane, series: Series, low: number, high: number): void {
    const { out } = lane
    const startTime = this.#startTimes ? series.startTime : 0
    const content = 10 + varint64Size(series.time) + (startTime === 0 ? 0 : 1 + varint64Size(startTime))
    const trailer = this.#begin(lane, series, 2 + content)
    const { bytes, view } = out
    bytes[out.at++] = 0x12
    bytes[out.at++] = content
    bytes[out.at++] = 0x09
    view.setInt32(out.at, low, true)
    view.setInt32(out.at + 4, high, true)
    out.at += 8
    bytes[out.at++] = 0x10
    out.at = putVarint64(bytes, out.at, series.time)
    if (startTime !== 0) {
      bytes[out.at++] = 0x18
      out.at = putVarint64(bytes, out.at, startTime)
    }
    this.#finish(lane, series, trailer)
    lane.samples++
  }

  histogram(lane: Lane, series: Series, content: Growing): void {
    const { out } = lane
    const trailer = this.#begin(lane, series, 1 + varintSize(content.at) + content.at)
    out.bytes[out.at++] = 0x1a
    out.at = putVarint(out.bytes, out.at, content.at)
    out.at += content.bytes.copy(out.bytes, out.at, 0, content.at)
    this.#finish(lane, series, trailer)
    lane.histograms++
  }

  /** Writes tag, length and references, makes room for the `middle` bytes that follow, and gives what #finish needs. */
  #begin(lane: Lane, series: Series, middle: number): number {
    const { info } = series
    this.#know(info)
    this.#refer(lane, series)
    const labels = this.#refsEnd
    const help = this.#symbols.place(lane, info.symbols[HELP])
    const unit = this.#symbols.place(lane, info.symbols[UNIT])
    const metadata = 2 + (help === 0 ? 0 : 1 + varintSize(help)) + (unit === 0 ? 0 : 1 + varintSize(unit))
    const exemplars = this.#exemplarsSize(lane, series)
    const size = 1 + varintSize(labels) + labels + middle + exemplars + 2 + metadata
    const { out } = lane
    out.ensure(size + 6)
    const { bytes } = out
    bytes[out.at++] = 0x2a
    out.at = putVarint(bytes, out.at, size)
    bytes[out.at++] = 0x0a
    let at = putVarint(bytes, out.at, labels)
    for (let i = 0; i < labels; i++) bytes[at++] = this.#refs[i]
    out.at = at
    return metadata
  }

  /** Writes exemplars and metadata. */
  #finish(lane: Lane, series: Series, metadata: number): void {
    const { out } = lane
    if (series.toExemplar > series.fromExemplar) this.#putExemplars(lane, series)
    const { info } = series
    const { bytes } = out
    bytes[out.at++] = 0x2a
    bytes[out.at++] = metadata
    bytes[out.at++] = 0x08
    bytes[out.at++] = info.type
    const help = this.#symbols.place(lane, info.symbols[HELP])
    if (help !== 0) {
      bytes[out.at++] = 0x18
      out.at = putVarint(bytes, out.at, help)
    }
    const unit = this.#symbols.place(lane, info.symbols[UNIT])
    if (unit !== 0) {
      bytes[out.at++] = 0x20
      out.at = putVarint(bytes, out.at, unit)
    }
  }

  /** Finds the numbers of a metric's texts. */
  #know(info: MetricInfo): void {
    if (info.symbols[EPOCH] === this.#epoch) return
    info.symbols[EPOCH] = this.#epoch
    const texts = [...info.texts, info.help, info.unit]
    for (const [i, text] of texts.entries()) info.symbols[i] = this.#symbols.of(text, 0, text.length)
  }

  /** Makes the references of the labels of a series, in order. */
  #refer(lane: Lane, { labels, info, which, extra }: Series): void {
    const symbols = this.#symbols
    const value = extra === undefined ? -1 : this.#valueOf(extra)
    const at = symbols.set(labels)
    const { sets } = symbols
    const count = sets[at + COUNT]
    const nameAt = sets[at + NAME_AT]
    const extraAt = extra === undefined ? -1 : sets[at + (extra.name === 'le' ? LE_AT : QUANTILE_AT)]
    if (this.#refs.length < (count + 4) * 5) this.#refs = Buffer.allocUnsafeSlow((count + 4) * 10)
    this.#refsEnd = 0
    const first = at + HEAD
    for (let i = 0; i <= count; i += 2) {
      if (i === nameAt) {
        this.#ref(lane, this.#name)
        this.#ref(lane, info.symbols[which])
      }
      if (i === extraAt && extra !== undefined) {
        this.#ref(lane, extra.name === 'le' ? this.#le : this.#quantile)
        this.#ref(lane, value)
      }
      if (i >= count) break
      this.#ref(lane, sets[first + i])
      this.#ref(lane, sets[first + i + 1])
    }
  }

  #valueOf(extra: ExtraLabel): number {
    if (extra.symbol < 0) extra.symbol = this.#symbols.of(extra.text, 0, extra.text.length)
    return extra.symbol
  }

  #ref(lane: Lane, symbol: number): void {
    this.#refsEnd = putVarint(this.#refs, this.#refsEnd, this.#symbols.place(lane, symbol))
  }

  #exemplarsSize(lane: Lane, { exemplars, fromExemplar, toExemplar }: Series): number {
    let size = 0
    for (let i = fromExemplar; i < toExemplar; i++) {
      const content = this.#exemplarSize(lane, exemplars, i)
      size += 1 + varintSize(content) + content
    }
    return size
  }

  #exemplarSize(lane: Lane, exemplars: ExemplarList, i: number): number {
    let refs = 0
    this.#eachText(lane, exemplars, i, place => (refs += varintSize(place)))
    return (refs === 0 ? 0 : 1 + varintSize(refs) + refs) + 10 + varint64Size(exemplars.times[i])
  }

  #putExemplars(lane: Lane, { exemplars, fromExemplar, toExemplar }: Series): void {
    const { out } = lane
    const { bytes, view } = out
    for (let i = fromExemplar; i < toExemplar; i++) {
      let refs = 0
      this.#eachText(lane, exemplars, i, place => (refs += varintSize(place)))
      bytes[out.at++] = 0x22
      out.at = putVarint(bytes, out.at, this.#exemplarSize(lane, exemplars, i))
      if (refs > 0) {
        bytes[out.at++] = 0x0a
        out.at = putVarint(bytes, out.at, refs)
        this.#eachText(lane, exemplars, i, place => (out.at = putVarint(bytes, out.at, place)))
      }
      bytes[out.at++] = 0x11
      view.setFloat64(out.at, exemplars.values[i], true)
      out.at += 8
      bytes[out.at++] = 0x18
      out.at = putVarint64(bytes, out.at, exemplars.times[i])
      lane.exemplars++
    }
  }

  /** Calls `visit` with the place of each name and value of an exemplar's labels. */
  #eachText(lane: Lane, exemplars: ExemplarList, i: number, visit: (place: number) => void): void {
    const { bytes } = exemplars.out
    const end = exemplars.ends[i]
    const cursor = this.#cursor.set(bytes, exemplars.starts[i], end)
    while (cursor.at < end) {
      cursor.tag()
      const to = cursor.length() + cursor.at
      const inner = this.#inner.set(bytes, cursor.at, to)
      while (inner.at < to) {
        inner.tag()
        const length = inner.length()
        visit(this.#symbols.place(lane, this.#symbols.of(bytes, inner.at, inner.at + length)))
        inner.at += length
      }
      cursor.at = to
    }
  }
}
