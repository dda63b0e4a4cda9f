/** Writes the table as a page of text: Prometheus' text format, or OpenMetrics. */
import {
  boundText,
  escapedMetricName,
  helpText,
  isPlainMetricName,
  labelText,
  numberText,
  quotedText,
} from '../../backends/prometheus/text.ts'
import type { PageFormat } from '../../backends/prometheus/text-format.ts'
import { type Exemplar, Exemplars, exemplarsOf } from './exemplars.ts'
import {
  infoHelp,
  overflowHelp,
  type PageSettings,
  type PageSource,
  type PageWriter,
  shownFamilies,
} from './families.ts'
import { classicBuckets, ExponentialHistogram, Histogram, type Summary } from './states.ts'
import { type Family, overflowName, type Series, type Table } from './table.ts'

/** So much text is put together before it becomes bytes. */
const chunkLength = 1 << 16

/** One page of text. */
export class TextPage {
  readonly #table: Table
  readonly #format: PageFormat
  readonly #settings: PageSettings
  readonly #openMetrics: boolean
  #text = ''
  /** The name that the samples of the family being written start with, and whether it need not stand in quotes. */
  #name = ''
  #isPlain = true

  constructor({ table, format, settings }: PageSource) {
    this.#table = table
    this.#format = format
    this.#settings = settings
    this.#openMetrics = format.kind === 'openmetrics'
  }

  /** Writes all of it. */
  *write(): PageWriter {
    for (const { family, name } of shownFamilies(this.#table, this.#format.escaping)) {
      this.#head(this.#familyName(name, family), this.#typeName(family), family.help, family.unit)
      this.#begin(name)
      for (const series of family.series.values()) {
        this.#series(family, series)
        if (this.#text.length > chunkLength) yield this.#flush()
      }
      if (family.overflow !== undefined) this.#series(family, family.overflow)
    }
    this.#overflowed()
    yield* this.#infos()
    if (this.#openMetrics) this.#text += '# EOF\n'
    yield this.#flush()
  }

  #flush(): Buffer {
    const piece = Buffer.from(this.#text)
    this.#text = ''
    return piece
  }

  #begin(name: string): void {
    this.#name = name
    this.#isPlain = isPlainMetricName(name)
  }

  #head(name: string, type: string, help: string, unit: string): void {
    const shown = isPlainMetricName(name) ? name : `"${quotedText(name)}"`
    if (help !== '') this.#text += `# HELP ${shown} ${helpText(help, this.#openMetrics)}\n`
    this.#text += `# TYPE ${shown} ${type}\n`
    if (this.#openMetrics && /^\w+$/.test(unit) && name.endsWith(`_${unit}`)) this.#text += `# UNIT ${shown} ${unit}\n`
  }

  /** In OpenMetrics `_total` belongs to the samples of a counter, not to its name. */
  #familyName(written: string, family: Family): string {
    return this.#openMetrics && this.#isCounter(family) ? written.slice(0, -'_total'.length) : written
  }

  #typeName(family: Family): string {
    if (this.#openMetrics) return family.type === 'counter' && !this.#isCounter(family) ? 'unknown' : family.type
    return family.type === 'unknown' ? 'untyped' : family.type
  }

  /** Whether OpenMetrics takes it for a counter: by its name, which nothing else may have without `_total`. */
  #isCounter({ type, name }: Family): boolean {
    return type === 'counter' && name.endsWith('_total') && !this.#table.families.has(name.slice(0, -'_total'.length))
  }

  #series(family: Family, series: Series): void {
    const { pairs } = series
    const { escaping } = this.#format
    const labels = pairs === undefined || escaping === 'allow-utf-8' ? series.labels : labelText(pairs, escaping)
    const { state } = series
    const time = this.#time(series)
    if (state === undefined) {
      const mayHaveOne = this.#openMetrics && this.#isCounter(family)
      const [exemplar] = mayHaveOne ? exemplarsOf(series, this.#settings.strategy).slice(-1) : []
      this.#line('', labels, '', series.value, time, exemplar)
    } else if (state instanceof Histogram) this.#histogram(state, series, labels, time)
    else if (state instanceof ExponentialHistogram) this.#exponential(state, series, labels, time)
    else this.#summary(state, labels, time)
  }

