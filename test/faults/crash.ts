/** Kymo killed again and again at random moments, under load, while its destination comes and goes. */
import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'vitest'
import { Random } from '../support/otlp.ts'
import { Lives } from './crash-books.ts'
import { Destination } from './destination.ts'
import { exporterOf, type Mode, storageIn } from './hostile.ts'
import type { Shape } from './ids.ts'
import { Site } from './kymo.ts'
import { type Account, Ledger } from './ledger.ts'
import { LoadSender } from './senders.ts'

export interface CrashOptions {
  readonly mode: Mode
  readonly count: number
  readonly seed: number
  /** Most milliseconds from ready to the kill. */
  readonly life?: number
}

/** What is known after the last restart. */
export interface CrashEnding {
  readonly account: Account
  /** Of each start: milliseconds to ready, and items found on disk. */
  readonly ready: readonly number[]
  readonly recovered: readonly number[]
  /** Acknowledged and not yet at the destination, at each kill. */
  readonly open: readonly number[]
  readonly refused: number
  readonly unknown: number
  readonly seconds: number
  /** What the books of all lives were compared with, line by line; of queues on disk. */
  readonly compared: readonly string[]
}

/** Four senders, each with its own way of sending. */
const senders: readonly { transport: 'grpc' | 'http'; shape: Shape; rate: number }[] = [
  { transport: 'grpc', shape: { signal: 'traces', items: 50, size: 150 }, rate: 150 },
  { transport: 'grpc', shape: { signal: 'logs', items: 10, size: 300 }, rate: 150 },
  { transport: 'http', shape: { signal: 'traces', items: 200, size: 60 }, rate: 50 },
  { transport: 'http', shape: { signal: 'logs', items: 3, size: 2000 }, rate: 150 },
]

/** Most items of one batch. */
const largest = 2000

/** Lets it happen, and checks what holds of each life; what the destination has in the end is for the caller. */
export async function crash({ mode, count, seed, life = 800 }: CrashOptions): Promise<CrashEnding> {
  const from = performance.now()
  const random = new Random(seed)
  const ledger = new Ledger()
  const destination = await Destination.start(ledger)
  const queue = { queue_size: 100_000, batch: { flush_timeout: '20ms', min_size: 500, max_size: largest } }
  const exporters = exporterOf('grpc', destination, { mode, queue })
  const site = await Site.make({ exporters })
  // Small files, so that many are begun and given back.
  site.configure({ exporters, extensions: storageIn(mode, site.folder, { segment_size: 1024 * 1024 }) })
  const figures = { ready: [] as number[], recovered: [] as number[], open: [] as number[] }
  const recovered = async (): Promise<number> => {
    const { books } = await site.status()
    return books.reduce((sum, one) => sum + (one.kind === 'exporter' ? one.recovered : 0), 0)
  }
  try {
    figures.ready.push(await site.start())
    const load = senders.map(one => new LoadSender({ ...one, ledger, port: site.ports[one.transport] }).start())
    const lives = new Lives(site, destination, load, largest)
    for (let i = 0; i < count; i++) {
      if (i % 4 === 1) {
        // Emptied first, then filled again: files whose records have all ended get new ones.
        await emptied(site)
        await destination.line('down')
      } else await weather(destination, random.next(6))
      await delay(random.next(life))
      await lives.look()
      await delay(random.next(20))
      await site.kill()
      await arrived(ledger)
      await weather(destination, 0)
      figures.open.push(ledger.account().missing)
      await lives.over(mode === 'durable')
      figures.ready.push(await site.start())
      const found = await recovered()
      figures.recovered.push(found)
      lives.began(found)
    }
    await delay(300)
    await Promise.all(load.map(one => one.stop()))
    const status = await site.drained(120_000)
    lives.last(status)
    const compared = mode === 'durable' ? await lives.end(status) : []
    const account = ledger.account()
    expect(account).toMatchObject({ harmed: 0, strangers: 0 })
    const heard = (what: 'refused' | 'unknown') => load.reduce((all, { counts }) => all + counts[what], 0)
    const seconds = (performance.now() - from) / 1000
    return { ...figures, account, compared, refused: heard('refused'), unknown: heard('unknown'), seconds }
  } finally {
    await site.close()
    await destination.close()
  }
}

/** Waits until what was left from lives before is gone, as far as that happens under load. */
async function emptied(site: Site): Promise<void> {
  for (let i = 0; i < 100; i++) {
    const { books } = await site.status()
    if (books.every(({ kind, held }) => kind !== 'exporter' || held < 1000)) return
    await delay(50)
  }
}

/** Resolves when nothing comes any more: what was on its way is in the kernel's buffers, and still read. */
async function arrived(ledger: Ledger): Promise<void> {
  for (let before = -1; ledger.seen !== before;) {
    before = ledger.seen
    await delay(30)
  }
}

/** Half of the time all is well. */
async function weather(destination: Destination, which: number): Promise<void> {
  destination.behave = () => ({ does: 'take' })
  await destination.line(which === 4 ? 'down' : 'up')
  if (which === 3) destination.behave = () => ({ does: 'hang' })
  if (which === 5) destination.behave = () => ({ does: 'take', after: 100 })
}
