/** An outage of hours, as bytes: a long queue on disk that fills while the destination is away, and drains when it is back. */
import { setTimeout as delay } from 'node:timers/promises'
import { slopeOf } from '../../bench/soak.ts'
import { Watch } from './confined.ts'
import { Destination } from './destination.ts'
import { exporterOf, storageIn } from './hostile.ts'
import type { Shape } from './ids.ts'
import { Site } from './kymo.ts'
import { Ledger } from './ledger.ts'
import { LoadSender } from './senders.ts'

const shape: Shape = { signal: 'traces', items: 1000, size: 250 }
const mebibyte = 1024 * 1024

/** Resident memory while something lasted. */
interface Memory {
  readonly peak: number
  /** MiB for each MiB that went through the queue. */
  readonly slope: number
}

export interface OutageFigures {
  readonly queued: number
  readonly items: number
  /** MiB before anything was queued, and at the highest under the same load without an outage. */
  readonly idle: number
  readonly busy: number
  readonly filling: Memory & { readonly seconds: number }
  readonly draining: Memory & { readonly seconds: number }
  /** Items a second that arrive without an outage, over the same queue, and while it drains. */
  readonly normal: number
  readonly drained: number
  /** The same by the CPU seconds of Kymo. */
  readonly normalPerCpu: number
  readonly drainedPerCpu: number
  readonly missing: number
  readonly doubledByKymo: number
  readonly restarted: number
}

/** Queues `mib` MiB, with a restart in the middle if that is wanted. */
export async function outage(mib: number, restart = false): Promise<OutageFigures> {
  const ledger = new Ledger()
  const destination = await Destination.start(ledger)
  const exporters = exporterOf('grpc', destination, {
    mode: 'durable',
    queue: { queue_size: 10_000_000 },
    timeout: '10s',
  })
  const site = await Site.make({ exporters })
  const extensions = storageIn('durable', site.folder, { max_size: 4 * mib * mebibyte })
  site.configure({ exporters, extensions, pipelines: { traces: ['otlp_grpc'] } })
  const senders = (requests?: number) =>
    Array.from({ length: 2 }, () => {
      const count = requests === undefined ? {} : { requests: Math.ceil(requests / 2) }
      return new LoadSender({
        ledger,
        port: site.ports.grpc,
        transport: 'grpc',
        shape,
        concurrency: 4,
        ...count,
      }).start()
    })
  try {
    await site.start()
    await delay(1500)
    const idle = site.memory().rss
    // As fast as it goes while all is well.
    const load = senders()
    const usual = new Watch(site.pid)
    await delay(1500)
    const from = { at: performance.now(), seen: ledger.seen, cpu: site.cpu() }
    await delay(Math.min(8000, 500 + mib * 8))
    const seen = ledger.seen - from.seen
    const normal = seen / ((performance.now() - from.at) / 1000)
    const normalPerCpu = seen / (site.cpu() - from.cpu)
    await Promise.all(load.map(one => one.stop()))
    usual.stop()
    await site.drained()
    // Away.
    await destination.line('down')
    const filled = new Watch(site.pid)
    const began = performance.now()
    const fill = senders((mib * mebibyte) / load[0].bytesEach)
    await Promise.all(fill.map(one => one.finished()))
    const seconds = (performance.now() - began) / 1000
    filled.stop()
    let restarted = 0
    if (restart) {
      await site.kill()
      restarted = await site.start()
    }
    const { held } = await site.exporter('otlp_grpc')
    const away = ledger.seen
    // Back again.
    const emptied = new Watch(site.pid)
    await destination.line('up')
    while (ledger.seen === away) await delay(5)
    const back = { at: performance.now(), seen: ledger.seen, cpu: site.cpu() }
    while (ledger.seen < away + held * 0.99) await delay(20)
    const took = (performance.now() - back.at) / 1000
    const gone = ledger.seen - back.seen
    const drainedPerCpu = gone / (site.cpu() - back.cpu)
    await site.drained(60_000)
    emptied.stop()
    await Promise.all(fill.map(one => one.stop()))
    const { missing, doubledByKymo } = ledger.account()
    return {
      queued: ((held / shape.items) * load[0].bytesEach) / mebibyte,
      items: held,
      idle,
      busy: Math.max(...usual.samples.map(([, rss]) => rss)),
      filling: { ...memory(filled, mib), seconds },
      draining: { ...memory(emptied, mib), seconds: took },
      normal,
      drained: gone / took,
      normalPerCpu,
      drainedPerCpu,
      missing,
      doubledByKymo,
      restarted,
    }
  } finally {
    await site.close()
    await destination.close()
  }
}

/** Without the first quarter, in which what V8 takes for the work at all comes. */
function memory(watch: Watch, mib: number): Memory {
  const later = watch.samples.slice(watch.samples.length >> 2)
  const seconds = watch.samples.at(-1)?.[0] ?? 0
  return { peak: Math.max(...watch.samples.map(([, rss]) => rss)), slope: (slopeOf(later) * seconds) / mib }
}
