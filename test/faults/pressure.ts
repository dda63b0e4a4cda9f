/** Senders at twice the rate that the destination takes, and little memory. */
import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'vitest'
import { slopeOf } from '../../bench/soak.ts'
import { confine, Watch } from './confined.ts'
import { type Arrival, Destination, type Reply } from './destination.ts'
import { exporterOf, type Mode, storageIn } from './hostile.ts'
import type { Shape } from './ids.ts'
import { Site } from './kymo.ts'
import { Ledger } from './ledger.ts'
import { LoadSender } from './senders.ts'

/** Takes so many items a second and answers when their time is over. */
export function pacedAt(rate: number): (arrival: Arrival) => Reply {
  let free = 0
  return ({ items }) => {
    const now = performance.now()
    free = Math.max(free, now) + (items / rate) * 1000
    return { does: 'take', after: free - now }
  }
}

const shape: Shape = { signal: 'traces', items: 500, size: 300 }

/** Lets it happen and returns the figures, as lines. */
export async function pressure(mode: Mode, options: { seconds: number; mib: number; rate: number }): Promise<string[]> {
  const { seconds, mib, rate } = options
  const ledger = new Ledger()
  const destination = await Destination.start(ledger)
  destination.behave = pacedAt(rate)
  const queue = { queue_size: 1_000_000 }
  const exporters = exporterOf('grpc', destination, { mode, queue, timeout: '20s' })
  const site = await Site.make({ exporters })
  const limit = confine(mib, site.folder)
  const processors = limit.found ? {} : { memory_limiter: { limit_mib: mib, check_interval: '1s' } }
  const extensions = storageIn(mode, site.folder, { max_size: 256 * 1024 * 1024 })
  site.configure({ exporters, processors, extensions, pipelines: { traces: ['otlp_grpc'] } })
  try {
    await site.start({ prefix: limit.prefix })
    expect((await site.status()).memory.limit_bytes).toBe(mib * 1024 * 1024)
    const watch = new Watch(site.pid, mib)
    const each = (2 * rate) / shape.items / 4
    const load = (['grpc', 'http', 'grpc', 'http'] as const).map(transport =>
      // Enough at the same time to keep the rate while most are refused.
      new LoadSender({ ledger, port: site.ports[transport], transport, shape, rate: each, concurrency: 16 }).start(),
    )
    const alive = (): void => {
      if (watch.killed || site.gone) throw new Error(`${watch.told()}\n${site.child.output()}`)
    }
    for (let i = 0; i < seconds; i++) {
      await delay(1000)
      alive()
    }
    const taken = ledger.seen
    const offered = load.reduce((all, { counts }) => all + counts.attempts, 0) * shape.items
    await Promise.all(load.map(one => one.stop()))
    destination.behave = () => ({ does: 'take' })
    const { books_faults } = await site.drained(120_000).catch((error: unknown) => {
      alive()
      throw error
    })
    watch.stop()
    const account = ledger.account()
    const books = await site.exporter('otlp_grpc')
    const sum = (what: keyof LoadSender['counts']) => load.reduce((all, { counts }) => all + counts[what], 0)
    const said = [...new Set(load.flatMap(one => [...one.said].map(([code, text]) => `${code}: ${readable(text)}`)))]
    const later = watch.samples.filter(([at]) => at > seconds / 4 && at < seconds)
    const slope = slopeOf(later) * 60
    const lines = [
      `Limit ${mib} MiB (${limit.how}), ${seconds} s, queue ${mode === 'memory' ? 'in memory' : 'on disk, at most 256 MiB'}; the destination takes ${rate} items a`,
      `second, four senders (two gRPC, two HTTP) have ${2 * rate}, and offered ${Math.round(offered / seconds)} with what they sent again.`,
      `Resident at most **${watch.peak.toFixed(0)} MiB**, slope ${slope.toFixed(1)} MiB a minute after the first quarter; the destination was given`,
      `${Math.round(taken / seconds)} items a second. Requests: ${sum('success')} accepted, ${sum('refused')} refused, ${sum('rejected')} rejected, ${sum('unknown')} without an`,
      `answer. ${account.acknowledged} items acknowledged, **${account.missing} missing**, ${account.doubledByKymo} doubled.`,
      `Answers of refusals: ${said.map(text => `\`${text}\``).join('; ')}.`,
    ]
    expect(watch.killed).toBe(false)
    expect(watch.peak).toBeLessThan(mib)
    expect(books_faults).toEqual([])
    expect(account).toMatchObject({ missing: 0, harmed: 0, strangers: 0 })
    expect(books).toMatchObject({ rejected: {}, lost: {}, dead_lettered: {} })
    expect({ rejected: sum('rejected'), unknown: sum('unknown'), silent: sum('refusedWithoutDelay') }).toEqual({
      rejected: 0,
      unknown: 0,
      silent: 0,
    })
    expect(sum('refused')).toBeGreaterThan(0)
    // Refusing costs the destination nothing: it is kept busy.
    expect(taken / seconds).toBeGreaterThan(rate * 0.9)
    return lines
  } finally {
    await site.close()
    await destination.close()
  }
}

const readable = (text: string): string => text.replaceAll(/[^ -~]+/g, ' ').trim()
