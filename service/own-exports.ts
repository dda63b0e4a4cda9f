/** Sends own telemetry to OTLP backends, as `service.telemetry` says. Nobody waits for it; what cannot be sent is dropped. */
import { Budget } from '../core/budget.ts'
import { Canceller } from '../core/cancellation.ts'
import { machineClock, timerWait } from '../core/clock.ts'
import type { Attempt } from '../core/component.ts'
import { messageOf } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import { nobody, ownBatch } from '../core/own-batch.ts'
import { shownUrl } from '../core/shown-url.ts'
import type { AloneDestination, OtlpAlone } from '../exporters/otlp-alone.ts'
import type { Signal } from '../proto/signals.ts'
import type { OwnDestination } from '../telemetry/destination-config.ts'
import { OwnGatherer } from '../telemetry/gather.ts'
import { ownModule, type SelfReport } from '../telemetry/self-report.ts'

/** One way out. */
export interface OwnExport {
  readonly signal: Signal
  readonly destination: OwnDestination
  /** Milliseconds: between two times that metrics are sent, or that items are gathered. */
  readonly interval: number
  /** Of one request, in milliseconds. */
  readonly timeout: number
  readonly most: number
  readonly room: number
}

/** How long the last of it may take at most when the service stops, in milliseconds. */
const farewell = 1000

/** All ways out of one process. */
export class OwnExports {
  readonly #exports: readonly OwnExport[]
  readonly #report: SelfReport
  readonly #log: Logger
  readonly #ends: (() => Promise<void>)[] = []
  readonly #clients: OwnClient[] = []

  constructor(exports: readonly OwnExport[], report: SelfReport, log: Logger) {
    this.#exports = exports
    this.#report = report
    this.#log = log.child(ownModule)
  }

  async start(): Promise<void> {
    if (this.#exports.length === 0) return
    // With it come clients of gRPC and HTTP, which most processes have no other use for.
    const { otlpAlone } = await import('../exporters/otlp-alone.ts')
    for (const one of this.#exports) {
      const client = new OwnClient(one, otlpAlone(addressed(one), ownModule, this.#log), this.#log)
      this.#clients.push(client)
      if (one.signal === 'metrics') this.#startMetrics(one, client)
      else this.#startGathered(one, client)
    }
  }

  #startMetrics({ interval }: OwnExport, client: OwnClient): void {
    const report = this.#report
    let busy = false
    const send = async (): Promise<void> => {
      if (busy) return
      busy = true
      try {
        await client.send(report.request(report.metrics()))
      } catch (error) {
        this.#log.error({ code: 'INTERNAL', error }, 'fault of Kymo, please report it; own metrics were not made')
      } finally {
        busy = false
      }
    }
    const tell = (error: unknown): void => this.#log.error({ error: messageOf(error) }, 'own metrics cannot be told')
    const timer = setInterval(() => void send().catch(tell), timerWait(interval)).unref()
    this.#ends.push(async () => {
      clearInterval(timer)
      await send()
    })
  }

  #startGathered({ signal, interval, most, room }: OwnExport, client: OwnClient): void {
    const report = this.#report
    const drop = (items: number): void => {
      report.dropped[signal] += items
    }
    const take = async (items: readonly Buffer[]): Promise<void> => {
      if (!(await client.send(report.request(items)))) drop(items.length)
    }
    const gatherer = new OwnGatherer(machineClock, { interval, most, room }, take, drop)
    const end = signal === 'logs' ? report.onLog(gatherer.add, 'outside') : report.onSpan(gatherer.add)
    this.#ends.push(async () => {
      end()
      await gatherer.stop()
    })
  }

  /** Sends the last of it, if that does not take longer than `deadline` milliseconds. */
  async stop(deadline = farewell): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise(resolve => (timer = setTimeout(resolve, Math.min(deadline, farewell))))
    await Promise.race([Promise.all(this.#ends.splice(0).map(end => end())), late])
    clearTimeout(timer)
    await Promise.all(this.#clients.splice(0).map(client => client.close()))
  }
}

/** Sends to one destination, and logs when that begins to fail and when it is well again. */
class OwnClient {
  readonly #export: OwnExport
  readonly #log: Logger
  readonly #exporter: OtlpAlone
  #failing = false

  constructor(one: OwnExport, exporter: OtlpAlone, log: Logger) {
    this.#export = one
    this.#log = log
    this.#exporter = exporter
  }

  /** Says whether it was taken. */
  async send(request: Buffer): Promise<boolean> {
    const { signal, destination } = this.#export
    const fields = { signal, endpoint: shownUrl(destination.endpoint) }
    try {
      // It is no data: the budget for that is not charged with it.
      const batch = ownBatch(new Budget(Infinity), signal, request, nobody)
      if (batch === undefined) return true
      await this.#exporter.send(batch, once())
      if (this.#failing) this.#log.info(fields, 'own telemetry is taken again')
      this.#failing = false
      return true
    } catch (error) {
      if (!this.#failing) this.#log.warn({ ...fields, error: messageOf(error) }, 'own telemetry is not taken')
      this.#failing = true
      return false
    }
  }

  async close(): Promise<void> {
    await this.#exporter.stop()
  }
}

/** What is not taken at once is dropped. */
const once = (): Attempt =>
  Object.assign(new Canceller(), { number: 1, settle() {}, memo: undefined, isSuspect: false })

const addressed = ({ destination, signal, timeout }: OwnExport): AloneDestination => ({
  ...destination,
  signal,
  timeout: Math.min(timeout || Infinity, destination.timeout || Infinity, 60_000),
})
