/** One destination that misbehaves for a while or for good, and what the books say of it afterwards. */
import { join } from 'node:path'
import { expect } from 'vitest'
import { type Arrival, Destination, type Line, type Reply } from './destination.ts'
import type { Shape } from './ids.ts'
import { type Account as Books, Site, total } from './kymo.ts'
import { type Account, Ledger } from './ledger.ts'
import { LoadSender } from './senders.ts'

/** Where a queue keeps what it has. */
export type Mode = 'memory' | 'durable'
export type Transport = 'grpc' | 'http'

/** What is known when all is over. */
export interface Ending {
  readonly mode: Mode
  readonly transport: Transport
  readonly books: Books
  readonly account: Account
  /** Items that were sent. */
  readonly sent: number
  readonly destination: Destination
  /** State and last error of the exporter while the fault lasted. */
  readonly during: { readonly state: string; readonly error: string }
  /** Rejected for good, wherever that is booked in this mode. */
  readonly refusedForGood: Readonly<Record<string, number>>
}

/** A fault, and what has to come of it. */
export interface Hostile {
  readonly name: string
  readonly transports?: readonly Transport[]
  readonly reply?: (arrival: Arrival) => Reply
  readonly line?: Line
  /** Milliseconds after which the destination is well again; never without it. */
  readonly lasts?: number
  /** How many are sent; 40 without it. */
  readonly requests?: number
  /** Requests a second. */
  readonly rate?: number
  /** Items that may be missing at the end, of `requests` times `shape.items`. */
  readonly gone?: (counter: number) => boolean
  readonly queue?: object
  /** What a queue in memory gives up. */
  readonly lost?: Readonly<Record<string, number>>
  readonly check: (ending: Ending) => void
}

export const shape: Shape = { signal: 'traces', items: 25, size: 100 }
export const usual = 40
export const items = shape.items * usual

/** The exporter under test. */
export function exporterOf(
  transport: Transport,
  destination: Destination,
  more: { queue?: object; timeout?: string; retry?: object; mode?: Mode } = {},
): Record<string, object> {
  const { queue = {}, timeout = '250ms', retry = { initial_interval: '20ms', max_interval: '100ms' }, mode } = more
  const shared = {
    compression: 'none',
    timeout,
    retry_on_failure: retry,
    sending_queue: { num_consumers: 4, ...(mode === 'durable' ? { storage: 'file_storage' } : {}), ...queue },
  }
  if (transport === 'http') return { otlp_http: { endpoint: `http://127.0.0.1:${destination.http}`, ...shared } }
  return { otlp_grpc: { endpoint: `127.0.0.1:${destination.grpc}`, tls: { insecure: true }, ...shared } }
}

/** The extension of durable queues, below `folder`. */
export function storageIn(mode: Mode | undefined, folder: string, more: object = {}): Record<string, object> {
  if (mode !== 'durable') return {}
  return { file_storage: { directory: join(folder, 'storage'), create_directory: true, ...more } }
}

/** Lets it happen and checks what has to hold whatever the fault is; returns one line of figures. */
export async function suffer(fault: Hostile, transport: Transport, mode: Mode): Promise<string[]> {
  const ledger = new Ledger()
  const { requests = usual } = fault
  const sent = requests * shape.items
  const pace = fault.rate === undefined ? {} : { rate: fault.rate }
  const destination = await Destination.start(ledger)
  // A destination that answers is waited for, however busy this machine is: giving up would be a fault of another kind.
  const timeout = fault.lasts === undefined ? { timeout: '30s' } : {}
  const exporters = exporterOf(transport, destination, { mode, ...timeout, ...(fault.queue && { queue: fault.queue }) })
  const [id] = Object.keys(exporters)
  const site = await Site.make({ exporters, pipelines: { traces: [id] } })
  site.configure({ exporters, pipelines: { traces: [id] }, extensions: storageIn(mode, site.folder) })
  try {
    if (fault.reply !== undefined) destination.behave = fault.reply
    if (fault.line !== undefined) await destination.line(fault.line)
    await site.start()
    const from = performance.now()
    const port = site.ports[transport]
    const sender = new LoadSender({ ledger, port, transport, shape, requests, concurrency: 8, ...pace }).start()
    await sender.finished()
    let during = { state: '', error: '' }
    const look = async () => {
      const found = (await site.status()).components.find(one => one.kind === 'exporter')
      during = { state: found?.state ?? '', error: found?.last_error ?? '' }
    }
    if (fault.lasts !== undefined) {
      await new Promise(resolve => setTimeout(resolve, from + (fault.lasts ?? 0) - performance.now()))
      await look()
      destination.behave = () => ({ does: 'take' })
      if (fault.line !== undefined) await destination.line('up')
    }
    const status = await site.drained()
    if (fault.lasts === undefined) await look()
    await sender.stop()
    const books = await site.exporter(id)
    const account = ledger.account((_, counter) => fault.gone?.(counter) !== true)
    const refusedForGood = mode === 'durable' ? books.dead_lettered : books.rejected
    expect(status.books_faults).toEqual([])
    // All was acknowledged: a queue was in front of the fault.
    expect(sender.counts).toMatchObject({ success: requests, refused: 0, rejected: 0, unknown: 0 })
    expect(account).toMatchObject({ missing: 0, harmed: 0, strangers: 0, acknowledged: sent })
    expect(account.doubled).toBeLessThanOrEqual(books.maybe_twice)
    const { delivered, rejected, dead_lettered, lost, returned, held } = books
    const ended = delivered + total(rejected) + total(dead_lettered) + total(lost)
    expect({ in: books.in, ended, lost, returned, held }).toEqual({
      in: sent,
      ended: sent,
      lost: mode === 'memory' ? (fault.lost ?? {}) : {},
      returned: {},
      held: 0,
    })
    fault.check({ mode, transport, books, account, sent, destination, during, refusedForGood })
    return [
      fault.name,
      transport,
      mode,
      String(books.delivered),
      JSON.stringify(books.rejected),
      JSON.stringify(books.dead_lettered),
      `${books.failed_attempts} of ${books.attempts}`,
      String(books.maybe_twice),
      String(account.doubled),
    ]
  } finally {
    await site.close()
    await destination.close()
  }
}

/** Titles of the columns of `suffer`. */
export const columns = [
  'the destination',
  'over',
  'queue',
  'delivered',
  'rejected',
  'dead-lettered',
  'failed attempts',
  'maybe twice',
  'arrived twice',
]