  #line(suffix: string, labels: string, extra: string, value: number, time: string, exemplar?: Exemplar): void {
    const all = labels === '' || extra === '' ? labels + extra : `${labels},${extra}`
    const name = this.#name + suffix
    if (!this.#isPlain) this.#text += `{"${quotedText(name)}"${all === '' ? '' : ','}${all}} `
    else if (all === '') this.#text += `${name} `
    else this.#text += `${name}{${all}} `
    this.#text += numberText(value) + time
    if (exemplar !== undefined) this.#text += this.#exemplar(exemplar)
    this.#text += '\n'
  }

  #exemplar({ labels, value, time }: Exemplar): string {
    const text = labelText(labels, this.#format.escaping)
    return ` # {${text}} ${numberText(value)}${time === 0 ? '' : ` ${time / 1000}`}`
  }

  #time({ time }: Series): string {
    if (!this.#settings.withTimestamps || time === 0) return ''
    const milliseconds = Math.floor(time / 1e6)
    return this.#openMetrics ? ` ${milliseconds / 1000}` : ` ${milliseconds}`
  }

  #histogram(state: Histogram, series: Series, labels: string, time: string): void {
    const { bounds, counts, count } = state
    const exemplars = new Exemplars(this.#openMetrics ? exemplarsOf(series, this.#settings.strategy) : [])
    const texts = bounds.texts(this.#openMetrics)
    let below = 0
    for (const [i, inBucket] of counts.subarray(0, -1).entries()) {
      below += inBucket
      const bound = bounds.values[i]
      // The last bucket of all has its line below.
      if (bound === undefined || bound === Infinity) continue
      this.#line('_bucket', labels, `le="${texts[i]}"`, below, time, exemplars.upTo(bound))
    }
    this.#ends(state, labels, time, count, exemplars)
  }

  /** The lines that every histogram has. */
  #ends(
    { hasSum, sum }: { readonly hasSum: boolean; readonly sum: number },
    labels: string,
    time: string,
    count: number,
    exemplars: Exemplars,
  ): void {
    this.#line('_bucket', labels, 'le="+Inf"', count, time, exemplars.upTo(Infinity))
    if (hasSum) this.#line('_sum', labels, '', sum, time)
    this.#line('_count', labels, '', count, time)
  }

  #exponential(state: ExponentialHistogram, series: Series, labels: string, time: string): void {
    const exemplars = new Exemplars(this.#openMetrics ? exemplarsOf(series, this.#settings.strategy) : [])
    for (const [bound, below] of classicBuckets(state)) {
      const le = `le="${boundText(bound, this.#openMetrics)}"`
      this.#line('_bucket', labels, le, below, time, exemplars.upTo(bound))
    }
    this.#ends(state, labels, time, state.count, exemplars)
  }

  #summary({ values, sum, count }: Summary, labels: string, time: string): void {
    for (const [quantile, value] of values) {
      this.#line('', labels, `quantile="${boundText(quantile, this.#openMetrics)}"`, value, time)
    }
    this.#line('_sum', labels, '', sum, time)
    this.#line('_count', labels, '', count, time)
  }

  /** What found no room in the table. */
  #overflowed(): void {
    const { overflowed } = this.#table
    if (overflowed.size === 0) return
    this.#head(this.#openMetrics ? overflowName.slice(0, -'_total'.length) : overflowName, 'counter', overflowHelp, '')
    this.#begin(overflowName)
    for (const [metric, points] of overflowed) {
      this.#line('', labelText([['metric', metric]], 'allow-utf-8'), '', points, '')
    }
  }

  /** What is known of the resources. */
  *#infos(): PageWriter {
    const { infos } = this.#table
    if (infos.size === 0) return
    const name = escapedMetricName(this.#settings.infoName, this.#format.escaping)
    const isInfo = this.#openMetrics && name.endsWith('_info')
    this.#head(isInfo ? name.slice(0, -'_info'.length) : name, isInfo ? 'info' : 'gauge', infoHelp, '')
    this.#begin(name)
    for (const { pairs } of infos.values()) {
      this.#line('', labelText(pairs, this.#format.escaping), '', 1, '')
      if (this.#text.length > chunkLength) yield this.#flush()
    }
  }
}
