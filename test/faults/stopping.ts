/** SIGTERM at random moments, with a destination in any state, and starts into any state. */
import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'vitest'
import { Random } from '../support/otlp.ts'
import { Destination, type Line, type Reply } from './destination.ts'
import { exporterOf, type Mode, storageIn } from './hostile.ts'
import type { Shape } from './ids.ts'
import { Site } from './kymo.ts'
import { Ledger } from './ledger.ts'
import { LoadSender } from './senders.ts'

/** How the destination is while Kymo is told to end. */
export interface Weather {
  readonly name: string
  readonly reply?: Reply
  readonly line?: Line
  /** Whether it takes anything. */
  readonly takes: boolean
}

export const weathers: readonly Weather[] = [
  { name: 'up', takes: true },
  { name: 'slow', reply: { does: 'take', after: 60 }, takes: true },
  { name: 'hanging', reply: { does: 'hang' }, takes: false },
  { name: 'down', line: 'down', takes: false },
  { name: 'refusing', reply: { does: 'fail', grpc: 14, http: 503, retryAfter: 20_000 }, takes: false },
]

const senders: readonly { transport: 'grpc' | 'http'; shape: Shape; rate: number }[] = [
  { transport: 'grpc', shape: { signal: 'traces', items: 40, size: 150 }, rate: 100 },
  { transport: 'http', shape: { signal: 'logs', items: 10, size: 300 }, rate: 100 },
]

/** What one stop was like. */
export interface Stop {
  readonly weather: string
  readonly code: number | null
  readonly took: number
  /** Acknowledged and not at the destination once it had ended. */
  readonly open: number
  /** Items it said were lost. */
  readonly lost: number
}

/**
 * Starts, loads and ends Kymo `count` times in each weather, each time into the weather it ended in; returns what each stop was
 * like and how many acknowledged items never arrived.
 */
export async function stops(mode: Mode, options: { count: number; seed: number; deadline: number }) {
  const { count, seed, deadline } = options
  const random = new Random(seed)
  const ledger = new Ledger()
  const destination = await Destination.start(ledger)
  const queue = { queue_size: 10_000, batch: { flush_timeout: '20ms', min_size: 500, max_size: 2000 } }
  const retry = { initial_interval: '50ms', max_interval: '500ms' }
  const exporters = exporterOf('grpc', destination, { mode, queue, retry, timeout: '5s' })
  const site = await Site.make({ exporters })
  site.configure({ exporters, extensions: storageIn(mode, site.folder) })
  const all: Stop[] = []
  let before = 0
  try {
    for (const weather of weathers) {
      for (let i = 0; i < count; i++) {
        destination.behave = () => weather.reply ?? { does: 'take' }
        await destination.line(weather.line ?? 'up')
        // It starts whatever the destination is like.
        expect(await site.start({ shutdown: `${deadline}ms` })).toBeLessThan(10_000)
        const load = senders.map(one => new LoadSender({ ...one, ledger, port: site.ports[one.transport] }).start())
        await delay(random.next(500))
        const { code, took, output } = await site.terminate(deadline + 10_000)
        await Promise.all(load.map(one => one.stop()))
        const open = ledger.account().missing
        const lost = Number(/not all could be delivered\s+items=(\d+)/.exec(output)?.[1] ?? 0)
        all.push({ weather: weather.name, code, took, open: open - (mode === 'memory' ? before : 0), lost })
        before = open
        expect(took).toBeLessThan(deadline + 2500)
      }
    }
    destination.behave = () => ({ does: 'take' })
    await destination.line('up')
    await site.start()
    const { books_faults } = await site.drained(60_000)
    expect(books_faults).toEqual([])
    const account = ledger.account()
    expect(account).toMatchObject({ harmed: 0, strangers: 0 })
    return { all, account }
  } finally {
    await site.close()
    await destination.close()
  }
}
