import * as z from 'zod'
import type { Context } from '../core/context.ts'
import { Budget } from '../core/budget.ts'
import { defineReceiver, type Lifecycle, type ReceiverContext } from '../core/component.ts'
import { Entrance } from '../core/entrance.ts'
import { duration } from '../core/fields.ts'
import { ownTransport } from '../core/journal.ts'
import { allSignals, type Signal } from '../proto/signals.ts'
import { OwnGatherer } from '../telemetry/gather.ts'
import { type SelfReport, selfReportKey } from '../telemetry/self-report.ts'

const config = z.strictObject({
  metrics_interval: duration({ min: 100 }).prefault('60s').describe('How often metrics are taken.'),
  flush_interval: duration({ min: 10 }).prefault('1s').describe('How long logs and spans are gathered.'),
})

type Config = z.output<typeof config>

/** Items of one batch, and those that may wait while the batch before is on its way. */
const most = 512
const room = 2048

export const internal = defineReceiver<Config>({
  type: 'internal',
  stability: 'alpha',
  runs: 'each',
  summary: 'Takes in what Kymo tells about itself: its log, its metrics, and spans of some batches.',
  signals: allSignals,
  origin: 'itself',
  config,
  examples: [
    { title: 'With what the signals have by default', config: {} },
    { title: 'Metrics every ten seconds', config: { metrics_interval: '10s' } },
  ],
  create(config, context) {
    return new Internal(config, context)
  },
})

/**
 * Own telemetry is a guest: of each signal one batch at most is on its way, in memory of its own, and nobody waits for
 * it. What a destination does not take in time is dropped and counted, so that it never takes the room of other data.
 */
class Internal implements Lifecycle {
  readonly #config: Config
  readonly #context: ReceiverContext
  readonly #origin: Context
  readonly #gatherers: OwnGatherer[] = []
  readonly #ends: (() => void)[] = []

  constructor(config: Config, context: ReceiverContext) {
    this.#config = config
    this.#context = context
    this.#origin = {
      receiver: context.id,
      transport: ownTransport,
      peer: undefined,
      metadata: undefined,
      auth: undefined,
    }
  }

  run(): void {
    const own = this.#context.host.get(selfReportKey)
    const { signals } = this.#context
    const { metrics_interval, flush_interval } = this.#config
    if (signals.has('logs')) this.#ends.push(own.onLog(this.#gatherer('logs', own, flush_interval), 'inside'))
    if (signals.has('traces')) this.#ends.push(own.onSpan(this.#gatherer('traces', own, flush_interval)))
    if (!signals.has('metrics')) return
    const way = new Guest(this.#context, this.#origin, 'metrics')
    const timer = this.#context.clock.every(metrics_interval, () => {
      // What is on its way still is an older state of the same.
      if (way.free) void way.push(own.request(own.metrics()))
    })
    this.#ends.push(() => timer.cancel())
  }

  #gatherer(signal: Signal, own: SelfReport, interval: number): (item: Buffer) => void {
    const way = new Guest(this.#context, this.#origin, signal)
    const drop = (items: number): void => {
      own.dropped[signal] += items
    }
    const take = async (items: readonly Buffer[]): Promise<void> => {
      if (!(await way.push(own.request(items)))) drop(items.length)
      await way.gone()
    }
    const gatherer = new OwnGatherer(this.#context.clock, { interval, most, room }, take, drop)
    this.#gatherers.push(gatherer)
    return gatherer.add
  }

  stop(): void {
    for (const end of this.#ends.splice(0)) end()
    // Nobody waits for it here either.
    for (const gatherer of this.#gatherers.splice(0)) void gatherer.stop()
  }
}

/** The way of one signal's batches into the pipelines. */
class Guest {
  readonly #origin: Context
  readonly #signal: Signal
  /** Charged while anybody holds a batch; apart from the budget for data. */
  readonly #budget = new Budget(Infinity)
  readonly #entrance: Entrance

  constructor(context: ReceiverContext, origin: Context, signal: Signal) {
    this.#entrance = new Entrance(this.#budget, batch => context.push(batch), false)
    this.#origin = origin
    this.#signal = signal
  }

  /** Whether nothing is on its way. */
  get free(): boolean {
    return this.#budget.used === 0
  }

  /** Resolves once nothing is on its way any more. */
  gone(): Promise<void> {
    if (this.free) return Promise.resolve()
    return new Promise(resolve => {
      const end = this.#budget.onRelease(() => {
        if (!this.free) return
        end()
        resolve()
      })
    })
  }

  /** Hands a request to the pipelines; resolves to whether it was taken. */
  push(body: Buffer): Promise<boolean> {
    return new Promise(resolve => {
      this.#budget.charge(body.length)
      this.#entrance.enter(this.#signal, body, body.length, this.#origin, {
        answered: ({ kind }) => resolve(kind === 'success' || kind === 'partial'),
      })
    })
  }
}
