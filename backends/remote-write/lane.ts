/** The requests under way: series are spread over lanes, and each lane makes one request after the other. */
import { larger } from '../byte-table.ts'
import { Growing } from '../../proto/growing.ts'

/** A request that is complete. */
export interface RemoteWritePart {
  /** The bytes, which are good until the next call of the encoder. */
  readonly body: Buffer
  /** Which lane it belongs to: those of one lane are to be sent one after the other. */
  readonly lane: number
  /** Data points in it. */
  readonly points: number
  readonly samples: number
  readonly histograms: number
  readonly exemplars: number
  /** How many of the samples are of target_info, and of no data point. */
  readonly infos: number
}

/** One request while it grows. */
export class Lane {
  readonly number: number
  /** The series, one after the other. */
  readonly out = new Growing(65_536, undefined)
  /** What stands before the series (symbols), or after them (metadata). */
  readonly aside = new Growing(4096, undefined)
  points = 0
  samples = 0
  histograms = 0
  exemplars = 0
  infos = 0
  /** So many points more are written only to be thrown away. */
  unwanted = 0
  /** Counts the requests, so that what was said in one is told apart from what was said in this one. */
  request = 1
  /** How many symbols this request has, and for each symbol its place in it, valid where `seen` is `request`. */
  symbols = 0
  places = new Int32Array(1024)
  seen = new Int32Array(1024)
  /** Whether points of a series came in another order than that of their times. */
  disorder = false
  /** Start and time of each run of series that belong to one point. */
  #starts = new Int32Array(1024)
  #times = new Float64Array(1024)
  #runs = 0
  /** The request as it was before the run under way. */
  readonly #before = { out: 0, aside: 0, samples: 0, histograms: 0, exemplars: 0 }

  constructor(number: number) {
    this.number = number
  }

  /** Bytes of the request so far. */
  get size(): number {
    return this.out.at + this.aside.at
  }

  get empty(): boolean {
    return this.out.at === 0
  }

  /** What follows belongs to a point of that time. */
  run(time: number): void {
    if (this.#runs === this.#starts.length) {
      this.#starts = larger(this.#starts, this.#runs * 2)
      const times = new Float64Array(this.#runs * 2)
      times.set(this.#times)
      this.#times = times
    }
    this.#starts[this.#runs] = this.out.at
    this.#times[this.#runs++] = time
    const before = this.#before
    before.out = this.out.at
    before.aside = this.aside.at
    before.samples = this.samples
    before.histograms = this.histograms
    before.exemplars = this.exemplars
  }

  /** Whether the run under way is the first of the request. */
  get isFirst(): boolean {
    return this.#runs === 1
  }

  /** Takes back the run under way: the request is to be finished without it. */
  takeBack(): void {
    const { out, aside, samples, histograms, exemplars } = this.#before
    this.#runs--
    this.out.at = out
    this.aside.at = aside
    this.samples = samples
    this.histograms = histograms
    this.exemplars = exemplars
  }

  /** The run under way is a point of the request. */
  point(): void {
    this.points++
    if (this.unwanted > 0 && --this.unwanted === 0) this.reset()
  }

  /** Makes room for symbol `id`. */
  widen(id: number): void {
    const length = 2 ** Math.ceil(Math.log2(id + 1))
    this.places = larger(this.places, length)
    this.seen = larger(this.seen, length)
  }

  /** The request: what is aside in front or behind; then starts the next. */
  finish(asideFirst: boolean): RemoteWritePart {
    const { number: lane, points, samples, histograms, exemplars, infos } = this
    const series = this.disorder ? this.#sorted() : this.out.bytes.subarray(0, this.out.at)
    const part = { lane, points, samples, histograms, exemplars, infos }
    if (this.aside.at === 0) return { ...part, body: series }
    const aside = this.aside.bytes.subarray(0, this.aside.at)
    return { ...part, body: Buffer.concat(asideFirst ? [aside, series] : [series, aside]) }
  }

  /** Starts the next request. */
  reset(): void {
    this.points = this.samples = this.histograms = this.exemplars = this.infos = this.#runs = this.symbols = 0
    this.out.at = this.aside.at = 0
    this.disorder = false
    this.request++
  }

  /** The series in the order of their times; those of one time stay as they are. */
  #sorted(): Buffer {
    const order = Array.from({ length: this.#runs }, (_, i) => i)
    const times = this.#times
    order.sort((a, b) => times[a] - times[b])
    const sorted = Buffer.allocUnsafeSlow(this.out.at)
    let at = 0
    for (const run of order) {
      const end = run + 1 < this.#runs ? this.#starts[run + 1] : this.out.at
      at += this.out.bytes.copy(sorted, at, this.#starts[run], end)
    }
    return sorted
  }
}
